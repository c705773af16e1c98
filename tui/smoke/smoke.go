// Package smoke is the dashboard's page of the checks: all or one of them run while one
// watches, with what each saw, and the runs before. It shows what it is handed, and
// knows no other page.
package smoke

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
)

// Check is a check that can be run.
type Check struct {
	Name, Sentence string
	Disruptive     bool // takes parts of the lab away for a while
}

// Result is what came of a check.
type Result struct {
	Check    string
	Status   string // passed, failed or skipped
	Reason   string
	Expected string
	Seen     string
	Next     string
	Evidence string
	Duration time.Duration
}

// Run is a run that is over.
type Run struct {
	Started  time.Time
	Duration time.Duration
	Seed     uint64
	Results  []Result
}

func (r Run) count(status string) int {
	n := 0
	for _, res := range r.Results {
		if res.Status == status {
			n++
		}
	}
	return n
}

// Source is what the page shows and does.
type Source interface {
	Checks() []Check
	// Run runs checks, all that are not disruptive when none is named. It tells what
	// each waits for and what came of it, one at a time, until it returns.
	Run(ctx context.Context, only []string, disruptive bool, waiting func(check, what string), result func(Result)) error
	// History gives the runs before, the newest first.
	History(context.Context) ([]Run, error)
}

type (
	told struct { // by a run
		of     *Page
		run    int
		check  string
		waits  string
		result *Result
		more   <-chan told
	}
	over struct {
		of  *Page
		run int
		err error
	}
	ticked struct {
		of  *Page
		run int
	}
)

type view int

const (
	checks view = iota
	detail
	history
	oldRun
)

// Page implements page.Page.
type Page struct {
	ctx           context.Context
	theme         kit.Theme
	source        Source
	now           func() time.Time
	width, height int
	view          view
	list          []Check
	results       map[string]Result
	waits         map[string]string
	wanted        []string // of the run that goes on, or was last
	table         kit.Table
	pane          kit.Pane
	opened        string
	runs          *kit.Poll[[]Run]
	past          kit.Table
	pastOf        kit.Table
	chosen        string
	run           int
	cancel        context.CancelFunc
	began         time.Time
	took          time.Duration
	err           error
	disruptive    bool
}

var keys = struct{ all, one, open, disruptive, history key.Binding }{
	key.NewBinding(key.WithKeys("a"), key.WithHelp("a", "run all")),
	key.NewBinding(key.WithKeys("r"), key.WithHelp("r", "run this one")),
	key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "what it saw")),
	key.NewBinding(key.WithKeys("x"), key.WithHelp("x", "with the disruptive ones, or without")),
	key.NewBinding(key.WithKeys("h"), key.WithHelp("h", "runs before")),
}

// New makes the page; now is time.Now.
func New(ctx context.Context, theme kit.Theme, now func() time.Time, source Source) *Page {
	p := &Page{ctx: ctx, theme: theme, source: source, now: now, list: source.Checks(), results: map[string]Result{}, waits: map[string]string{},
		table: kit.Table{Theme: theme, Foot: 2, Columns: []kit.Column{{Title: ""}, {Title: "check", Least: 36}, {Title: "took", Right: true}, {Title: "saw", Least: 10, Drop: 1}}},
		past: kit.Table{Theme: theme, Newest: true, Foot: 1, Empty: "no run is known", Columns: []kit.Column{{Title: ""}, {Title: "begun"}, {Title: "took", Right: true}, {Title: "passed", Right: true},
			{Title: "failed", Right: true}, {Title: "skipped", Right: true}, {Title: "seed", Right: true, Drop: 1}, {Title: "which failed", Least: 12, Drop: 2}}},
		pastOf: kit.Table{Theme: theme, Foot: 3, Columns: []kit.Column{{Title: ""}, {Title: "check", Least: 24}, {Title: "took", Right: true}, {Title: "saw", Least: 20}}},
		pane:   kit.Pane{Theme: theme}}
	p.runs = kit.NewPoll(ctx, 0, source.History)
	return p
}

// Name implements page.Page.
func (p *Page) Name() string { return "Smoke" }

// Crumb says what of the page is in view.
func (p *Page) Crumb() string {
	switch p.view {
	case detail:
		return p.opened
	case history:
		return "runs before"
	case oldRun:
		return "a run before"
	}
	return ""
}

// Show implements page.Page.
func (p *Page) Show() tea.Cmd { return p.runs.Start() }

// Hide implements page.Page. A run goes on unseen.
func (p *Page) Hide() { p.runs.Stop() }

// Interrupt cancels the run that goes on.
func (p *Page) Interrupt() bool {
	if p.cancel == nil {
		return false
	}
	p.cancel()
	return true
}

func (p *Page) running() bool { return p.cancel != nil }

// start runs checks.
func (p *Page) start(only []string) tea.Cmd {
	if p.running() {
		return nil
	}
	ctx, cancel := context.WithCancel(p.ctx)
	p.run++
	p.cancel, p.began, p.err = cancel, p.now(), nil
	p.wanted = only
	if len(only) == 0 {
		for _, c := range p.list {
			if p.disruptive || !c.Disruptive {
				p.wanted = append(p.wanted, c.Name)
			}
		}
	}
	for _, name := range p.wanted {
		delete(p.results, name)
		delete(p.waits, name)
	}
	p.fill()
	run, source, disruptive := p.run, p.source, p.disruptive || len(only) > 0
	news := make(chan told, 64)
	send := func(t told) {
		t.of, t.run = p, run
		select {
		case news <- t:
		case <-p.ctx.Done():
		}
	}
	work := func() tea.Msg {
		defer cancel()
		err := source.Run(ctx, only, disruptive, func(check, what string) { send(told{check: check, waits: what}) },
			func(r Result) { send(told{check: r.Check, result: &r}) })
		close(news)
		return over{p, run, err}
	}
	return tea.Batch(work, p.next(news), p.tick())
}

// next waits for what a run tells.
func (p *Page) next(news <-chan told) tea.Cmd {
	return func() tea.Msg {
		select {
		case t, ok := <-news:
			if !ok {
				return nil
			}
			t.more = news
			return t
		case <-p.ctx.Done():
			return nil
		}
	}
}

func (p *Page) tick() tea.Cmd { return kit.After(p.ctx, 250*time.Millisecond, ticked{p, p.run}) }

// Update implements page.Page.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		return p.key(msg)
	case tea.MouseMsg:
		switch {
		case p.view == checks && p.table.Click(msg), p.view == history && p.past.Click(msg):
			return p.key(kit.Enter)
		case p.view == oldRun:
			p.pastOf.Click(msg)
		case p.view == detail:
			p.pane.Update(msg)
		}
		return nil
	case told:
		if msg.of != p {
			return nil
		}
		if msg.run == p.run {
			if msg.result != nil {
				p.results[msg.check] = *msg.result
				delete(p.waits, msg.check)
			} else {
				p.waits[msg.check] = msg.waits
			}
			p.fill()
		}
		return p.next(msg.more)
	case over:
		if msg.of != p || msg.run != p.run {
			return nil
		}
		p.cancel, p.err, p.took = nil, msg.err, p.now().Sub(p.began)
		p.fill()
		return p.runs.Start()
	case ticked:
		if msg.of == p && msg.run == p.run && p.running() {
			return p.tick()
		}
		return nil
	}
	cmd, news := p.runs.Update(msg)
	if news {
		p.fill()
	}
	return cmd
}

func (p *Page) move(msg tea.Msg) {
	switch p.view {
	case checks:
		p.table.Update(msg)
	case history:
		p.past.Update(msg)
	case oldRun:
		p.pastOf.Update(msg)
	default:
		p.pane.Update(msg)
	}
}

func (p *Page) key(msg tea.KeyMsg) tea.Cmd {
	switch {
	case key.Matches(msg, keys.all):
		p.view = checks
		return p.start(nil)
	case key.Matches(msg, keys.one) && (p.view == checks || p.view == detail):
		name := p.table.Key()
		if p.view == detail {
			name = p.opened
		}
		if name != "" {
			return p.start([]string{name})
		}
	case key.Matches(msg, keys.disruptive) && p.view == checks:
		p.disruptive = !p.disruptive
		p.fill()
	case key.Matches(msg, keys.history):
		p.view = history
		p.fill()
	case key.Matches(msg, keys.open) && p.view == checks && p.table.Key() != "":
		p.opened, p.view = p.table.Key(), detail
		p.pane.Top()
		p.fill()
	case key.Matches(msg, keys.open) && p.view == history && p.past.Key() != "":
		p.chosen, p.view = p.past.Key(), oldRun
		p.fill()
	default:
		p.move(msg)
	}
	return nil
}

// mark is the sign of a status.
func (p *Page) mark(status string) kit.Cell {
	s := p.theme.Signs
	switch status {
	case "passed":
		return kit.Cell{Text: s.Good, Look: kit.Good}
	case "failed":
		return kit.Cell{Text: s.Bad, Look: kit.Bad}
	case "skipped":
		return kit.Cell{Text: s.Skip, Look: kit.Warn}
	}
	return kit.Cell{Text: s.Wait, Look: kit.Dim}
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s" }

// saw is what a check saw, or why it did not pass.
func saw(r Result) kit.Cell {
	switch r.Status {
	case "failed":
		return kit.Cell{Text: r.Reason, Look: kit.Bad}
	case "skipped":
		return kit.Cell{Text: r.Reason, Look: kit.Dim}
	}
	return kit.Cell{Text: r.Evidence, Look: kit.Dim}
}

func (p *Page) fill() {
	var rows []kit.Row
	for _, c := range p.list {
		mark, took, note := p.mark(""), kit.Text(""), kit.Text("")
		r, known := p.results[c.Name]
		switch {
		case known:
			mark, took, note = p.mark(r.Status), kit.Text(seconds(r.Duration)), saw(r)
		case p.running() && slices.Contains(p.wanted, c.Name):
			mark = kit.Cell{Text: p.theme.Signs.Run, Look: kit.Active}
			note = kit.Cell{Text: p.waits[c.Name], Look: kit.Active}
		case c.Disruptive && !p.disruptive:
			note = kit.Cell{Text: "disruptive (x)", Look: kit.Dim}
		}
		rows = append(rows, kit.Row{Key: c.Name, Cells: []kit.Cell{mark, kit.Text(c.Sentence), took, note}})
	}
	p.table.SetRows(rows)
	rows = nil
	for _, r := range p.runs.Value {
		mark := p.mark("passed")
		var bad []string
		for _, res := range r.Results {
			if res.Status == "failed" {
				mark = p.mark("failed")
				bad = append(bad, res.Check)
			}
		}
		rows = append(rows, kit.Row{Key: r.Started.Format(time.RFC3339Nano), Cells: []kit.Cell{mark, kit.Text(r.Started.Local().Format("2006-01-02 15:04:05")), kit.Text(seconds(r.Duration)),
			kit.Text(strconv.Itoa(r.count("passed"))), kit.Text(strconv.Itoa(r.count("failed"))), kit.Text(strconv.Itoa(r.count("skipped"))),
			{Text: strconv.FormatUint(r.Seed, 10), Look: kit.Dim}, {Text: strings.Join(bad, ", "), Look: kit.Bad}}})
	}
	p.past.SetRows(rows)
	rows = nil
	for _, r := range p.runs.Value {
		if r.Started.Format(time.RFC3339Nano) != p.chosen {
			continue
		}
		for _, res := range r.Results {
			rows = append(rows, kit.Row{Key: res.Check, Cells: []kit.Cell{p.mark(res.Status), kit.Text(res.Check), kit.Text(seconds(res.Duration)), saw(res)}})
		}
	}
	p.pastOf.SetRows(rows)
	for _, t := range []*kit.Table{&p.table, &p.past, &p.pastOf} {
		t.SetSize(p.width-2, max(p.height-2, 2))
	}
	p.pane.SetSize(p.width-2, max(p.height-2, 1))
	p.pane.SetLines(p.detailLines())
}

func (p *Page) detailLines() []string {
	t := p.theme
	i := slices.IndexFunc(p.list, func(c Check) bool { return c.Name == p.opened })
	if i < 0 {
		return nil
	}
	lines := []string{}
	row := func(label string, look kit.Look, text string) {
		if text == "" {
			return
		}
		for j, l := range kit.Wrap(phrase.Line(text), max(p.width-16, 20)) {
			if j > 0 {
				label = ""
			}
			lines = append(lines, t.Draw(kit.Dim, t.Fit(label, 12))+" "+t.Draw(look, l))
		}
	}
	c := p.list[i]
	row("check", kit.Heading, c.Name)
	row("claims", kit.Plain, c.Sentence)
	if c.Disruptive {
		row("", kit.Warn, "disruptive: it takes parts of the lab away for a while")
	}
	r, known := p.results[p.opened]
	if !known {
		row("state", kit.Dim, "not run since the dashboard was opened; r runs it")
		row("waits for", kit.Active, p.waits[p.opened])
		return lines
	}
	mark := p.mark(r.Status)
	row("result", mark.Look, mark.Text+" "+r.Status+" after "+seconds(r.Duration))
	row("evidence", kit.Plain, r.Evidence)
	row("reason", kit.Warn, r.Reason)
	row("expected", kit.Plain, r.Expected)
	row("seen", kit.Bad, r.Seen)
	row("next", kit.Plain, r.Next)
	return lines
}

// SetSize implements page.Page.
func (p *Page) SetSize(width, height int) {
	p.width, p.height = width, height
	p.fill()
}

func (p *Page) summary() string {
	t := p.theme
	count := map[string]int{}
	for _, name := range p.wanted {
		if r, ok := p.results[name]; ok {
			count[r.Status]++
		}
	}
	done := count["passed"] + count["failed"] + count["skipped"]
	tally := fmt.Sprintf("%d passed, %d failed, %d skipped", count["passed"], count["failed"], count["skipped"])
	switch {
	case p.running():
		return t.Draw(kit.Active, fmt.Sprintf("running, %d of %d done, %s, %s", done, len(p.wanted), tally, seconds(p.now().Sub(p.began).Round(100*time.Millisecond)))) + t.Draw(kit.Dim, "  ctrl-c cancels")
	case p.err != nil:
		return t.Draw(kit.Bad, kit.Explain(p.err))
	case len(p.wanted) > 0:
		look := kit.Good
		if count["failed"] > 0 {
			look = kit.Bad
		}
		return t.Draw(look, fmt.Sprintf("%s in %s", tally, seconds(p.took)))
	}
	text := phrase.Count(len(p.list), "check") + ", none run yet; a runs all of them"
	if len(p.runs.Value) > 0 {
		last := p.runs.Value[0]
		text += fmt.Sprintf("; the last run: %d passed, %d failed, at %s", last.count("passed"), last.count("failed"), last.Started.Local().Format("15:04:05"))
	}
	return t.Draw(kit.Dim, text)
}

// View implements page.Page.
func (p *Page) View() string {
	lines := []string{p.summary(), ""}
	switch p.view {
	case checks:
		lines = p.table.Under(lines)
	case history:
		lines = p.past.Under(lines)
	case oldRun:
		lines = p.pastOf.Under(lines)
	default:
		lines = append(lines, p.pane.Lines()...)
	}
	return p.theme.Page(lines, p.width, p.height)
}

// Filter implements page.Page.
func (p *Page) Filter(text string) {
	p.table.Filter(text)
	p.past.Filter(text)
	p.pastOf.Filter(text)
}

// Keys implements page.Page.
func (p *Page) Keys() []key.Binding {
	return []key.Binding{keys.all, keys.one, keys.open, keys.history, keys.disruptive}
}

// Typing implements page.Page.
func (p *Page) Typing() bool { return false }

// Back implements page.Page.
func (p *Page) Back() bool {
	switch p.view {
	case checks:
		return false
	case oldRun:
		p.view = history
	default:
		p.view = checks
	}
	return true
}
