package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/content/schemas"
	"github.com/alertlab/alertlab/internal/strictyaml"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) simulator() *cobra.Command {
	c := &cobra.Command{
		Use:   "simulator",
		Short: "Generate visits, load the reservoir, play it",
		Long: `The simulator publishes one visit of alerts again and again. The visit lies in a
topic of its own, the reservoir, each alert with its offset in time from the first;
the lab plays it into the public topic at the profile's interval. These verbs make
a visit, put another one into the reservoir, play one beside the lab or into any
Kafka, let the lab's simulator rest, and print what is there.`,
		Example: `  alertlab simulator generate visit.avro
  alertlab simulator create visit.avro
  alertlab simulator play --input visit.avro --interval 37s
  alertlab simulator pause
  alertlab simulator print --limit 3`,
	}
	c.AddCommand(a.simulatorGenerate(), a.simulatorCreate(), a.simulatorPlay(), a.simulatorPause(), a.simulatorResume(), a.simulatorPrint())
	return c
}

func (a *app) simulatorGenerate() *cobra.Command {
	var (
		schema, codec string
		cfg           packet.VisitConfig
		quiet         bool
	)
	codecs := []string{"null", "deflate", "snappy", "zstandard"} // of Avro object container files
	c := &cobra.Command{
		Use:   "generate FILE",
		Short: "Write a synthetic visit to an Avro object container file",
		Long: `generate makes one visit of plausible alerts: sources in one field of view with
light curves, forced photometry, some solar-system objects, and cutouts that are
FITS stamps. The same arguments make the same file content.`,
		Example: `  alertlab simulator generate visit.avro
  alertlab simulator generate --alerts 10000 --schema 7.4 --codec zstandard visit.avro`,
		Args: cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVar(&schema, "schema", "11.0", "alert schema version, also a draft of the lab")
	f.IntVar(&cfg.Alerts, "alerts", 300, "number of alerts")
	cfg.PacketBytes = packet.DefaultPacketBytes
	f.Var(sizeFlag{&cfg.PacketBytes}, "packet-size", "mean size of a packet, e.g. 80kB or 64KiB")
	f.Uint64Var(&cfg.Seed, "seed", 1, "another seed makes other alerts")
	f.Int64Var(&cfg.Visit, "visit", 2026112100001, "number of the visit")
	f.Float64Var(&cfg.MidpointMjdTai, "midpoint", 61365.25, "time of the visit, MJD days TAI")
	f.StringVar(&codec, "codec", "null", "compression of the file: "+strings.Join(codecs, ", "))
	f.BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	must(c.RegisterFlagCompletionFunc("codec", cobra.FixedCompletions(codecs, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("schema", completeSchemas))
	c.RunE = func(c *cobra.Command, args []string) error {
		if cfg.Alerts < 1 {
			return fault.New(fault.BadInput, fmt.Sprintf("a visit of %d alerts is none", cfg.Alerts), "--alerts is at least 1", "alertlab simulator generate --alerts 300 FILE")
		}
		if !slices.Contains(codecs, codec) {
			return fault.New(fault.BadInput, fmt.Sprintf("%q is no codec", codec), "there are "+strings.Join(codecs, ", "), "alertlab simulator generate --codec null FILE")
		}
		var err error
		if cfg.Schema, err = a.schemaOf(schema); err != nil {
			return fault.Wrap(fault.BadInput, "the schema cannot be used", fmt.Errorf("%w (there are %s)", err, strings.Join(append(schemas.Versions(), a.draftVersions()...), ", ")), "alertlab simulator generate --schema 11.0 FILE")
		}
		visit, err := packet.NewVisit(cfg)
		if err != nil {
			return fault.Wrap(fault.BadInput, "such a visit cannot be made", visitWords(err), "alertlab simulator generate --help")
		}
		began := time.Now()
		size, err := a.writeVisit(c.Context(), args[0], visit, cfg.Schema, codec, quiet)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s: %d alerts of schema %s, %d bytes, in %.1f s\n", args[0], visit.Len(), cfg.Schema.Version(), size, time.Since(began).Seconds())
		return err
	}
	return c
}

func completeSchemas(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return schemas.Versions(), cobra.ShellCompDirectiveNoFileComp
}

// writeVisit writes a visit to a file that appears only once it is whole.
func (a *app) writeVisit(ctx context.Context, path string, visit *packet.Visit, schema *packet.Schema, codec string, quiet bool) (int64, error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return 0, fault.Wrap(fault.BadInput, "the file cannot be written", err, "alertlab simulator generate FILE")
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	w, err := packet.NewContainerWriter(tmp, schema, codec)
	if err != nil {
		return 0, fault.Wrap(fault.BadInput, "the file cannot be written", err, "alertlab simulator generate --codec null FILE")
	}
	source := simulator.Visit(visit, 4*runtime.NumCPU())
	if closer, ok := source.(io.Closer); ok {
		defer closer.Close()
	}
	err = a.showing(ctx, quiet, "generate", fmt.Sprintf("generate %d alerts", visit.Len()), func(ctx context.Context, progress func(done, total int64, unit string)) error {
		for done := int64(1); ; done++ {
			body, err := source.Next(ctx)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := w.Append(body); err != nil {
				return err
			}
			if done%64 == 0 || done == int64(visit.Len()) {
				progress(done, int64(visit.Len()), "alerts")
			}
		}
	})
	if err != nil {
		return 0, err
	}
	if err := errors.Join(w.Close(), tmp.Chmod(0o644)); err != nil {
		return 0, err
	}
	info, err := tmp.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(tmp.Name(), path)
}

// showing runs one piece of counted work and shows it as a walk of one step.
func (a *app) showing(ctx context.Context, quiet bool, key, title string, work func(context.Context, func(done, total int64, unit string)) error) error {
	progress := "auto"
	if quiet {
		progress = "quiet"
	}
	return a.follow(ctx, progress, func(ctx context.Context, sink event.Sink) error {
		began := time.Now()
		emit := func(e event.Event) {
			e.Time, e.Lab, e.Elapsed = time.Now(), a.lab, event.Duration(time.Since(began))
			sink(e)
		}
		emit(event.Event{Kind: event.Planned, Text: key, Steps: []event.Step{{Key: key, Action: key, Title: title}}})
		emit(event.Event{Kind: event.Began, Step: key, Action: key})
		err := work(ctx, func(done, total int64, unit string) {
			emit(event.Event{Kind: event.Progress, Step: key, Count: done, Total: total, Unit: unit})
		})
		if err != nil {
			return err
		}
		emit(event.Event{Kind: event.Done, Step: key, Action: key})
		emit(event.Event{Kind: event.Finished, Text: key})
		return nil
	})
}

// sizeFlag is a number of bytes, written as a profile's sizes are.
type sizeFlag struct{ bytes *int }

func (s sizeFlag) String() string {
	if s.bytes == nil { // pflag asks a zero value what it would print
		return ""
	}
	return strictyaml.FormatSize(int64(*s.bytes))
}

func (s sizeFlag) Set(text string) error {
	n, err := strictyaml.ParseSize(text)
	if err != nil {
		return err
	}
	if n > math.MaxInt32 {
		return fmt.Errorf("%s is no size of a packet: it is 2 GiB at most", text)
	}
	*s.bytes = int(n)
	return nil
}

func (sizeFlag) Type() string { return "size" }
