package main

import (
	"errors"
	"fmt"
	"os"
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
	seed uint64
	up   []string // flags of the labs
	rows []row
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

// markdown writes the section. Of faults that were not met this time, the lines of the
// section before stay.
func (r *report) markdown(before string) string {
	lines := map[string]string{}
	for line := range strings.Lines(before) {
		if cells := strings.SplitN(line, " | ", 2); len(cells) == 2 && strings.HasPrefix(line, "| ") {
			lines[strings.TrimPrefix(cells[0], "| ")] = line
		}
	}
	for _, one := range r.rows {
		after := one.healed
		switch {
		case one.skipped != "":
			after = "not tried: " + one.skipped
		case one.err != nil:
			after = "**not as it should be**: " + one.err.Error()
		}
		how := fmt.Sprintf("seed %d, load %s, `up %s`", r.seed, one.load, strings.Join(r.up, " "))
		switch one.fault.shape {
		case three:
			how += " with hack/chaos/three.yaml"
		case encrypted:
			how += " with tls: true"
		}
		what := cell(one.fault.what)
		lines[what] = fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", what, cell(strings.Join(one.seen, "; ")), seconds(one.broke), seconds(one.heals), cell(after),
			one.finished.UTC().Format("2006-01-02 15:04"), cell(how))
	}
	var b strings.Builder
	b.WriteString(`## Labs on Kubernetes that are broken

Written by ` + "`make chaos-kubernetes`" + `, which breaks labs for real; do not edit by hand. Each line is the last time that this
fault was met, on a machine with other work on it: its seed, and the load of the last minute as it ended.

After each fault ` + "`alertlab up`" + ` has to end with 0; then a plan has no step, every check of smoke is green, the cluster has
the objects, the brokers the topics, users and permissions and the registry the schemas that an undisturbed lab has,
no container of a node is there twice, and each alert that was acknowledged to a producer outside is in its topic at
its offset and in the alert database, byte for byte.

| fault | seen | fault, s | up after it, s | after it | when, UTC | how |
|---|---|---:|---:|---|---|---|
`)
	for _, f := range faults() {
		b.WriteString(lines[cell(f.what)])
	}
	return b.String()
}

// cell makes text fit into a table.
func cell(text string) string {
	text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
	if home, err := os.UserHomeDir(); err == nil {
		text = strings.ReplaceAll(text, home+"/", "~/")
	}
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
