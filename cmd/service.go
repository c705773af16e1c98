package cmd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/lab/fault"
)

// What programs have in common that run in the foreground, on their own or in a pod,
// against systems that are no lab's: where things are comes from flags or the
// environment, secrets from the environment or files alone, the log goes to stderr,
// and the first SIGTERM ends them cleanly.

const (
	// loginLimit bounds the look at the brokers before work begins.
	loginLimit = 10 * time.Second
	// shutdownLimit bounds how long requests under way may still be answered.
	shutdownLimit = 10 * time.Second
	// registryLimit bounds one request to a registry, as the reference does.
	registryLimit = 5 * time.Second
)

// mistakes collects all that is wrong with a command line, so that it is said at once.
type mistakes []string

func (m *mistakes) add(format string, args ...any) { *m = append(*m, fmt.Sprintf(format, args...)) }

// fault is nil when there are none.
func (m mistakes) fault(c *cobra.Command) error {
	if len(m) == 0 {
		return nil
	}
	return fault.New(fault.BadInput, "the command line cannot be used", strings.Join(m, "\n  "), c.CommandPath()+" --help")
}

// secret reads a secret from a file, if one is named, else from the environment.
// A line break at the file's end is none of it.
func (a *app) secret(m *mistakes, flag, file, variable string) string {
	if file == "" {
		return a.getenv(variable)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		m.add("--%s: %v", flag, err)
		return ""
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" {
		m.add("--%s: %s is empty", flag, file)
	}
	return text
}

// trust makes a configuration that trusts the authorities in a PEM file, nil for the
// system's.
func trust(m *mistakes, flag, file string) *tls.Config {
	if file == "" {
		return nil
	}
	config, err := kafka.TLS(file, "", "")
	if err != nil {
		m.add("--%s: %v", flag, err)
	}
	return config
}

// address checks HOST:PORT.
func (m *mistakes) address(flag, value string) {
	if _, _, err := net.SplitHostPort(value); err != nil {
		m.add("--%s: %v", flag, err)
	}
}

// url checks a URL of HTTP.
func (m *mistakes) url(flag, value string) {
	if u, err := url.Parse(value); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		m.add("--%s: %q is no URL that begins with http:// or https://", flag, value)
	}
}

// kafkaFlags reach any Kafka cluster.
type kafkaFlags struct {
	bootstrap, protocol, user, passwordFile string
	ca, certificate, key                    string
}

// addKafkaFlags adds flags that stand for the variables that "alertlab env" prints.
func (a *app) addKafkaFlags(c *cobra.Command) *kafkaFlags {
	k := &kafkaFlags{}
	f := c.Flags()
	f.StringVar(&k.bootstrap, "bootstrap", "", "brokers to begin with, HOST:PORT,... (default: environment KAFKA_BOOTSTRAP_SERVERS)")
	f.StringVar(&k.protocol, "security-protocol", "", "PLAINTEXT, SASL_PLAINTEXT, SSL or SASL_SSL (environment: KAFKA_SECURITY_PROTOCOL)")
	f.StringVar(&k.user, "user", "", "user for SASL SCRAM-SHA-512 (default: environment KAFKA_USERNAME)")
	f.StringVar(&k.passwordFile, "password-file", "", "file with the user's password (default: environment KAFKA_PASSWORD)")
	f.StringVar(&k.ca, "ca", "", "PEM file of the brokers' CA (default: environment SSL_CA_FILE, else the system's)")
	f.StringVar(&k.certificate, "client-cert", "", "PEM file of a client certificate, for SSL")
	f.StringVar(&k.key, "client-key", "", "PEM file of its key")
	return k
}

// login makes a login of the flags, and of the environment where they are not given.
func (k *kafkaFlags) login(a *app, m *mistakes) kafka.Login {
	given := map[string]string{"KAFKA_SECURITY_PROTOCOL": k.protocol, "KAFKA_USERNAME": k.user, "SSL_CA_FILE": k.ca}
	if first(k.protocol, a.getenv("KAFKA_SECURITY_PROTOCOL")) == "" && (k.certificate != "" || k.key != "") { // a certificate is for TLS alone
		given["KAFKA_SECURITY_PROTOCOL"] = "SSL"
		if first(k.user, a.getenv("KAFKA_USERNAME")) != "" {
			given["KAFKA_SECURITY_PROTOCOL"] = "SASL_SSL"
		}
	}
	if k.passwordFile != "" {
		given["KAFKA_PASSWORD"] = a.secret(m, "password-file", k.passwordFile, "")
	}
	login, err := kafka.FromEnviron(func(name string) string { return first(given[name], a.getenv(name)) }, k.bootstrap)
	var problems *kafka.EnvironError
	switch {
	case errors.As(err, &problems):
		for _, p := range problems.Problems {
			if p == "KAFKA_BOOTSTRAP_SERVERS is not set" {
				p = "--bootstrap is not given, and " + p
			}
			m.add("%s", p)
		}
	case err != nil:
		m.add("%v", err)
	case login.TLS == nil && (k.certificate != "" || k.key != ""):
		m.add("--client-cert, --client-key: they are for SSL, and that is not spoken here")
	case k.certificate != "" || k.key != "":
		if login.TLS, err = kafka.TLS(first(k.ca, a.getenv("SSL_CA_FILE")), k.certificate, k.key); err != nil {
			m.add("--client-cert, --client-key: %v", err)
		}
	}
	for _, b := range login.Bootstrap {
		m.address("bootstrap", b)
	}
	return login
}

// patience bounds a look at what a service needs, before its work begins.
func (a *app) patience() time.Duration {
	if a.hooks.Patience > 0 {
		return a.hooks.Patience
	}
	return loginLimit
}

// checkLogin asks the brokers once whether they take the login. That they do not
// answer is no error: whoever works for weeks waits for them.
func (a *app) checkLogin(ctx context.Context, login kafka.Login, log *slog.Logger) error {
	client, err := kafka.NewClient(login)
	if err != nil {
		return err
	}
	defer client.Close()
	limited, cancel := context.WithTimeout(ctx, a.patience())
	defer cancel()
	switch err := client.Ping(limited); {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fault.Wrap(fault.StepFailed, fmt.Sprintf("the brokers do not take the login of %q", login.User), err, "correct the user and the password")
	case err != nil && ctx.Err() == nil:
		log.Warn("the brokers do not answer yet", "bootstrap", login.Bootstrap, "error", err)
	}
	return nil
}

// storeFlags reach any S3 store.
type storeFlags struct {
	endpoint, region, ca                string
	accessKeyFile, secretKeyFile        string
	pathStyle, checksum                 bool
	alertBucket, schemaBucket           string
	endpointFlag, alertFlag, schemaFlag string
}

// addStoreFlags adds flags that stand for the variables that "alertlab env" prints;
// without schemas, none for their bucket.
func (a *app) addStoreFlags(c *cobra.Command, schemas bool) *storeFlags {
	s := &storeFlags{endpointFlag: "s3-endpoint", alertFlag: "alert-bucket"}
	f := c.Flags()
	f.StringVar(&s.endpoint, "s3-endpoint", a.getenv("AWS_ENDPOINT_URL"), "URL of the S3 store (environment: AWS_ENDPOINT_URL; default: AWS)")
	f.StringVar(&s.region, "s3-region", first(a.getenv("AWS_REGION"), "us-east-1"), "region that requests are signed for (environment: AWS_REGION)")
	f.BoolVar(&s.pathStyle, "s3-path-style", true, "name the bucket in the path; false: in the host name")
	f.BoolVar(&s.checksum, "s3-checksum", false, "send a CRC-32C of each object, for stores that know it")
	f.StringVar(&s.ca, "s3-ca", a.getenv("AWS_CA_BUNDLE"), "PEM file of the store's CA (environment: AWS_CA_BUNDLE; default: the system's)")
	f.StringVar(&s.accessKeyFile, "s3-access-key-file", "", "file with the access key (default: environment AWS_ACCESS_KEY_ID)")
	f.StringVar(&s.secretKeyFile, "s3-secret-key-file", "", "file with the secret key (default: environment AWS_SECRET_ACCESS_KEY)")
	f.StringVar(&s.alertBucket, "alert-bucket", a.getenv("ALERT_BUCKET"), "bucket of the alerts (environment: ALERT_BUCKET)")
	if !schemas {
		return s
	}
	s.schemaFlag = "schema-bucket"
	f.StringVar(&s.schemaBucket, "schema-bucket", a.getenv("SCHEMA_BUCKET"), "bucket of the schemas, may be the same (environment: SCHEMA_BUCKET)")
	return s
}

// client turns the flags into the configuration of a client.
func (s *storeFlags) client(a *app, m *mistakes) objectstore.ClientConfig {
	cfg := objectstore.ClientConfig{Endpoint: s.endpoint, Region: s.region, VirtualHost: !s.pathStyle, Checksum: s.checksum,
		AccessKey: a.secret(m, "s3-access-key-file", s.accessKeyFile, "AWS_ACCESS_KEY_ID"),
		SecretKey: a.secret(m, "s3-secret-key-file", s.secretKeyFile, "AWS_SECRET_ACCESS_KEY"),
	}
	if cfg.Endpoint == "" {
		cfg.Endpoint = "https://s3." + s.region + ".amazonaws.com"
	}
	m.url(s.endpointFlag, cfg.Endpoint)
	if cfg.AccessKey == "" && s.accessKeyFile == "" {
		m.add("there is no access key: set AWS_ACCESS_KEY_ID, or name a file with --s3-access-key-file")
	}
	if cfg.SecretKey == "" && s.secretKeyFile == "" {
		m.add("there is no secret key: set AWS_SECRET_ACCESS_KEY, or name a file with --s3-secret-key-file")
	}
	cfg.TLS = trust(m, "s3-ca", s.ca)
	if s.alertBucket == "" {
		m.add("--%s: no bucket is named", s.alertFlag)
	}
	if s.schemaBucket == "" && s.schemaFlag != "" {
		m.add("--%s: no bucket is named", s.schemaFlag)
	}
	return cfg
}

// registryClient makes a client of a schema registry with its own CA, "" being the
// system's.
func registryClient(m *mistakes, flag, address, caFlag, ca string) *registry.Client {
	m.url(flag, address)
	options := []sr.ClientOpt{}
	if config := trust(m, caFlag, ca); config != nil {
		options = append(options, sr.HTTPClient(&http.Client{Timeout: registryLimit, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config,
		}}))
	}
	client, err := registry.NewClient(address, options...)
	if err != nil {
		m.add("--%s: %v", flag, err)
	}
	return client
}

// logFlags shape the log, which goes to stderr.
type logFlags struct{ format, level string }

func (a *app) addLogFlags(c *cobra.Command) *logFlags {
	l := &logFlags{}
	formats, levels := []string{"text", "json"}, []string{"debug", "info", "warn", "error"}
	c.Flags().StringVar(&l.format, "log-format", formats[0], "format of the log on stderr: "+strings.Join(formats, ", "))
	c.Flags().StringVar(&l.level, "log-level", "info", "least that is logged: "+strings.Join(levels, ", "))
	must(c.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions(levels, cobra.ShellCompDirectiveNoFileComp)))
	return l
}

func (l *logFlags) logger(a *app, m *mistakes) *slog.Logger {
	options := &slog.HandlerOptions{}
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		m.add("--log-level: %q is none of debug, info, warn, error", l.level)
	}
	options.Level = level
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(a.err, options))
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, options))
	}
	m.add("--log-format: %q is none of text, json", l.format)
	return slog.New(slog.DiscardHandler)
}

// listen takes an address, HOST:PORT.
func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	return l, fault.Wrap(fault.StepFailed, "there is no listening at "+address, err, "stop what uses the address, or name another one")
}

// serveHTTP answers requests until ctx ends, then lets those under way finish.
func serveHTTP(ctx context.Context, l net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	if err := server.Shutdown(limited); err != nil {
		log.Warn("requests were broken off", "after", shutdownLimit, "error", err)
		return server.Close()
	}
	return nil
}
