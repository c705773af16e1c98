package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// row is one fault as it was met.
type row struct {
	fault    fault
	seen     []string
	healed   string        // what the lab was after it
	broke    time.Duration // until the fault was over
	heals    time.Duration // the up after it
	err      error
	skipped  string // why it was not tried
	load     string
	finished time.Time
}

// report is the section of the document.
type report struct {
	began time.Time
	seed  uint64
	up    []string // flags of the labs
	args  []string // of this program
	rows  []row
}

// failed joins what did not go as it should.
func (r *report) failed() error {
	var all []error
	for _, one := range r.rows {
		if one.err != nil {
			all = append(all, fmt.Errorf("%s: %w", one.fault.name, one.err))
		}
	}
	return errors.Join(all...)
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `## Labs on Kubernetes that are broken

Made by the command below, which breaks labs for real; do not edit by hand.

    go run ./hack/chaos %s

- date: %s, in %s
- machine: %d cores, with other work on it: each row says the load, of the last minute, at its end
- labs: `+"`alertlab up %s`"+`, seed %d

After each fault: `+"`alertlab up`"+` ends with 0, then a plan has no step, every check of smoke is
green, the cluster has the objects, the brokers the topics, users and permissions and the
registry the schemas that an undisturbed lab has, no container of a node is there twice, and each
alert that was acknowledged to a producer outside is in its topic at its offset and in the alert
database, byte for byte.

| fault | seen | fault, s | up after it, s | after it | load |
|---|---|---:|---:|---|---|
`, strings.Join(r.args, " "), r.began.UTC().Format("2006-01-02 15:04 MST"), time.Since(r.began).Round(time.Second), runtime.NumCPU(), strings.Join(r.up, " "), r.seed)
	for _, one := range r.rows {
		after := one.healed
		switch {
		case one.skipped != "":
			after = "not tried: " + one.skipped
		case one.err != nil:
			after = "**not as it should be**: " + one.err.Error()
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", cell(one.fault.what), cell(strings.Join(one.seen, "; ")), seconds(one.broke), seconds(one.heals), cell(after), one.load)
	}
	return b.String()
}

// cell makes text fit into a table.
func cell(text string) string {
	text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
	const most = 600
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}

func seconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", d.Seconds())
}

// load is the machine's, of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
