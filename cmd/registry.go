package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/alerts/registry/election"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) registry() *cobra.Command {
	c := &cobra.Command{
		Use:   "registry",
		Short: "Run the schema registry on any Kafka",
		Long: `registry runs the registry that a lab has, by itself: the Confluent Schema Registry
API, its state in a compacted topic of any Kafka cluster.`,
		Example: "  alertlab registry serve --bootstrap kafka:9092",
	}
	c.AddCommand(a.registryServe())
	return c
}

// closing bounds how long requests that are under way may hold up the end.
const closing = 20 * time.Second

func (a *app) registryServe() *cobra.Command {
	var (
		listen string
		cfg    registry.Config
	)
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the schema registry API over a topic of any Kafka",
		Long: `serve answers the Confluent Schema Registry API until it is stopped. It answers
nothing before it has read its topic to the end, so that GET / tells whether it is
ready. A topic that is missing is made, compacted, if the user may.

Several instances may serve one topic: they elect a leader in the Kafka group, as
Confluent's registry does, and one that does not lead passes writes on to it at the
address that it advertises. What an earlier leader writes too late, because it was
frozen while another one took over, does not count.

The user needs Read, Write and DescribeConfigs on the topic and Read on the group.

Addresses and names come from flags or the environment, as "alertlab env" prints it;
the password from the environment or a file, never from the command line.`,
		Example: `  eval "$(alertlab env --user alert-schema-registry)"
  alertlab registry serve --topic my-schemas --listen 127.0.0.1:8081

  alertlab registry serve --bootstrap kafka:9093 --ca ca.crt --user registry \
    --password-file /run/secrets/password --advertise http://registry-0.registry:8081`,
		Args: cobra.NoArgs,
	}
	kafkaOf, logOf := a.addKafkaFlags(c), a.addLogFlags(c)
	f := c.Flags()
	f.StringVar(&listen, "listen", ":8081", "address to serve at")
	f.StringVar(&cfg.Advertise, "advertise", "", "URL at which other instances reach this one (default: http, the host's name and the port)")
	f.StringVar(&cfg.Topic, "topic", registry.DefaultTopic, "topic that holds the state")
	f.StringVar(&cfg.Group, "group", election.DefaultGroup, "Kafka group that elects the writer")
	f.StringVar(&cfg.Compatibility, "compatibility", "BACKWARD", "compatibility level while none is set")
	f.IntVar(&cfg.FirstID, "first-id", registry.DefaultFirstID, "lowest id that the registry assigns by itself")
	f.DurationVar(&cfg.Session, "session", election.DefaultSession, "how long a leader that is not heard of leads; brokers take 6s to 30m")
	must(c.RegisterFlagCompletionFunc("compatibility", cobra.FixedCompletions(
		[]string{"NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"}, cobra.ShellCompDirectiveNoFileComp)))
	c.RunE = func(c *cobra.Command, _ []string) error {
		const next = "alertlab registry serve --help"
		var m mistakes
		cfg.Log, cfg.Login, cfg.Create = logOf.logger(a, &m), kafkaOf.login(a, &m), true
		if err := m.fault(c); err != nil {
			return err
		}
		if cfg.Session < 6*time.Second || cfg.Session > 30*time.Minute {
			return fault.New(fault.BadInput, fmt.Sprintf("a session of %s is none", cfg.Session), "brokers take 6s to 30m", "alertlab registry serve --session 10s")
		}
		ln, err := (&net.ListenConfig{}).Listen(c.Context(), "tcp", listen)
		if err != nil {
			return fault.Wrap(fault.BadInput, "the registry cannot be served at "+listen, err, "alertlab registry serve --listen HOST:PORT")
		}
		defer ln.Close()
		if cfg.Advertise == "" {
			if cfg.Advertise, err = advertised(ln.Addr()); err != nil {
				return fault.Wrap(fault.BadInput, "other instances cannot be told where this one is", err, "alertlab registry serve --advertise http://HOST:PORT")
			}
		}
		if err := cfg.Check(); err != nil {
			return fault.Wrap(fault.BadInput, "such a registry cannot be served", err, next)
		}
		return serveRegistry(c.Context(), cfg, ln, a.out)
	}
	return c
}

// advertised gives the address under which other hosts find a listener.
func advertised(at net.Addr) (string, error) {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return "", err
		}
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// serveRegistry answers requests until the context ends.
func serveRegistry(ctx context.Context, cfg registry.Config, ln net.Listener, out io.Writer) error {
	r, err := registry.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.Close()
	server := &http.Server{Handler: r.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	if _, err := fmt.Fprintf(out, "the schema registry answers at %s\n", cfg.Advertise); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return fmt.Errorf("the registry's server: %w", err)
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	err = server.Shutdown(bound)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests were cut off: %w", err), server.Close())
	}
	return err
}
