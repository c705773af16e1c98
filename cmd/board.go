package cmd

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/tui"
	"github.com/alertlab/alertlab/tui/actions"
	"github.com/alertlab/alertlab/tui/alertdb"
	"github.com/alertlab/alertlab/tui/dash"
	"github.com/alertlab/alertlab/tui/kafka"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/lab"
	"github.com/alertlab/alertlab/tui/logs"
	"github.com/alertlab/alertlab/tui/smoke"
	"github.com/alertlab/alertlab/tui/start"
	"github.com/alertlab/alertlab/tui/visits"
)

// board hands to the pages of the dashboard what the verbs print as text, by the same
// functions.
type board struct {
	a   *app
	dir state.Dir

	kafka *kafkaSource
	depth picture.Depth // of the terminal, for cutouts

	mu     sync.Mutex
	seen   time.Time // when the status was asked for last
	last   runner.Status
	failed error
	// archived are looks at the ingester's group, for its speed.
	archived []console.Look
	// played are the visits of a simulator in a pod, nil before they were asked for.
	played *playedLog
}

// pages are the dashboard's pages with the digits that open them.
func (b *board) pages(ctx context.Context, theme kit.Theme) []dash.Entry {
	return []dash.Entry{
		{Digit: '1', Page: lab.New(ctx, theme, time.Now, b.lab)},
		{Digit: '2', Page: kafka.New(ctx, theme, b.kafka)},
		{Digit: '3', Page: alertsPage(ctx, b.a, theme, b.depth)},
		{Digit: '4', Page: visits.New(ctx, theme, time.Now, b.visits)},
		{Digit: '5', Page: alertdb.New(ctx, theme, dash.NewInput(), archiveSource{b})},
		{Digit: '6', Page: registryPage(ctx, b.a, theme)},
		{Digit: '7', Page: smoke.New(ctx, theme, time.Now, smokeSource{b})},
		{Digit: '8', Page: logs.New(ctx, theme, logSource{b.dir})},
		{Digit: '9', Page: actions.New(ctx, theme, dash.NewInput(), actionSource{b})},
	}
}

func (b *board) close() {
	b.kafka.end()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.played != nil {
		b.played.close()
	}
}

// newBoard makes a board of the lab that the command line is about.
func newBoard(a *app, dir state.Dir) *board {
	b := &board{a: a, dir: dir}
	b.kafka = &kafkaSource{board: b}
	return b
}

// logSource hands the verb logs to its page.
type logSource struct{ dir state.Dir }

func (s logSource) Names() ([]string, error) { return logNames(s.dir) }

func (s logSource) Open(names []string) logs.Tail { return logTail{newTail(s.dir, names, logs.Most/5)} }

type logTail struct{ *tail }

func (t logTail) Read() ([]logs.Line, error) {
	lines, err := t.read()
	out := make([]logs.Line, len(lines))
	for i, l := range lines {
		out[i] = logs.Line{Component: l.component, Text: l.text}
	}
	return out, err
}

func (t logTail) Close() { t.close() }

// statusFor is how long an answer of the runner serves: pages and frame ask for the
// same thing at about the same time.
const (
	statusFor = 800 * time.Millisecond
	// patient bounds the wait for an answer, so that a runner that hangs is seen.
	patient = 10 * time.Second
)

// status is what the verb status prints.
func (b *board) status(ctx context.Context) (runner.Status, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.seen) < statusFor {
		return b.last, b.failed
	}
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	client, err := runner.Dial(ctx, b.dir)
	if err == nil {
		b.last, err = client.Status(ctx)
	}
	b.failed = err
	if ctx.Err() == nil || err == nil { // one that was given up says nothing
		b.seen = time.Now()
	}
	return b.last, b.failed
}

// forget has the next look at the status be a new one.
func (b *board) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = time.Time{}
}

// lab is the status with what is wanted of each part.
func (b *board) lab(ctx context.Context) (lab.State, error) {
	st, err := b.status(ctx)
	if err != nil {
		return lab.State{}, err
	}
	out := lab.State{Started: st.Started, PID: st.PID, Version: build().Version, Stack: st.Stack, Card: st.Endpoints, Password: b.a.meant("alertlab env --user NAME"), Changed: slices.Clone(st.Overrides)}
	for _, e := range st.Overlay {
		out.Changed = append(out.Changed, e.Text)
	}
	wants := map[string]plan.Want{}
	if desc, err := b.dir.Describe(); err == nil {
		if wanted, err := catalog.Wanted(desc); err == nil {
			for _, w := range wanted.Parts {
				wants[w.Key] = w
			}
		}
	}
	for _, p := range st.Parts {
		want := wants[p.Key]
		part := lab.Part{Key: p.Key, State: string(p.State), Seen: p.Seen, Amiss: p.Amiss, Facts: p.Facts, Why: want.Why, Implementation: want.Title, Needs: want.Needs}
		if want.Implementation != "" {
			part.Implementation = strings.TrimSpace(want.Implementation + ": " + want.Title)
		}
		for _, g := range want.Gates {
			part.Gates = append(part.Gates, g.What)
		}
		out.Parts = append(out.Parts, part)
		switch {
		case p.Amiss != "":
			out.Warnings = append(out.Warnings, p.Key+": "+p.Amiss)
		case p.State != plan.Present:
			out.Warnings = append(out.Warnings, p.Key+" is "+string(p.State)+": "+p.Seen)
		}
		for _, f := range p.Facts {
			if troubling(f) {
				out.Warnings = append(out.Warnings, p.Key+": "+f.Name+" "+f.Value)
			}
		}
	}
	return out, nil
}

// troubling says whether a fact is one that somebody should look at.
func troubling(f event.Fact) bool {
	switch f.Name {
	case "last trouble", "missed", "paused since":
		return true
	case "dead letters":
		return f.Value != "0"
	}
	return false
}

// starter is the view in which the lab is brought up.
func (b *board) starter(ctx context.Context, theme kit.Theme) *start.View {
	return start.New(ctx, theme, upSource{b})
}

// upSource hands up, plan and attach to the dashboard.
type upSource struct{ *board }

func (u upSource) Known() bool {
	_, err := u.dir.Describe()
	return err == nil
}

func (u upSource) Profiles() []start.Profile {
	var out []start.Profile
	for _, p := range profiles.List() {
		out = append(out, start.Profile{Name: p.Name, Does: p.Description})
	}
	return out
}

func (u upSource) Providers() []string { return providers() }

func (u upSource) Plan(ctx context.Context, c start.Choice) (string, error) {
	desc, err := u.a.describe(u.dir, choice{profile: c.Profile, provider: c.Provider})
	if err != nil {
		return "", remedied(err)
	}
	p, err := u.a.planFor(ctx, u.dir, desc)
	if err != nil {
		return "", remedied(err)
	}
	return p.String(), nil
}

func (u upSource) Up(ctx context.Context, c start.Choice, sink event.Sink) error {
	wish, err := u.a.wish(ctx, u.dir, choice{profile: c.Profile, provider: c.Provider})
	if err == nil {
		err = createDir(u.dir)
	}
	if err == nil {
		err = u.a.bringUp(ctx, u.dir, wish, sink)
	}
	return remedied(err)
}

func (u upSource) Attach(ctx context.Context, sink event.Sink) error {
	client, err := runner.Dial(ctx, u.dir)
	if err != nil {
		return err
	}
	return client.Attach(ctx, sink)
}

func (u upSource) About() tui.About { return u.a.aboutWalk("leaves it going on") }
