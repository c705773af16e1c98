package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
)

func (a *app) simulatorCreate() *cobra.Command {
	var (
		quiet, replace bool
		schema         string
		where          placeFlags
	)
	c := &cobra.Command{
		Use:   "create FILE",
		Short: "Load the reservoir from an Avro object container file",
		Long: `create replaces what the lab's simulator replays by the alerts of a file: one
visit, in the order of the file, each encoded as the file has it, with the schema
id of the file's own schema, and its time after the first alert in the header
alertsim-time-offset. The simulator plays it from its next visit on, and up keeps
it. "alertlab simulator create --profile" goes back to the visit of the profile.

The file is read to its end before anything is replaced.

--schema writes the alerts anew in another version of the schema. Ids and times are
kept, fields that were renamed are carried over; what the other version has no place
for, and what it has and the file does not, is listed.

` + kafkaText + `
A reservoir there that holds alerts is replaced with --replace only.`,
		Example: `  alertlab simulator create visit.avro
  alertlab simulator create sample-alert-v4.0.avro --schema 11.0
  alertlab simulator create --profile
  alertlab simulator create visit.avro --bootstrap kafka:9094 --static-topic alerts-static`,
		Args: cobra.MaximumNArgs(1),
	}
	back := c.Flags().Bool("profile", false, "load the profile's own synthetic visit again")
	c.Flags().StringVar(&schema, "schema", "", "alert schema version to write the alerts in (default: the file's own)")
	c.Flags().BoolVar(&replace, "replace", false, "in a Kafka that is no lab's: delete what the reservoir holds")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	where.add(c, true, false)
	must(c.RegisterFlagCompletionFunc("schema", completeSchemas))
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		if (len(args) == 1) == *back {
			return fault.New(fault.BadInput, "a file or --profile is needed, and not both", "each says what to load", "alertlab simulator create FILE")
		}
		if *back {
			return a.profileReservoir(c, &where, schema)
		}
		kafka, err := a.cluster(c, &where)
		if err != nil {
			return err
		}
		file, err := a.checkVisit(c.Context(), args[0], schema, quiet)
		if err != nil {
			return err
		}
		own := kafka.lab && where.static == ""
		m, err := a.loadReservoir(c.Context(), file, kafka, own || replace, quiet)
		if err != nil {
			return kafka.absentTopic(err, kafka.static)
		}
		if own {
			// Written down as wanted, so that the next up does not undo it.
			if err := a.keepReservoir(c.Context(), file, m); err != nil {
				return err
			}
		}
		return a.printLoad(file, m, *output)
	}
	return c
}

// profileReservoir has up load the profile's visit again.
func (a *app) profileReservoir(c *cobra.Command, where *placeFlags, schema string) error {
	if where.bootstrap != "" || where.static != "" || schema != "" {
		return fault.New(fault.BadInput, "--profile is for the lab's own reservoir", "its profile says which visit that is, and in which schema", "alertlab simulator create --profile")
	}
	dir, client, err := a.needRunning(c.Context())
	if err != nil {
		return err
	}
	return a.follow(c.Context(), "auto", func(ctx context.Context, sink event.Sink) error {
		return change(ctx, dir, client, sink, func(ch *runner.Change) error { ch.Description.Reservoir = nil; return nil })
	})
}

func (a *app) loadReservoir(ctx context.Context, file *visitFile, kafka playground, replace, quiet bool) (m simulator.Manifest, err error) {
	source, schema, err := file.open()
	if err != nil {
		return m, err
	}
	if closer, ok := source.(io.Closer); ok {
		defer closer.Close()
	}
	err = a.showing(ctx, quiet, "create", "load "+file.path+" into "+kafka.static, func(ctx context.Context, progress func(done, total int64, unit string)) error {
		m, err = simulator.Create(ctx, simulator.CreateConfig{Login: kafka.login, Topic: kafka.static, Source: source, Schema: schema, Replace: replace,
			Total: file.alerts, Progress: func(done, total, _ int64) { progress(done, total, "alerts") }})
		return err
	})
	return m, err
}

// keepReservoir writes down that the lab's reservoir is this file.
func (a *app) keepReservoir(ctx context.Context, file *visitFile, m simulator.Manifest) error {
	dir, client, err := a.needRunning(ctx)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(file.path)
	if err != nil {
		return err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	loaded := &state.Reservoir{File: path, Manifest: string(text)}
	if file.to != file.from {
		loaded.Schema = file.to.Version().String()
	}
	return change(ctx, dir, client, func(event.Event) {}, func(ch *runner.Change) error { ch.Description.Reservoir = loaded; return nil })
}

// printLoad says what was loaded, and what was lost on the way.
func (a *app) printLoad(file *visitFile, m simulator.Manifest, output string) error {
	if output == "json" {
		type loss struct {
			Field   string `json:"field"`
			Default string `json:"default,omitempty"` // what was written instead
			Alerts  int64  `json:"alerts"`
		}
		out := struct {
			File       string             `json:"file"`
			FileSchema string             `json:"fileSchema"`
			Schema     string             `json:"schema"`
			Loaded     simulator.Manifest `json:"loaded"`
			Dropped    []loss             `json:"dropped"`
			Defaulted  []loss             `json:"defaulted"`
		}{file.path, file.from.Version().String(), file.to.Version().String(), m, []loss{}, []loss{}}
		for _, l := range file.losses {
			if entry := (loss{l.Field, l.Default, l.Alerts}); l.Dropped {
				out.Dropped = append(out.Dropped, entry)
			} else {
				out.Defaulted = append(out.Defaulted, entry)
			}
		}
		return a.printJSON(out)
	}
	if _, err := fmt.Fprintf(a.out, "%s holds %d alerts of %s now (schema id %d, %d bytes)\n", m.Topic, m.Alerts, file.path, m.SchemaID, m.Bytes); err != nil {
		return err
	}
	if file.to.Canonical() == file.from.Canonical() {
		return nil
	}
	was := file.from.Version().String()
	if file.from.Version() == (packet.Version{}) {
		was = "the file"
	}
	fmt.Fprintf(a.out, "written anew in schema %s instead of %s; ids and times are kept\n", file.to.Version(), was)
	for _, line := range lossLines(file.losses, file.alerts, 100) {
		if _, err := fmt.Fprintln(a.out, line); err != nil {
			return err
		}
	}
	return nil
}
