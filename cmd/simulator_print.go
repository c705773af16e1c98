package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) simulatorPrint() *cobra.Command {
	var (
		limit int
		full  bool
		where placeFlags
	)
	c := &cobra.Command{
		Use:   "print [FILE]",
		Short: "Print the alerts of a file, the reservoir or a topic",
		Long: `print writes a line for each alert: its time in the visit (the header
alertsim-time-offset; of a topic without it, when it was published), its id, the
length of its history and its size, as the observatory's rubin-alert-sim does, and
after them the schema and what was measured. It begins with the first alert that is
there and ends with the last.

-o json writes each alert whole, as a JSON object on a line; cutouts stand there as
their size, with --full in base64.

` + kafkaText,
		Example: `  alertlab simulator print visit.avro --limit 3
  alertlab simulator print
  alertlab simulator print --topic alerts-simulated --limit 1 -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	f := c.Flags()
	f.IntVar(&limit, "limit", 0, "how many alerts; 0 for all")
	f.BoolVar(&full, "full", false, "with -o json: cutouts in base64, not as their size")
	where.add(c, false, false)
	f.StringVar(&where.static, "topic", "", "topic to print (default: the reservoir)")
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case limit < 0:
			return fault.New(fault.BadInput, fmt.Sprintf("%d is no limit", limit), "it is a number of alerts, 0 for all", c.CommandPath()+" --help")
		case full && *output != "json":
			return fault.New(fault.BadInput, "--full goes with -o json", "a line has no room for whole alerts", "alertlab simulator print --full -o json")
		case len(args) == 1 && (where.static != "" || where.bootstrap != ""):
			return fault.New(fault.BadInput, "a file or a topic is printed, not both", args[0]+" is named as well", "alertlab simulator print "+args[0])
		}
		shown := depth(*output, full)
		show := a.alertLine
		if *output == "json" {
			enc := json.NewEncoder(a.out)
			enc.SetEscapeHTML(false)
			show = func(m console.Message) error { return enc.Encode(m) }
		}
		if len(args) == 1 {
			return printFile(c.Context(), args[0], limit, console.NewDecoder(nil, shown), show)
		}
		return a.printReservoir(c, &where, limit, shown, show)
	}
	return c
}

// printFile prints the alerts of a file as they would be in the reservoir.
func printFile(ctx context.Context, path string, limit int, decoder *console.Decoder, show func(console.Message) error) error {
	file := &visitFile{path: path}
	var err error
	if file.from, err = schemaOfFile(path); err != nil {
		return err
	}
	file.to = file.from
	decoder.Know(file.from)
	shown := 0
	enough := errors.New("enough")
	err = simulator.Departures(ctx, file.open, func(r *kgo.Record) error {
		m := decoder.Message(ctx, r)
		m.Topic = path
		if err := show(m); err != nil {
			return err
		}
		if shown++; shown == limit {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// schemaOfFile reads the header of a container.
func schemaOfFile(path string) (*packet.Schema, error) {
	source, schema, err := (&visitFile{path: path}).raw()
	if err != nil {
		return nil, err
	}
	return schema, source.Close()
}

func (a *app) printReservoir(c *cobra.Command, where *placeFlags, limit, depth int, show func(console.Message) error) error {
	ground, err := a.cluster(c, where)
	if err != nil {
		return err
	}
	client, err := kafka.NewClient(ground.login, console.Options()...)
	if err != nil {
		return err
	}
	defer client.Close()
	var schemas *registry.Client
	if ground.registry != "" {
		if schemas, err = registry.NewClient(ground.registry); err != nil {
			return err
		}
	}
	decoder := console.NewDecoder(schemas, depth)
	from, err := console.ParseFrom("earliest")
	if err != nil {
		return err
	}
	shown := 0
	err = console.New(client).Messages(c.Context(), console.Query{Topic: ground.static, Partition: -1, From: from, Limit: limit}, func(r *kgo.Record) error {
		shown++
		return show(decoder.Message(c.Context(), r))
	})
	var unknown *console.UnknownError
	switch {
	case errors.As(err, &unknown):
		return &fault.Fault{What: fmt.Sprintf("there is no topic %q", unknown.Name), Why: "there are: " + strings.Join(unknown.Known, ", "),
			Next: "alertlab simulator print --topic TOPIC", Code: fault.BadInput, Err: err}
	case err == nil && shown == 0:
		fmt.Fprintf(a.err, "topic %s is empty\n", ground.static)
	}
	return err
}

// alertLine writes one alert on a line, beginning as rubin-alert-sim's print-stream
// does.
func (a *app) alertLine(m console.Message) error {
	at := m.Time.Format("2006-01-02 15:04:05.000000")
	for _, h := range m.Headers {
		if h.Key == simulator.OffsetHeader {
			at = "+" + h.Value + " s"
			if strings.HasPrefix(h.Value, "-") {
				at = h.Value + " s"
			}
			if d, err := simulator.ParseOffset([]byte(h.Value)); err == nil {
				at = fmt.Sprintf("%+10.6f s", d.Seconds())
			}
		}
	}
	id, history := "-", 0
	if m.ID != nil {
		id = fmt.Sprint(*m.ID)
	}
	if m.Summary != nil {
		history = m.Summary.Sources
	}
	schema := "-"
	if m.Schema != nil {
		schema = first(m.Schema.Version, fmt.Sprint(m.Schema.ID))
	}
	_, err := fmt.Fprintf(a.out, "%s  id=%s  len(history)=%d  size=%d  schema=%s  %s\n", at, id, history, m.Bytes, schema, measuredText(m))
	return err
}

// measuredText says what was measured, or why that cannot be said.
func measuredText(m console.Message) string {
	text := contentText(m)
	if m.Summary == nil {
		return text
	}
	// Its size stands before; the cutouts are worth a word.
	text = strings.TrimSuffix(text, fmt.Sprintf(", %d bytes", m.Bytes))
	var sizes []string
	for _, name := range []string{"cutoutDifference", "cutoutScience", "cutoutTemplate"} {
		if n, ok := m.Summary.Cutouts[name]; ok {
			sizes = append(sizes, fmt.Sprint(n))
		}
	}
	if len(sizes) > 0 {
		text += ", cutouts " + strings.Join(sizes, "+") + " bytes"
	}
	return text
}

// followTopic prints the alerts of a topic as they come, in the group of the
// observatory's program, until ctx ends.
func (a *app) followTopic(ctx context.Context, login kafka.Login, topic, group string, show func(*kgo.Record) error) error {
	client, err := kafka.NewClient(login, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		// What was printed is not printed again; a group that cannot commit says so
		// with the next run, not now.
		_ = client.CommitUncommittedOffsets(late)
	}()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for _, e := range fetches.Errors() {
			return fmt.Errorf("topic %s: %w", e.Topic, e.Err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if err := show(it.Next()); err != nil {
				return err
			}
		}
	}
}
