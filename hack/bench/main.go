// Command bench measures the built program from outside, as its user would, and
// writes what it found as a Markdown document.
//
//	go run ./hack/bench -out docs/benchmarks.md
//	go run ./hack/bench -only archive,database -rounds 1
//	go run ./hack/rig env -- go run ./hack/bench -kubernetes -out docs/benchmarks.md
//
// It needs Linux (memory and CPU time are read from /proc) and about 10 GB of
// free disk under TMPDIR. It uses labs and a state directory of its own and
// deletes them when it ends, also on Ctrl-C. All figures take about a quarter of an
// hour, of which steady takes 20 visits of 37 s.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/alertlab/alertlab/hack/benchdoc"
	"github.com/alertlab/alertlab/hack/ending"
)

const (
	// alerts and packetSize are one visit of the survey.
	alerts     = 10_000
	packetSize = "80kB"
	// neededDisk is room for a lab that has played full visits: its reservoir,
	// the topic up to its retention.bytes, a topic of our own, the archive.
	neededDisk = 10 << 30
	// settle is how long a lab is left alone before it counts as idle.
	settle = 3 * time.Second
)

// groups are the names that -only takes, in the order in which they run.
var groups = []string{"up", "play", "sync", "archive", "database", "steady", "tui"}

func main() { os.Exit(ending.Main(run)) }

func run(ctx context.Context) (err error) {
	out := flag.String("out", "", "file to write the document to (default: standard output)")
	rounds := flag.Int("rounds", 0, "rounds of everything but steady (default: 5 of the short ones, 3 of the visits)")
	cycles := flag.Int("cycles", 20, "visits of steady, 37 s each")
	only := flag.String("only", strings.Join(groups, ","), "what to measure")
	always := flag.Bool("profile", false, "show where CPU time goes also where every figure is reached")
	kubernetes := flag.Bool("kubernetes", false, "measure labs on Kubernetes, and nothing else; what follows -- are the flags of up that make one (default: the profile ci on k3d, by Helm and by Argo CD)")
	six := flag.Bool("six", true, "with -kubernetes: also send alerts through six brokers")
	flag.Parse()
	chosen := strings.Split(*only, ",")
	for _, name := range chosen {
		if !slices.Contains(groups, name) {
			return fmt.Errorf("-only %q: there are %s", name, strings.Join(groups, ", "))
		}
	}
	if (flag.NArg() > 0 && !*kubernetes) || *rounds < 0 || *cycles < 2 {
		return errors.New("usage: go run ./hack/bench [-out FILE] [-rounds N] [-cycles N] [-only " + strings.Join(groups, ",") + "] [-profile], or -kubernetes [-out FILE] [-rounds N] [-six=false] [-- FLAGS OF up]")
	}
	short, visits := 5, 3
	if *rounds > 0 {
		short, visits = *rounds, *rounds
	}

	work, err := os.MkdirTemp("", "alertlab-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	free, err := freeDisk(work)
	if err != nil {
		return err
	}
	if free < neededDisk {
		return fmt.Errorf("%s has %.1f GB free and %.0f GB are needed; set TMPDIR to a larger disk", os.TempDir(), float64(free)/1e9, float64(neededDisk)/1e9)
	}
	b := &bench{binary: filepath.Join(work, "alertlab"), work: work, say: os.Stderr, doc: newDocument()}
	build := exec.CommandContext(ctx, "go", "build", "-o", b.binary, "github.com/alertlab/alertlab")
	if *kubernetes {
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // pods run it
	}
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, text)
	}
	if *kubernetes {
		labs := onCluster
		if flag.NArg() > 0 {
			labs = [][]string{flag.Args()}
		}
		measured := b.kubernetes(ctx, visits, labs, *six)
		if len(b.doc.figures) == 0 {
			return measured
		}
		for _, name := range b.doc.missedAll() {
			fmt.Fprintln(b.say, "not as it is to be:", name)
		}
		// What was measured is written down whatever failed after it.
		text := b.doc.clusterMarkdown(os.Args[1:])
		if *out == "" {
			_, err = fmt.Print(text)
		} else {
			err = benchdoc.Put(*out, "kubernetes", text)
		}
		return errors.Join(measured, err)
	}

	has := func(name string) bool { return slices.Contains(chosen, name) }
	if has("up") {
		for i := range short {
			if err := b.up(ctx, i); err != nil {
				return err
			}
		}
	}
	ofVisits := slices.DeleteFunc([]string{"play", "archive", "database"}, func(name string) bool { return !has(name) })
	if len(ofVisits) > 0 {
		if err := b.visits(ctx, visits, ofVisits); err != nil {
			return err
		}
	}
	if has("sync") {
		if err := b.sync(ctx, visits); err != nil {
			return err
		}
	}
	if has("steady") {
		if err := b.steady(ctx, *cycles); err != nil {
			return err
		}
	}
	// What was measured is written down whatever becomes of the profiles.
	var unprofiled error
	for _, name := range ofVisits {
		if *always || b.doc.missed(name) {
			unprofiled = errors.Join(unprofiled, b.profile(ctx, name))
		}
	}
	if len(chosen) > 1 || !has("tui") {
		err = write(*out, "lab", b.doc.markdown(os.Args[1:]))
	}
	if has("tui") {
		tui := newDocument()
		for i := range short {
			if err := b.tui(ctx, tui, i); err != nil {
				return err
			}
		}
		err = errors.Join(err, write(*out, "tui", tui.tuiMarkdown()))
	}
	return errors.Join(err, unprofiled)
}

// write puts a section into the document, or on standard output where there is none.
func write(out, section, text string) error {
	if out == "" {
		_, err := fmt.Print(text)
		return err
	}
	return benchdoc.Put(out, section, text)
}

// bench holds what all measurements share.
type bench struct {
	binary, work string
	say          io.Writer // what happens now, for who waits
	doc          *document
}

// up measures a lab of the profile local from nothing.
func (b *bench) up(ctx context.Context, round int) (err error) {
	fmt.Fprintf(b.say, "up, round %d\n", round+1)
	l := b.newLab(fmt.Sprintf("up%d", round))
	defer func() { err = errors.Join(err, l.purge(ctx)) }()
	for _, one := range []struct {
		name   string
		target target
		args   []string
	}{
		{"`alertlab up`, from nothing", under(1), []string{"up", "--progress", "quiet"}},
		{"`alertlab up`, nothing to do", under(0.3), []string{"up", "--progress", "quiet"}},
		{"`alertlab version`", under(0.15), []string{"version"}},
	} {
		done, err := l.alertlab(ctx, one.args...)
		if err != nil {
			return err
		}
		b.doc.add(one.name, "s", one.target, done.took.Seconds())
	}
	// The first visit is part of coming up, not of being idle.
	if err := l.connect(ctx); err != nil {
		return err
	}
	if err := l.awaitVisit(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, settle); err != nil {
		return err
	}
	memory, err := l.memory()
	if err != nil {
		return err
	}
	b.doc.add("memory of an idle lab", "MB", under(250), float64(memory)/1e6)
	return nil
}

// fullVisits brings up a lab of full visits, whose own simulator plays one when it
// starts and then none for a day, and waits until that one is archived.
func (b *bench) fullVisits(ctx context.Context, name string, overrides ...string) (*lab, error) {
	l := b.newLab(name, append(overrides, fmt.Sprintf("ALERTLAB_SIMULATOR_ALERTS=%d", alerts), "ALERTLAB_SIMULATOR_PACKET_SIZE="+packetSize,
		"ALERTLAB_SIMULATOR_INTERVAL=24h")...)
	_, err := l.alertlab(ctx, "up", "--progress", "quiet")
	if err == nil {
		err = l.connect(ctx)
	}
	if err == nil {
		err = l.awaitVisit(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.purge(ctx))
	}
	return l, nil
}

// visitFigures are the groups that are measured on a lab of full visits.
func (b *bench) visitFigures() map[string]func(context.Context, *lab) error {
	return map[string]func(context.Context, *lab) error{
		"play":     func(ctx context.Context, l *lab) error { return b.play(ctx, l, "play alone") },
		"archive":  b.archive,
		"database": b.database,
	}
}

// visits measures full visits in one lab.
func (b *bench) visits(ctx context.Context, rounds int, chosen []string) (err error) {
	fmt.Fprintln(b.say, "a lab with full visits")
	l, err := b.fullVisits(ctx, "visits")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.purge(ctx)) }()
	for i := range rounds {
		for _, name := range chosen {
			fmt.Fprintf(b.say, "%s, round %d\n", name, i+1)
			b.doc.group = name
			if err := b.visitFigures()[name](ctx, l); err != nil {
				return err
			}
		}
	}
	b.doc.group = ""
	return nil
}

// sync measures a visit into brokers that write to the disk before they acknowledge,
// where the profile knows that.
func (b *bench) sync(ctx context.Context, rounds int) (err error) {
	const name = "play alone, with `sync: true`"
	key, err := b.profileKey(ctx, "sync")
	if err != nil {
		return err
	}
	if key == "" {
		b.doc.skip(name, "the profile has no such key")
		return nil
	}
	fmt.Fprintf(b.say, "a lab with full visits and %s=true\n", key)
	l := b.newLab("sync", fmt.Sprintf("ALERTLAB_SIMULATOR_ALERTS=%d", alerts), "ALERTLAB_SIMULATOR_PACKET_SIZE="+packetSize, "ALERTLAB_SIMULATOR_INTERVAL=24h")
	defer func() { err = errors.Join(err, l.purge(ctx)) }()
	if _, err := l.alertlab(ctx, "up", "--progress", "quiet", "--set", key+"=true"); err != nil {
		return err
	}
	if err := l.connect(ctx); err != nil {
		return err
	}
	if err := l.awaitVisit(ctx); err != nil {
		return err
	}
	for i := range rounds {
		fmt.Fprintf(b.say, "sync, round %d\n", i+1)
		if err := b.play(ctx, l, name); err != nil {
			return err
		}
	}
	return nil
}

// profileKey finds a key of profiles by its last part, "" when there is none.
func (b *bench) profileKey(ctx context.Context, last string) (string, error) {
	done, err := b.newLab("none").alertlab(ctx, "profile", "schema")
	if err != nil {
		return "", err
	}
	var schema map[string]any
	if err := json.Unmarshal(done.out, &schema); err != nil {
		return "", err
	}
	return keyBelow(schema, last), nil
}

// keyBelow looks for a property through nested objects of a JSON schema, and gives
// its path.
func keyBelow(schema map[string]any, last string) string {
	properties, _ := schema["properties"].(map[string]any)
	for name, below := range properties {
		if name == last {
			return name
		}
		if object, ok := below.(map[string]any); ok {
			if found := keyBelow(object, last); found != "" {
				return name + "." + found
			}
		}
	}
	return ""
}

// play measures a visit into a topic that nobody reads.
func (b *bench) play(ctx context.Context, l *lab, name string) (err error) {
	const topic = "bench-play"
	if err := l.createTopicLike(ctx, topic, l.topic); err != nil {
		return err
	}
	defer func() {
		_, gone := l.admin.DeleteTopic(context.WithoutCancel(ctx), topic)
		err = errors.Join(err, gone)
	}()
	// What earlier visits left to be written is not this one's burden.
	unix.Sync()
	meter, err := l.startMeter()
	if err != nil {
		return err
	}
	visit, err := l.play(ctx, meter.also, "--topic", topic)
	if err != nil {
		return err
	}
	used, err := meter.stop()
	if err != nil {
		return err
	}
	limit := under(3)
	if name != "play alone" { // as fast as the disk is
		limit = none
	}
	b.doc.add(name, "s", limit, visit.took.Seconds())
	b.doc.add(name+": alerts acknowledged", "1/s", none, alerts/visit.took.Seconds())
	b.doc.add(name+": CPU of lab and player", "s", none, (used.runner + used.store + visit.cpu).Seconds())
	b.doc.add(name+": cores taken by others", "cores", none, used.others(visit.cpu))
	return nil
}

// archive measures a visit into the lab's own topic until its ingester has
// stored every object and committed every offset.
func (b *bench) archive(ctx context.Context, l *lab) error {
	// What earlier visits left to be written is not this one's burden.
	unix.Sync()
	meter, err := l.startMeter()
	if err != nil {
		return err
	}
	visit, err := l.play(ctx, meter.also)
	if err != nil {
		return err
	}
	if err := l.awaitArchived(ctx); err != nil {
		return err
	}
	end := time.Now()
	used, err := meter.stop()
	if err != nil {
		return err
	}
	whole := end.Sub(visit.started)
	b.doc.add("play while archiving", "s", none, visit.took.Seconds())
	b.doc.add("visit played and archived", "s", under(10), whole.Seconds())
	b.doc.add("archived after the last acknowledgement", "s", none, end.Sub(visit.started.Add(visit.took)).Seconds())
	b.doc.add("alerts archived per second", "1/s", atLeast(1000), alerts/whole.Seconds())
	b.doc.add("play and archive: CPU of lab and player", "s", none, (used.runner + used.store + visit.cpu).Seconds())
	b.doc.add("of it brokers, ingester, registry", "s", none, used.runner.Seconds())
	b.doc.add("of it object store", "s", none, used.store.Seconds())
	b.doc.add("of it player", "s", none, visit.cpu.Seconds())
	b.doc.add("play and archive: peak memory of lab and player", "MB", none, float64(used.peak)/1e6)
	b.doc.add("play and archive: cores taken by others", "cores", none, used.others(visit.cpu))
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
