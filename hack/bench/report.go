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
	began   time.Time
	figures []*figure
}

// figure is one row: the same thing measured some times.
type figure struct {
	name, unit, target string
	values             []float64
}

func newDocument() *document { return &document{began: time.Now()} }

func (d *document) add(name, unit, target string, value float64) {
	for _, f := range d.figures {
		if f.name == name {
			f.values = append(f.values, value)
			return
		}
	}
	d.figures = append(d.figures, &figure{name, unit, target, []float64{value}})
}

// median is the middle value, or the mean of the two in the middle.
func (f *figure) median() float64 {
	sorted := slices.Sorted(slices.Values(f.values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// markdown writes the document; args are those of the command line.
func (d *document) markdown(args []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `## The embedded lab

Made by the command below, which measures the built program from outside; do not
edit by hand.

    go run ./hack/bench %s

- date: %s
- machine: %s
- Go: %s
- a visit: %d alerts of %s, profile local (six brokers, twelve partitions)

The machine is shared and noisy: only medians are quoted elsewhere, and each
measurement of a visit says how many cores others took meanwhile.

| figure | target | unit | min | median | max | rounds |
|---|---|---|---:|---:|---:|---:|
`, strings.Join(args, " "), d.began.UTC().Format("2006-01-02 15:04 MST"), machine(), runtime.Version(), alerts, packetSize)
	for _, f := range d.figures {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d |\n", f.name, f.target, f.unit,
			digits(slices.Min(f.values)), digits(f.median()), digits(slices.Max(f.values)), len(f.values))
	}
	b.WriteString(`
What the figures are:

- *from nothing*: an empty state directory; until the command returns, with 300
  alerts in the reservoir.
- *play alone*: ` + "`alertlab simulator play`" + ` into a topic like the lab's that nobody reads,
  from the first alert sent to the last acknowledged.
- *play while archiving*: the same into the lab's own topic, whose ingester reads
  and stores meanwhile.
- *played and archived*: from the first alert sent until every object is stored and
  the group's lag is zero. The lab replays the same alerts, so objects are replaced.
- *CPU*: user and system time; *memory*: proportional set size (Pss), summed over the
  lab's processes, the runner and the object store, and the player where it is named.
  The page cache is not in it.
`)
	return b.String()
}

// digits prints a value with about three significant figures.
func digits(v float64) string {
	switch {
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
