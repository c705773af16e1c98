package cmd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/lab/fault"
)

// The command line of alert-stream-simulator v1.2.1 (streamsim/commands.py): its
// subcommands, flags, defaults and what it prints, over what simulator create, play
// and print do.

// referenceGroup is the consumer group of print-stream.
const referenceGroup = "rubin-alert-sim"

// referenceSim is what the subcommands share.
type referenceSim struct {
	*app
	verbose, debug bool
	broker         string
	key, crt, ca   string
}

// referenceSimulator is the program rubin-alert-sim.
func (a *app) referenceSimulator() *cobra.Command {
	r := &referenceSim{app: a}
	c := &cobra.Command{
		Use:   "rubin-alert-sim",
		Short: "Simulate an alert stream: create it, play it, print it",
		Long: `rubin-alert-sim takes the command line of the observatory's program of this name
(alert-stream-simulator v1.2.1) and does its work as "alertlab simulator" does:
alerts of every schema version, each in the bytes and the schema of its file, and
cycles on a grid of times that does not drift.

It has flags for TLS with a client's certificate and none for a login. Without
those, the login comes from the environment, if there is one: KAFKA_USERNAME,
KAFKA_PASSWORD, KAFKA_SASL_MECHANISM, KAFKA_SECURITY_PROTOCOL, SSL_CA_FILE.`,
		Example: `  rubin-alert-sim create-stream --dst-topic=rubin_example --create-topic rubin_single_ccd_sample.avro
  rubin-alert-sim --verbose play-stream --src-topic=rubin_example --dst-topic=rubin_example_stream --repeat-interval=37`,
	}
	c.PersistentFlags().BoolVarP(&r.verbose, "verbose", "v", false, "enable info-level logging")
	c.PersistentFlags().BoolVarP(&r.debug, "debug", "d", false, "enable debug-level logging")
	c.AddCommand(r.create(), r.play(), r.print())
	return c
}

// connection adds the flags by which every subcommand finds the brokers.
func (r *referenceSim) connection(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&r.broker, "broker", "B", "localhost:9092", "address of the Kafka broker to connect to")
	f.StringVar(&r.key, "tls-client-key-location", "", "path to a client PEM key used for mTLS authentication")
	f.StringVar(&r.crt, "tls-client-crt-location", "", "path to a client public cert used for mTLS authentication")
	f.StringVar(&r.ca, "tls-server-ca-crt-location", "", "path to a CA public cert used to verify the server's TLS cert")
}

// login turns the flags, or else the environment, into a login that the brokers take.
func (r *referenceSim) login(c *cobra.Command) (kafka.Login, error) {
	named := 0
	for _, path := range []string{r.key, r.crt, r.ca} {
		if path != "" {
			named++
		}
	}
	var l kafka.Login
	var err error
	switch named {
	case 0:
		l, err = r.environLogin(r.broker)
	case 3:
		l.Bootstrap = strings.Split(r.broker, ",")
		l.TLS, err = kafka.TLS(r.ca, r.crt, r.key)
		err = fault.Wrap(fault.BadInput, "the certificates cannot be used", err, c.CommandPath()+" --help")
	default:
		err = fault.New(fault.BadInput, "the certificates are not all there", "either all --tls options must be set, or none of them", c.CommandPath()+" --help")
	}
	if err != nil {
		return l, err
	}
	return l, reach(c.Context(), l)
}

// info writes a line of the log as Python's logging does.
func (r *referenceSim) info(logger, format string, args ...any) {
	if r.verbose || r.debug {
		fmt.Fprintf(r.err, "INFO:rubin-alert-sim.%s:%s\n", logger, fmt.Sprintf(format, args...))
	}
}

// recreate makes a topic anew, with one replica as the reference has it.
func (r *referenceSim) recreate(ctx context.Context, login kafka.Login, topic string, partitions int) error {
	client, err := kafka.NewClient(login)
	if err != nil {
		return err
	}
	defer client.Close()
	err = admin.Recreate(ctx, kadm.NewClient(client), topic, int32(partitions), 1)
	return fault.Wrap(fault.StepFailed, "topic "+topic+" cannot be made anew", err, "allow the user to create and delete it")
}

func (r *referenceSim) create() *cobra.Command {
	var (
		topic, id   string
		createTopic bool
		timeout     float64
	)
	c := &cobra.Command{
		Use:   "create-stream FILE",
		Short: "Create a stream dataset to be run through the simulation",
		Long: `create-stream adds the alerts of an Avro object container file to a topic, each with
its time after the first one in the header alertsim-time-offset, and no key. The
topic must be there, unless --create-topic makes it: with one partition, deleting
one of that name.

The schema id in the messages is 1, as ever, unless --schema-id says another; "auto"
is the id of the file's own schema, under which a registry of the observatory has it.`,
		Example: "  rubin-alert-sim create-stream --dst-topic=rubin_example --create-topic --schema-id=auto visit.avro",
		Args:    cobra.ExactArgs(1),
	}
	r.connection(c)
	f := c.Flags()
	f.StringVar(&topic, "dst-topic", "alerts-reservoir", "Kafka topic name to use for the dataset reservoir")
	f.BoolVar(&createTopic, "create-topic", false, "create topic, overwriting if it already exists")
	f.Float64Var(&timeout, "timeout-sec", 10, "taken and without effect: a write is waited for")
	f.StringVar(&id, "schema-id", "1", "Confluent Schema Registry schema ID to use in alert packet header; auto: of the file's schema")
	abbreviated(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		schemaID, err := strconv.ParseUint(id, 10, 31)
		if err != nil && id != "auto" {
			return fault.New(fault.BadInput, fmt.Sprintf("%q is no schema id", id), "it is a number from 0 to 2147483647, or auto", c.CommandPath()+" --schema-id 1 FILE")
		}
		file, err := r.checkVisit(c.Context(), args[0], "", true)
		if err != nil {
			return err
		}
		if id == "auto" {
			schemaID = uint64(file.to.ID())
		}
		login, err := r.login(c)
		if err != nil {
			return err
		}
		if createTopic {
			if err := r.recreate(c.Context(), login, topic, 1); err != nil {
				return err
			}
		}
		source, schema, err := file.open()
		if err != nil {
			return err
		}
		header := uint32(schemaID)
		m, err := simulator.Create(c.Context(), simulator.CreateConfig{Login: login, Topic: topic, Source: source, Schema: schema, Append: true, SchemaID: &header})
		if err != nil {
			return fault.Wrap(fault.StepFailed, "topic "+topic+" cannot be filled", err, "make it with --create-topic, or allow the user to write it")
		}
		_, err = fmt.Fprintf(r.out, "successfully preloaded stream with %d alerts\n", m.Alerts)
		return err
	}
	return c
}

func (r *referenceSim) play() *cobra.Command {
	var (
		source, topic        string
		createTopic          bool
		partitions, interval int
	)
	c := &cobra.Command{
		Use:   "play-stream",
		Short: "Play back a stream that has already been created",
		Long: `play-stream copies the values of a topic that create-stream filled to another topic,
each alert at its time after the beginning, once, or again and again with
--repeat-interval. Cycles begin on a grid of times; a cycle that is not over when the
next one is due costs that one, and a warning.`,
		Example: "  rubin-alert-sim --verbose play-stream --src-topic=rubin_example --dst-topic=rubin_example_stream --repeat-interval=37",
		Args:    cobra.NoArgs,
	}
	r.connection(c)
	f := c.Flags()
	f.StringVar(&topic, "dst-topic", "alerts-stream", "name of the Kafka topic that will provide a live feed of the stream contents")
	f.IntVar(&partitions, "dst-topic-partitions", 1, "number of partitions to create for the destination topic")
	f.BoolVar(&createTopic, "create-dst-topic", false, "create dst-topic, overwriting if it already exists")
	f.StringVar(&source, "src-topic", "alerts-reservoir", "name of the Kafka topic that is the source of the stream")
	f.IntVar(&interval, "repeat-interval", -1, "interval to repeat the stream, in seconds. <0 means don't repeat")
	abbreviated(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if partitions < 1 || partitions > math.MaxInt32 {
			return fault.New(fault.BadInput, fmt.Sprintf("%d is no number of partitions", partitions), "a topic has 1 at least", c.CommandPath()+" --dst-topic-partitions 1")
		}
		login, err := r.login(c)
		if err != nil {
			return err
		}
		if createTopic {
			if err := r.recreate(c.Context(), login, topic, partitions); err != nil {
				return err
			}
		}
		every := time.Duration(interval) * time.Second
		var failed error
		player, err := simulator.NewPlayer(simulator.PlayConfig{Login: login, Source: source, Destination: topic, Interval: every,
			Observe: func(cycle simulator.Cycle) {
				failed = cycle.Err
				r.cycle(cycle, interval)
			}})
		if err != nil {
			return fault.Wrap(fault.BadInput, "this cannot be played", err, c.CommandPath()+" --help")
		}
		played, err := player.Run(c.Context())
		if interval >= 0 && c.Context().Err() != nil {
			err = nil // SIGTERM and Ctrl-C are how such a play ends
		} else if err == nil {
			err = failed
		}
		if err != nil {
			return fault.Wrap(fault.StepFailed, fmt.Sprintf("topic %s cannot be played to %s", source, topic), err,
				"make the first with create-stream, the second with --create-dst-topic, and allow the user to read and to write them")
		}
		_, err = fmt.Fprintf(r.out, "played %d alerts from the stream\n", played)
		return err
	}
	return c
}

// cycle logs one cycle of a repeated play.
func (r *referenceSim) cycle(cycle simulator.Cycle, interval int) {
	if interval < 0 || errors.Is(cycle.Err, context.Canceled) {
		return
	}
	took := cycle.Finished.Sub(cycle.Started).Seconds()
	r.info("play", "sent %d alerts in %.2fs (%.2f/s)", cycle.Alerts, took, float64(cycle.Alerts)/math.Max(took, 1e-6))
	switch {
	case cycle.Err != nil:
		fmt.Fprintf(r.err, "WARNING:rubin-alert-sim.play:the cycle is not whole: %v\n", cycle.Err)
	case interval > 0 && cycle.Missed > 0:
		fmt.Fprintf(r.err, "WARNING:rubin-alert-sim.play:unable to keep up with repeat interval: took %vs to run, interval is %d\n", took, interval)
	case interval > 0:
		r.info("play", "going to sleep for %.2fs", math.Max(float64(interval)-took, 0))
	}
}

func (r *referenceSim) print() *cobra.Command {
	var topic string
	c := &cobra.Command{
		Use:   "print-stream",
		Short: "Print the size of messages in the stream in real time",
		Long: `print-stream reads a topic in the consumer group rubin-alert-sim, from its beginning
the first time, and writes a line for each alert until Ctrl-C.

An id that is no alert schema's, such as the 1 that create-stream writes, is looked
for in the registry at SCHEMA_REGISTRY_URL, if there is one; else the message is read
with the schema that fits it.`,
		Example: "  rubin-alert-sim print-stream --src-topic=rubin_example_stream",
		Args:    cobra.NoArgs,
	}
	r.connection(c)
	c.Flags().StringVar(&topic, "src-topic", "alerts-reservoir", "name of the Kafka topic that is the source of the stream")
	abbreviated(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		login, err := r.login(c)
		if err != nil {
			return err
		}
		var schemas *registry.Client
		if url := r.getenv("SCHEMA_REGISTRY_URL"); url != "" {
			if schemas, err = registry.NewClient(url); err != nil {
				return err
			}
		}
		decoder := console.NewDecoder(schemas, console.SummaryOnly)
		fit := fitting{}
		err = r.followTopic(c.Context(), login, topic, referenceGroup, func(record *kgo.Record) error {
			m := decoder.Message(c.Context(), record)
			if m.Summary == nil {
				record.Value = fit.framed(record.Value)
				m = console.NewDecoder(nil, console.SummaryOnly).Message(c.Context(), record)
			}
			return r.printLine(m)
		})
		return fault.Wrap(fault.StepFailed, "topic "+topic+" cannot be read", err, "name a topic that is there: --src-topic TOPIC")
	}
	return c
}

// printLine writes one alert.
func (r *referenceSim) printLine(m console.Message) error {
	if m.ID == nil || m.Summary == nil {
		_, err := fmt.Fprintf(r.err, "WARNING:rubin-alert-sim.printer:message %d of partition %d is no alert: %s\n", m.Offset, m.Partition, first(m.Malformed, m.Unread))
		return err
	}
	_, err := fmt.Fprintf(r.out, "%s  id=%d  len(history)=%d  size=%d\n", time.Now().Format("2006-01-02 15:04:05.000000"), *m.ID, m.Summary.Sources, m.Bytes)
	return err
}

// fitting finds the schema of messages whose id tells none.
type fitting struct{ last *packet.Schema }

// framed gives a message the id of the published schema that reads it to its last
// byte, trying the one that fitted before and then the newest first; a message that
// none fits stays as it is.
func (f *fitting) framed(value []byte) []byte {
	_, body, err := packet.Unframe(value)
	if err != nil {
		return value
	}
	try := []*packet.Schema{f.last}
	versions := packet.Versions()
	for i := len(versions) - 1; i >= 0; i-- {
		if s, err := packet.Published(versions[i]); err == nil {
			try = append(try, s)
		}
	}
	for _, s := range try {
		if s == nil {
			continue
		}
		if _, err := s.Decode(body); err == nil {
			f.last = s
			return packet.Frame(uint32(s.ID()), body)
		}
	}
	return value
}
