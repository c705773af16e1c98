package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) simulatorPlay() *cobra.Command {
	var (
		input, schema string
		interval      time.Duration
		quiet         bool
		where         placeFlags
	)
	c := &cobra.Command{
		Use:   "play",
		Short: "Play a file or the reservoir into a topic, once or at an interval",
		Long: `play plays a visit into the topic that the community reads: each alert at its time
after the first one, once, or with --interval again and again until Ctrl-C. Visits
begin on a grid of times: one that is late does not shift those after it, and one
that lasts longer than the interval costs the points that it runs over, which are
reported as missed.

The visit is that of the reservoir, or with --input that of an Avro object container
file, which is read to its end first and then directly: the reservoir stays what it
is. --schema writes the file's alerts in another version of the schema.

In a lab this goes on beside the lab's own simulator; the visits of both are in the
topic then, and smoke tells them apart by their producers. "alertlab simulator pause"
lets the lab's simulator rest meanwhile.

` + kafkaText,
		Example: `  alertlab simulator play
  alertlab simulator play --input visit.avro --interval 37s
  alertlab simulator play --bootstrap kafka:9094 --topic alerts-simulated --interval 37s`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&input, "input", "", "Avro object container file to play instead of the reservoir")
	f.StringVar(&schema, "schema", "", "with --input: alert schema version to write the alerts in")
	f.DurationVar(&interval, "interval", -1, "time between the starts of two visits; 0 without a pause, negative once (the default)")
	f.BoolVarP(&quiet, "quiet", "q", false, "show no progress of checking the file")
	where.add(c, true, true)
	f.StringVar(&where.static, "source", "", "the same as --static-topic")
	must(f.MarkHidden("source"))
	must(c.RegisterFlagCompletionFunc("schema", completeSchemas))
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		help := "alertlab simulator play --help"
		switch {
		case input == "" && f.Changed("input"):
			return fault.New(fault.BadInput, "no file is named", "--input is empty", "alertlab simulator play --input FILE")
		case input == "" && schema != "":
			return fault.New(fault.BadInput, "--schema goes with --input", "the reservoir is played as it was loaded", "alertlab simulator create FILE --schema "+schema)
		case input != "" && where.static != "":
			return fault.New(fault.BadInput, "a file or a reservoir is played, not both", "--input and --static-topic are given", help)
		}
		var file *visitFile
		var err error
		if input != "" {
			if file, err = a.checkVisit(c.Context(), input, schema, quiet); err != nil {
				return err
			}
		}
		kafka, err := a.cluster(c, &where)
		if err != nil {
			return err
		}
		var last error
		cfg := simulator.PlayConfig{Login: kafka.login, Source: kafka.static, Destination: kafka.topic, Interval: interval,
			Observe: func(cycle simulator.Cycle) { last = a.printCycle(cycle, *output) }}
		if file != nil {
			cfg.Source, cfg.Input = file.path, file.open
		}
		player, err := simulator.NewPlayer(cfg)
		if err != nil {
			return fault.Wrap(fault.BadInput, "this cannot be played", err, help)
		}
		_, err = player.Run(c.Context())
		if interval >= 0 && c.Context().Err() != nil {
			return nil // Ctrl-C is how such a play ends
		}
		if err != nil {
			return kafka.absentTopic(err, kafka.topic)
		}
		return last
	}
	return c
}

func (a *app) printCycle(cycle simulator.Cycle, output string) error {
	took := cycle.Finished.Sub(cycle.Started)
	if output == "json" {
		line := struct {
			Visit    int            `json:"visit"`
			Due      time.Time      `json:"due"`
			Started  time.Time      `json:"started"`
			Took     event.Duration `json:"took"`
			Lateness event.Duration `json:"lateness"`
			Alerts   int64          `json:"alerts"`
			Bytes    int64          `json:"bytes"`
			Missed   int            `json:"missed"`
			Error    string         `json:"error,omitempty"`
		}{cycle.N, cycle.Due, cycle.Started, event.Duration(took), event.Duration(cycle.Lateness), cycle.Alerts, cycle.Bytes, cycle.Missed, ""}
		if cycle.Err != nil {
			line.Error = cycle.Err.Error()
		}
		return json.NewEncoder(a.out).Encode(line)
	}
	text := fmt.Sprintf("visit %d: %d alerts, %d bytes, in %.2f s", cycle.N+1, cycle.Alerts, cycle.Bytes, took.Seconds())
	if cycle.Missed > 0 {
		text += fmt.Sprintf(", %d visits missed", cycle.Missed)
	}
	switch {
	case errors.Is(cycle.Err, context.Canceled):
		text += ", interrupted"
	case cycle.Err != nil:
		text += ": " + cycle.Err.Error()
	}
	_, err := fmt.Fprintln(a.out, text)
	return err
}
