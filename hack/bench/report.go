package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// document collects figures in the order in which they first appear.
type document struct {
	began    time.Time
	load     string // of the machine, then
	group    string // of the figures that come now
	figures  []*figure
	skipped  [][2]string // name, reason
	profiles []string
}

// figure is one row: the same thing measured some times.
type figure struct {
	group, name, unit string
	target            target
	values            []float64
}

// target is what a figure's median is to be.
type target struct {
	text string
	met  func(float64) bool
}

// none is the target of a figure that explains others.
var none = target{}

func under(limit float64) target {
	return target{fmt.Sprintf("under %g", limit), func(v float64) bool { return v < limit }}
}

func atLeast(limit float64) target {
	return target{fmt.Sprintf("at least %g", limit), func(v float64) bool { return v >= limit }}
}

func newDocument() *document { return &document{began: time.Now(), load: loadNow()} }

func (d *document) add(name, unit string, target target, value float64) {
	for _, f := range d.figures {
		if f.name == name && f.group == d.group {
			f.values = append(f.values, value)
			return
		}
	}
	d.figures = append(d.figures, &figure{d.group, name, unit, target, []float64{value}})
}

// groups gives a document of the figures of each group, in the order in which they came.
func (d *document) groups() []*document {
	var out []*document
	for _, f := range d.figures {
		i := slices.IndexFunc(out, func(one *document) bool { return one.group == f.group })
		if i < 0 {
			i = len(out)
			out = append(out, &document{group: f.group})
		}
		out[i].figures = append(out[i].figures, f)
	}
	return out
}

// skip notes a figure that was not measured, and why.
func (d *document) skip(name, reason string) { d.skipped = append(d.skipped, [2]string{name, reason}) }

// profile adds what a profiler says of one process.
func (d *document) profile(group, process, text string) {
	d.profiles = append(d.profiles, fmt.Sprintf("%s, %s:\n\n```\n%s```\n", group, process, text))
}

// missed says whether a figure of the group is not what it is to be.
func (d *document) missed(group string) bool {
	return slices.ContainsFunc(d.figures, func(f *figure) bool { return f.group == group && f.verdict() == "no" })
}

// verdict says whether the target is met, "" where there is none.
func (f *figure) verdict() string {
	switch {
	case f.target.met == nil:
		return ""
	case f.target.met(f.median()):
		return "yes"
	}
	return "no"
}

// median is the middle value, or the mean of the two in the middle.
func (f *figure) median() float64 {
	if len(f.values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(f.values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// table writes the figures.
func (d *document) table(b *strings.Builder) {
	b.WriteString(`| figure | required | unit | min | median | max | rounds | reached |
|---|---|---|---:|---:|---:|---:|---|
`)
	for _, f := range d.figures {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %d | %s |\n", f.name, f.target.text, f.unit,
			digits(slices.Min(f.values)), digits(f.median()), digits(slices.Max(f.values)), len(f.values), f.verdict())
	}
	for _, s := range d.skipped {
		fmt.Fprintf(b, "| %s | | | | | | 0 | not measured: %s |\n", s[0], s[1])
	}
}

// markdown writes the document; args are those of the command line.
func (d *document) markdown(args []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `## The embedded lab

Made by the command below, which measures the built program from outside; do not
edit by hand.

    go run ./hack/bench %s

- date: %s, in %s
- machine: %s
- Go: %s
- a visit: %d alerts of %s, profile local (six brokers, twelve partitions)

The load's own CPU time is in these figures: player, clients and lab share the cores.
The machine is shared and noisy: only medians are quoted elsewhere, and each
measurement of a visit says how many cores others took meanwhile.

`, strings.Join(args, " "), d.began.UTC().Format("2006-01-02 15:04 MST"), time.Since(d.began).Round(time.Minute), machine(), runtime.Version(), alerts, packetSize)
	d.table(&b)
	b.WriteString(`
What the figures are:

- *from nothing*: an empty state directory; until the command returns, with every gate
  open and 300 alerts in the reservoir. The first visit starts after that.
- *play alone*: ` + "`alertlab simulator play`" + ` into a topic like the lab's that nobody reads,
  from the first alert sent to the last acknowledged. What is acknowledged is in the
  page cache: safe from the death of the process, not from that of the machine.
- *play while archiving*: the same into the lab's own topic, whose ingester reads
  and stores meanwhile.
- *played and archived*: from the first alert sent until every object is stored and
  the group's lag is zero. The lab replays the same alerts, so objects are replaced.
- *alert database*: GETs of stored alerts, picked at random of all, each answer read
  to its end, each client on a connection of its own.
- *visits every 37s*: the lab's own simulator plays them, its ingester archives them,
  retention keeps the brokers' disk. *Drift*: the first alerts of the last quarter of
  visits against those of the first quarter, medians, each against a grid of 37 s from
  the very first alert. Memory is looked at twice a second; the first four
  visits are not asked whether it grows.
- *CPU*: user and system time; *memory*: proportional set size (Pss), summed over the
  lab's processes, the runner and the object store, and the player where it is named.
  The page cache is not in it.
`)
	if len(d.profiles) > 0 {
		b.WriteString("\n### Where CPU time goes\n\nOf one more round, by Go's profiler, the functions that took most:\n\n")
		b.WriteString(strings.Join(d.profiles, "\n"))
	}
	return b.String()
}

// digits prints a value with about three significant figures.
func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0:
		return "-" + digits(-v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// machine describes what this runs on, as far as the system tells.
func machine() string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		parts = append(parts, model)
	}
	if memory := field("/proc/meminfo", "MemTotal"); memory != "" {
		parts = append(parts, memory+" of memory")
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel, _, _ := bytes.Cut(u.Release[:], []byte{0})
		parts = append(parts, fmt.Sprintf("%s %s", runtime.GOOS, kernel))
	}
	return strings.Join(parts, ", ")
}

// field finds "name : value" in a file of /proc.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
