package cmd

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/kafka"
)

// The command lines of alert_database_ingester v4.1.0 (alertingest/bin/
// alertdb_ingester.py) and alert_database_server v4.0.0 (alertdb/bin/alertdb.py):
// their flags, defaults and environment, over what alertdb ingest and alertdb serve do.

// referenceIngester is the program alertdb-ingester.
func (a *app) referenceIngester() *cobra.Command {
	var (
		topics, group, mechanism string
		registryURL              string
		host, user               string
		key, certificate, ca     string
		verbose, debug           bool
		ignored                  int
	)
	s := &storeFlags{endpointFlag: "endpoint-url", alertFlag: "bucket-alerts", schemaFlag: "bucket-schemas", pathStyle: true}
	c := &cobra.Command{
		Use:   "alertdb-ingester",
		Short: "Run a worker that copies alerts from Kafka into an object store",
		Long: `alertdb-ingester takes the command line of the observatory's program of this name
(alert_database_ingester v4.1.0) and does its work as "alertlab alertdb ingest" does:
from the earliest offset, in parallel, with retries, dead letters and a commit on
SIGTERM.

The password of --kafka-username is in ALERTDB_KAFKA_PASSWORD; the store's keys are
in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, its region in AWS_REGION, its address,
without --endpoint-url, in AWS_ENDPOINT_URL.`,
		Example: `  ALERTDB_KAFKA_PASSWORD=... alertdb-ingester --kafka-host broker:9094 --kafka-topics lsst-alerts-v11 \
    --schema-registry-address http://registry:8081 --endpoint-url http://store:9000`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&s.endpoint, "endpoint-url", a.getenv("AWS_ENDPOINT_URL"), "when using a remote bucket, the url where the bucket is located")
	f.StringVar(&s.alertBucket, "bucket-alerts", "alerts", "bucket of alert packets")
	f.StringVar(&s.schemaBucket, "bucket-schemas", "schema", "bucket of alert schemas")
	f.StringVar(&host, "kafka-host", "usdf-alert-stream-dev.lsst.cloud:9094", "kafka host with alert data")
	f.StringVar(&topics, "kafka-topics", "lsst-alerts-v7.4,lsst-alerts-v9.0", "names of the Kafka topics with alert data, comma-separated")
	f.StringVar(&group, "kafka-group", archive.DefaultGroup, "name of a Kafka consumer group to run under")
	f.StringVar(&mechanism, "kafka-auth-mechanism", "scram", "Kafka authentication mechanism to use: mtls, scram")
	f.StringVar(&user, "kafka-username", "kafka-admin", "username to use when connecting to Kafka, with scram")
	f.StringVar(&key, "tls-client-key-location", "", "path to a client PEM key, with mtls")
	f.StringVar(&certificate, "tls-client-crt-location", "", "path to a client public cert, with mtls")
	f.StringVar(&ca, "tls-server-ca-crt-location", "", "path to a CA public cert used to verify the server's TLS cert, with mtls")
	f.StringVar(&registryURL, "schema-registry-address", "https://usdf-alert-schemas-dev.slac.stanford.edu", "address of a schema registry hosting schemas")
	f.BoolVar(&verbose, "verbose", false, "log a bunch")
	f.BoolVar(&debug, "debug", false, "log even more")
	// They shape a poll and a log that ours does not have.
	f.IntVar(&ignored, "message-timeout", 1800, "taken and without effect")
	f.IntVar(&ignored, "log-check-timeout", 3600, "taken and without effect")
	f.IntVar(&ignored, "prefix-idle-timeout", 300, "taken and without effect")
	f.IntVar(&ignored, "max-logged-prefixes", 30, "taken and without effect")
	abbreviated(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		var m mistakes
		var login kafka.Login
		for one := range strings.SplitSeq(host, ",") {
			if !strings.Contains(one, ":") {
				one += ":9092" // as aiokafka has it
			}
			m.address("kafka-host", one)
			login.Bootstrap = append(login.Bootstrap, one)
		}
		switch mechanism {
		case "scram":
			// Without TLS, whatever certificates are named.
			login.User, login.Password = user, a.getenv("ALERTDB_KAFKA_PASSWORD")
			if login.Password == "" {
				m.add("ALERTDB_KAFKA_PASSWORD: there is no password")
			}
		case "mtls":
			if key == "" || certificate == "" || ca == "" {
				m.add("--kafka-auth-mechanism: mtls needs --tls-client-key-location, --tls-client-crt-location and --tls-server-ca-crt-location")
				break
			}
			var err error
			if login.TLS, err = kafka.TLS(ca, certificate, key); err != nil {
				m.add("--tls-client-key-location, --tls-client-crt-location, --tls-server-ca-crt-location: %v", err)
			}
		default:
			m.add("--kafka-auth-mechanism: %q is none of mtls, scram", mechanism)
		}
		s.region = first(a.getenv("AWS_REGION"), "us-east-1")
		log := (&logFlags{format: "text", level: referenceLevel("warn", verbose, debug)}).logger(a, &m)
		cfg := archive.IngesterConfig{Topics: strings.Split(topics, ","), Group: group, Log: log,
			Login: login, Buckets: archive.Buckets{Alerts: s.alertBucket, Schemas: s.schemaBucket},
			Schemas: registryClient(&m, "schema-registry-address", registryURL, "", "")}
		if slices.Contains(cfg.Topics, "") {
			m.add("--kafka-topics: a topic has no name")
		}
		store := s.client(a, &m)
		if err := m.fault(c); err != nil {
			return err
		}
		return a.ingest(c.Context(), cfg, store, "", log)
	}
	return c
}

// referenceServer is the program alertdb.
func (a *app) referenceServer() *cobra.Command {
	var (
		host, backend, root string
		port                int
		verbose, debug      bool
	)
	s := &storeFlags{endpointFlag: "endpoint-url", alertFlag: "bucket-alerts", schemaFlag: "bucket-schemas", pathStyle: true}
	backends := []string{"local-files", "s3-remote"}
	c := &cobra.Command{
		Use:   "alertdb",
		Short: "Run an alert database HTTP server",
		Long: `alertdb takes the command line of the observatory's program of this name
(alert_database_server v4.0.0) and does its work as "alertlab alertdb serve" does:
archives of the layout before are read too, path parameters are checked, and
/v1/ready and /metrics answer.

With --backend s3-remote the store's keys are in AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, its region in AWS_REGION, its address, without --endpoint-url,
in AWS_ENDPOINT_URL.`,
		Example: `  alertdb --listen-host 0.0.0.0 --listen-port 3000 --backend s3-remote --endpoint-url http://store:9000 \
    --bucket-alerts alerts --bucket-schemas schemas
  alertdb --local-file-root archive`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&host, "listen-host", "127.0.0.1", "host address to listen on for requests")
	f.IntVar(&port, "listen-port", 5000, "host port to listen on for requests")
	f.StringVar(&backend, "backend", backends[0], "backend to use to source alerts: "+strings.Join(backends, ", "))
	f.StringVar(&root, "local-file-root", "", "when using the local-files backend, the root directory where alerts should be found")
	f.StringVar(&s.endpoint, "endpoint-url", a.getenv("AWS_ENDPOINT_URL"), "when using the s3-remote backend, the endpoint url")
	f.StringVar(&s.alertBucket, "bucket-alerts", "alert-packets", "when using the s3-remote backend, the bucket of alert packets")
	f.StringVar(&s.schemaBucket, "bucket-schemas", "alert-schemas", "when using the s3-remote backend, the bucket of alert schemas")
	f.BoolVar(&verbose, "verbose", false, "log a bunch")
	f.BoolVar(&debug, "debug", false, "log even more")
	abbreviated(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		var m mistakes
		log := (&logFlags{format: "text", level: referenceLevel("info", verbose, debug)}).logger(a, &m)
		if port < 0 || port > 65535 {
			m.add("--listen-port: %d is no port", port)
		}
		address := net.JoinHostPort(host, strconv.Itoa(port))
		if !slices.Contains(backends, backend) {
			m.add("--backend: %q is none of %s", backend, strings.Join(backends, ", "))
		}
		if backend == "s3-remote" {
			s.region = first(a.getenv("AWS_REGION"), "us-east-1")
			store := s.client(a, &m)
			if err := m.fault(c); err != nil {
				return err
			}
			return a.serveArchive(c.Context(), address, store, archive.Buckets{Alerts: s.alertBucket, Schemas: s.schemaBucket}, log)
		}
		if backend == "local-files" && root == "" {
			m.add("--backend: local-files requires --local-file-root be set")
		}
		if err := m.fault(c); err != nil {
			return err
		}
		return a.serveFrom(c.Context(), address, archive.Files{Root: root}, archive.FileBuckets(), fmt.Sprintf("folder %s", root), log)
	}
	return c
}

// referenceLevel is the log level that the reference's flags ask for.
func referenceLevel(least string, verbose, debug bool) string {
	switch {
	case debug:
		return "debug"
	case verbose:
		return "info"
	}
	return least
}
