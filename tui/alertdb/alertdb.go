// Package alertdb is the dashboard's page of the alert database: how fast it stores and
// how far it is behind, what it could not store and why, what it holds, and an alert
// fetched by its id. It shows what it is handed, and knows no other page.
package alertdb

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
)

// Stored is an alert that was stored.
type Stored struct {
	ID    int64
	At    time.Time
	Bytes int64
}

// State is how the ingester fares. What is not known is nil.
type State struct {
	URL                    string
	Ready                  bool
	Stored, DeadLetters    int64 // since the ingester began
	WireBytes, ObjectBytes int64
	Rate                   *float64 // alerts a second
	Lag                    *int64
	CatchUp                *float64         // seconds
	Retries                map[string]int64 // failed attempts by what was tried
	Trouble                string
	TroubleAt              time.Time
	Latest                 []Stored
	// Untold is why the counts since the ingester began and the latest alerts are not
	// known; empty when they are.
	Untold string
	Notes  []string
}

// Letter is a message that could not be stored as an alert.
type Letter struct {
	Topic     string
	Partition int32
	Offset    int64
	At        time.Time
	Bytes     int
	Reason    string
}

// Contents is what the store holds.
type Contents struct {
	At                         time.Time // when it was listed
	Alerts, Bytes, DeadLetters int64
	Newest                     []Stored // as it was listed
	Letters                    []Letter
}

// Source is what the page shows.
type Source interface {
	State(context.Context) (State, error)
	// Contents lists the store, which takes a while when it is full.
	Contents(context.Context) (Contents, error)
	// Fetch gives an alert as text.
	Fetch(ctx context.Context, id int64) (string, error)
}

// The times between two looks at the ingester, and at the whole store.
const (
	every       = 2 * time.Second
	everyListed = time.Minute
)

type fetched struct {
	of   *Page
	id   int64
	text string
	err  error
}

// Page implements page.Page.
type Page struct {
	ctx           context.Context
	theme         kit.Theme
	source        Source
	state         *kit.Poll[State]
	contents      *kit.Poll[Contents]
	width, height int
	latest        kit.Table
	letters       kit.Table
	onLetters     bool
	asking        bool
	input         textinput.Model
	refused       string
	shown         int64 // the alert in view, 0 for none
	waiting       bool
	pane          kit.Pane
}

var keys = struct{ fetch, open, letters, again key.Binding }{
	key.NewBinding(key.WithKeys("f"), key.WithHelp("f", "fetch an alert by id")),
	key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "fetch this one")),
	key.NewBinding(key.WithKeys("d"), key.WithHelp("d", "dead letters")),
	key.NewBinding(key.WithKeys("r"), key.WithHelp("r", "list the store again")),
}

// New makes the page; input is the line to type an id into.
func New(ctx context.Context, theme kit.Theme, input textinput.Model, source Source) *Page {
	input.CharLimit = 19
	return &Page{ctx: ctx, theme: theme, source: source, state: kit.NewPoll(ctx, every, source.State), contents: kit.NewPoll(ctx, everyListed, source.Contents), input: input,
		latest: kit.Table{Theme: theme, Newest: true, Empty: "nothing was stored yet", Columns: []kit.Column{{Title: "latest alerts", Right: true}, {Title: "stored at"}, {Title: "size", Right: true}}},
		letters: kit.Table{Theme: theme, Empty: "there is no dead letter", Foot: 2, Columns: []kit.Column{{Title: "topic", Least: 12}, {Title: "part", Right: true}, {Title: "offset", Right: true},
			{Title: "at", Drop: 1}, {Title: "size", Right: true, Drop: 2}, {Title: "reason", Least: 20}}},
		pane: kit.Pane{Theme: theme}}
}

// Name implements page.Page.
func (p *Page) Name() string { return "Database" }

// Crumb says what of the page is in view.
func (p *Page) Crumb() string {
	switch {
	case p.shown != 0:
		return "alert " + strconv.FormatInt(p.shown, 10)
	case p.onLetters:
		return "dead letters"
	}
	return ""
}

// Show implements page.Page.
func (p *Page) Show() tea.Cmd { return tea.Batch(p.state.Start(), p.contents.Start()) }

// Hide implements page.Page.
func (p *Page) Hide() {
	p.state.Stop()
	p.contents.Stop()
}

// Update implements page.Page.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		return p.key(msg)
	case tea.MouseMsg:
		switch {
		case p.shown != 0:
			p.pane.Update(msg)
		case p.onLetters:
			p.letters.Click(msg)
		case p.latest.Click(msg) && !p.asking:
			return p.key(kit.Enter)
		}
		return nil
	case fetched:
		if msg.of != p || msg.id != p.shown {
			return nil
		}
		p.waiting = false
		var lines []string
		if msg.err != nil {
			for _, l := range kit.Wrap(phrase.Lines(msg.err.Error()), max(p.width-4, 20)) {
				lines = append(lines, p.theme.Draw(kit.Bad, l))
			}
		} else {
			lines = strings.Split(strings.TrimRight(phrase.Lines(msg.text), "\n"), "\n")
		}
		p.pane.SetLines(lines)
		p.pane.Top()
		return nil
	}
	one, news := p.state.Update(msg)
	two, more := p.contents.Update(msg)
	if news || more {
		p.fill()
	}
	return tea.Batch(one, two)
}

func (p *Page) move(msg tea.Msg) {
	switch {
	case p.shown != 0:
		p.pane.Update(msg)
	case p.onLetters:
		p.letters.Update(msg)
	default:
		p.latest.Update(msg)
	}
}

func (p *Page) key(msg tea.KeyMsg) tea.Cmd {
	if p.asking {
		return p.typed(msg)
	}
	switch {
	case key.Matches(msg, keys.fetch):
		p.asking, p.refused = true, ""
		p.input.SetValue("")
		return p.input.Focus()
	case key.Matches(msg, keys.letters):
		p.onLetters, p.shown = !p.onLetters, 0
	case key.Matches(msg, keys.again):
		return p.contents.Start()
	case key.Matches(msg, keys.open) && p.shown == 0 && !p.onLetters:
		if id, err := strconv.ParseInt(p.latest.Key(), 10, 64); err == nil {
			return p.fetch(id)
		}
	default:
		p.move(msg)
	}
	return nil
}

func (p *Page) typed(msg tea.KeyMsg) tea.Cmd {
	switch msg.String() {
	case "esc", "ctrl+c":
		p.asking = false
		return nil
	case "enter":
		id, err := strconv.ParseInt(strings.TrimSpace(p.input.Value()), 10, 64)
		if err != nil || id < 0 {
			p.refused = "an id is a decimal number of at most 19 digits"
			return nil
		}
		p.asking = false
		return p.fetch(id)
	}
	var cmd tea.Cmd
	p.input, cmd = p.input.Update(msg)
	return cmd
}

func (p *Page) fetch(id int64) tea.Cmd {
	p.shown, p.waiting = id, true
	p.pane.SetLines(nil)
	ctx, source := p.ctx, p.source
	return func() tea.Msg {
		text, err := source.Fetch(ctx, id)
		return fetched{p, id, text, err}
	}
}

func (p *Page) fill() {
	var rows []kit.Row
	latest := p.state.Value.Latest
	if p.state.Value.Untold != "" {
		latest = p.contents.Value.Newest
	}
	for _, a := range latest {
		id := strconv.FormatInt(a.ID, 10)
		rows = append(rows, kit.Row{Key: id, Cells: []kit.Cell{kit.Text(id), kit.Text(a.At.Local().Format("15:04:05.000")), kit.Text(phrase.Bytes(a.Bytes))}})
	}
	p.latest.SetRows(rows)
	rows = nil
	for _, l := range p.contents.Value.Letters {
		rows = append(rows, kit.Row{Key: fmt.Sprintf("%s/%d/%d", l.Topic, l.Partition, l.Offset), Cells: []kit.Cell{kit.Text(l.Topic), kit.Text(strconv.Itoa(int(l.Partition))),
			kit.Text(strconv.FormatInt(l.Offset, 10)), kit.Text(l.At.Local().Format("15:04:05")), kit.Text(phrase.Bytes(int64(l.Bytes))), {Text: l.Reason, Look: kit.Warn}}})
	}
	p.letters.SetRows(rows)
	room := max(p.height-len(p.facts())-1, 3)
	p.latest.SetSize(p.width-2, room)
	p.letters.SetSize(p.width-2, max(p.height-2, 3))
	p.pane.SetSize(p.width-2, max(p.height-2, 1))
}

// SetSize implements page.Page.
func (p *Page) SetSize(width, height int) {
	p.width, p.height = width, height
	p.fill()
}

// facts are the lines above the latest alerts.
func (p *Page) facts() []string {
	t, s, c := p.theme, p.state.Value, p.contents.Value
	if !p.state.Loaded() {
		return []string{p.state.State(t)}
	}
	var lines []string
	row := func(label string, look kit.Look, text string) {
		for i, l := range kit.Wrap(phrase.Line(text), max(p.width-2-13, 20)) {
			if i > 0 {
				label = ""
			}
			lines = append(lines, t.Draw(kit.Dim, t.Fit(label, 13))+t.Draw(look, l))
		}
	}
	switch {
	case p.state.State(t) != "":
		lines = append(lines, p.state.State(t))
	case s.Ready:
		row("ingester", kit.Good, "ready")
	default:
		row("ingester", kit.Warn, "not a member of its group, or trying again")
	}
	rate := phrase.Rate(s.Rate, phrase.Number)
	if s.Untold != "" {
		row("stores", kit.Plain, rate+"; "+s.Untold)
	} else {
		row("stores", kit.Plain, fmt.Sprintf("%s; %s alerts since it began, %s as published, %s as stored", rate, phrase.Number(s.Stored), phrase.Bytes(s.WireBytes), phrase.Bytes(s.ObjectBytes)))
	}
	switch {
	case s.Lag == nil:
		row("behind", kit.Dim, "not known")
	case *s.Lag == 0:
		row("behind", kit.Good, "by nothing")
	default:
		text := phrase.Number(*s.Lag) + " alerts"
		if s.CatchUp != nil {
			text += ", caught up in " + phrase.About(time.Duration(*s.CatchUp*float64(time.Second)))
		}
		row("behind", kit.Warn, text)
	}
	switch state := p.contents.State(t); {
	case !p.contents.Loaded():
		lines = append(lines, t.Draw(kit.Dim, t.Fit("holds", 13))+state)
	default:
		row("holds", kit.Plain, fmt.Sprintf("%s alerts, %s, as of %s", phrase.Number(c.Alerts), phrase.Bytes(c.Bytes), c.At.Local().Format("15:04:05")))
	}
	letters, look := max(c.DeadLetters, s.DeadLetters), kit.Good
	text := "none"
	if letters > 0 {
		look, text = kit.Warn, phrase.Number(letters)+", d shows why"
		if len(c.Letters) > 0 {
			text = phrase.Number(letters) + ", the last: " + c.Letters[0].Reason
		}
	}
	row("dead letters", look, text)
	if len(s.Retries) > 0 {
		var tried []string
		for what, n := range s.Retries {
			tried = append(tried, fmt.Sprintf("%s %d", what, n))
		}
		slices.Sort(tried)
		row("tried again", kit.Warn, strings.Join(tried, ", "))
	}
	if s.Trouble != "" {
		row("last trouble", kit.Warn, s.TroubleAt.Local().Format("15:04:05")+" "+s.Trouble)
	}
	row("answers at", kit.Plain, s.URL)
	for _, n := range s.Notes {
		lines = append(lines, t.Draw(kit.Warn, phrase.Line(n)))
	}
	return lines
}

// View implements page.Page.
func (p *Page) View() string {
	t := p.theme
	var lines []string
	switch {
	case p.shown != 0:
		head := t.Draw(kit.Heading, "alert "+strconv.FormatInt(p.shown, 10))
		if p.waiting {
			head += t.Draw(kit.Dim, "  fetching"+t.Signs.Ellipsis)
		}
		lines = append([]string{head, ""}, p.pane.Lines()...)
	case p.onLetters:
		all, listed := int(p.contents.Value.DeadLetters), len(p.contents.Value.Letters)
		head := "messages that are no alert, with the reason"
		if all > listed {
			head = fmt.Sprintf("%s; the newest %d", phrase.Count(all, "dead letter"), listed)
		} else if all > 0 {
			head = phrase.Count(all, "dead letter") + ", the newest first"
		}
		head = t.Draw(kit.Dim, head)
		if state := p.contents.State(t); state != "" {
			head = state
		}
		lines = p.letters.Under([]string{head, ""})
	default:
		lines = append(p.facts(), "")
		if p.state.Loaded() {
			lines = p.latest.Under(lines)
		}
	}
	if p.asking {
		ask := t.Draw(kit.Active, "id of the alert: ") + p.input.View() + "  " + t.Draw(kit.Warn, p.refused)
		if len(lines) >= p.height {
			lines = lines[:p.height-1]
		}
		for len(lines) < p.height-1 {
			lines = append(lines, "")
		}
		lines = append(lines, ask)
	}
	return t.Page(lines, p.width, p.height)
}

// Filter implements page.Page.
func (p *Page) Filter(text string) {
	p.latest.Filter(text)
	p.letters.Filter(text)
}

// Keys implements page.Page.
func (p *Page) Keys() []key.Binding {
	return []key.Binding{keys.fetch, keys.open, keys.letters, keys.again}
}

// Typing implements page.Page.
func (p *Page) Typing() bool { return p.asking }

// Back implements page.Page.
func (p *Page) Back() bool {
	switch {
	case p.asking:
		p.asking = false
	case p.shown != 0:
		p.shown = 0
	case p.onLetters:
		p.onLetters = false
	default:
		return false
	}
	return true
}
