// Package lab is the dashboard's page of the lab as a whole: its components with what
// each does and waits for, warnings, the connection card, what it concedes. It shows
// what it is handed, and knows no other page.
package lab

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/render"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
)

// Part is one component.
type Part struct {
	Key   string
	State string // present, absent or unknown
	Seen  string
	// Amiss is how it differs from what it should be; empty when it does not.
	Amiss string
	Facts []event.Fact
	// Why is what the system needs it for, Implementation what it is here, Gates what
	// is waited for when it comes up.
	Why, Implementation string
	Needs, Gates        []string
}

// State is all that the page shows.
type State struct {
	Started  time.Time
	PID      int
	Version  string
	Stack    string
	Parts    []Part
	Card     *endpoints.Endpoints // nil before the lab was ready
	Password string               // the command that prints a user's password
	Changed  []string             // of the profile, by the environment or on the lab
	Warnings []string
}

// every is the time between two looks.
const every = 2 * time.Second

type view int

const (
	components view = iota
	card
	conceded
	detail
)

// Page implements page.Page.
type Page struct {
	theme kit.Theme
	poll  *kit.Poll[State]
	now   func() time.Time

	width, height int
	view          view
	table         kit.Table
	pane          kit.Pane
	detailOf      string
}

var keys = struct{ open, card, conceded key.Binding }{
	key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "in detail")),
	key.NewBinding(key.WithKeys("e"), key.WithHelp("e", "endpoints")),
	key.NewBinding(key.WithKeys("c"), key.WithHelp("c", "concessions and changes")),
}

// New makes the page. read looks at the lab; now is time.Now.
func New(ctx context.Context, theme kit.Theme, now func() time.Time, read func(context.Context) (State, error)) *Page {
	return &Page{theme: theme, poll: kit.NewPoll(ctx, every, read), now: now,
		table: kit.Table{Theme: theme, Empty: "no component yet", Foot: 2,
			Columns: []kit.Column{{Title: "component"}, {Title: "state"}, {Title: "seen", Least: 10}}},
		pane: kit.Pane{Theme: theme}}
}

// Name implements page.Page.
func (p *Page) Name() string { return "Lab" }

// Show implements page.Page.
func (p *Page) Show() tea.Cmd { return p.poll.Start() }

// Hide implements page.Page.
func (p *Page) Hide() { p.poll.Stop() }

// Crumb says where in the page the reader is.
func (p *Page) Crumb() string {
	return [...]string{components: "", card: "endpoints", conceded: "concessions and changes", detail: p.detailOf}[p.view]
}

// Update implements page.Page.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		switch {
		case key.Matches(msg, keys.open) && p.view == components && p.table.Key() != "":
			p.detailOf = p.table.Key()
			p.open(detail)
		case key.Matches(msg, keys.card):
			p.open(card)
		case key.Matches(msg, keys.conceded):
			p.open(conceded)
		case p.view == components:
			p.table.Update(msg)
		default:
			p.pane.Update(msg)
		}
		return nil
	case tea.MouseMsg:
		switch {
		case p.view != components:
			p.pane.Update(msg)
		case p.table.Click(msg):
			return p.Update(kit.Enter)
		}
		return nil
	}
	cmd, news := p.poll.Update(msg)
	if news {
		p.fill()
	}
	return cmd
}

func (p *Page) open(v view) {
	p.view = v
	p.pane.Top()
	p.fill()
}

// fill brings what was read into the table and the pane.
func (p *Page) fill() {
	s := p.poll.Value
	rows := make([]kit.Row, 0, len(s.Parts))
	for _, part := range s.Parts {
		look := kit.Good
		switch {
		case part.State == "absent":
			look = kit.Bad
		case part.State != "present" || part.Amiss != "":
			look = kit.Warn
		}
		seen := kit.Text(part.Seen)
		if part.Amiss != "" {
			seen = kit.Cell{Text: part.Amiss, Look: kit.Warn}
		} else if len(part.Facts) > 0 {
			var facts []string
			for _, f := range part.Facts {
				facts = append(facts, f.Name+" "+f.Value)
			}
			seen.Text = strings.Join(facts, ", ")
		}
		rows = append(rows, kit.Row{Key: part.Key, Cells: []kit.Cell{kit.Text(part.Key), {Text: part.State, Look: look}, seen}})
	}
	p.table.SetRows(rows)
	p.size()
	switch p.view {
	case card:
		p.pane.SetLines(p.cardLines(p.width - 2))
	case conceded:
		p.pane.SetLines(p.concededLines(p.width - 2))
	case detail:
		p.pane.SetLines(p.detailLines(p.width - 2))
	}
}

// wide is the least width at which the card stands beside the components.
const wide = 150

func (p *Page) size() {
	p.pane.SetSize(p.width-2, max(p.height-2, 1))
	w := p.width - 2
	if p.width >= wide {
		w = p.width*3/5 - 2
	}
	p.table.SetSize(w, max(p.height-3-len(p.warningLines(w)), 3))
}

// SetSize implements page.Page.
func (p *Page) SetSize(width, height int) {
	p.width, p.height = width, height
	p.fill()
}

// View implements page.Page.
func (p *Page) View() string {
	t := p.theme
	lines := []string{p.summary(), ""}
	switch {
	case !p.poll.Loaded():
	case p.view != components:
		lines = append(lines, p.pane.Lines()...)
	case p.width >= wide:
		left := p.width*3/5 - 2
		right := p.width - left - 4
		body := append(p.table.Under(lines)[len(lines):], p.warningLines(left)...)
		beside := p.cardLines(right)
		beside = append(append(beside, ""), p.concededLines(right)...)
		lines = append(lines, t.Beside(2, kit.Strip{Lines: body, Width: left}, kit.Strip{Lines: beside, Width: right})...)
	default:
		lines = append(p.table.Under(lines), p.warningLines(p.width-2)...)
	}
	return t.Page(lines, p.width, p.height)
}

func (p *Page) summary() string {
	t, s := p.theme, p.poll.Value
	if state := p.poll.State(t); state != "" {
		return state
	}
	parts := []string{"up " + phrase.About(p.now().Sub(s.Started)), "since " + s.Started.Local().Format("2006-01-02 15:04:05")}
	if s.Version != "" {
		parts = append(parts, "version "+s.Version)
	}
	if s.Stack != "" {
		parts = append(parts, "stack "+s.Stack)
	}
	parts = append(parts, "process "+strconv.Itoa(s.PID))
	return t.Draw(kit.Dim, phrase.Line(strings.Join(parts, ", ")))
}

// warningLines are the open warnings, at the foot of the components.
func (p *Page) warningLines(width int) []string {
	t, warnings := p.theme, p.poll.Value.Warnings
	if len(warnings) == 0 {
		return nil
	}
	const most = 3
	lines := []string{""}
	for i, w := range warnings {
		if i == most-1 && len(warnings) > most {
			lines = append(lines, t.Draw(kit.Warn, fmt.Sprintf("! %d more warnings", len(warnings)-i)))
			break
		}
		lines = append(lines, t.Draw(kit.Warn, t.Cut("! "+phrase.Line(w), width)))
	}
	return lines
}

// cardLines are the connection card as `up` prints it.
func (p *Page) cardLines(width int) []string {
	t, e := p.theme, p.poll.Value.Card
	if e == nil {
		return []string{t.Draw(kit.Dim, "the lab was not ready yet: it has no connection card")}
	}
	short := *e
	short.Concessions = nil // they have a view of their own
	var b bytes.Buffer
	if err := render.Card(&b, short, p.poll.Value.Password); err != nil {
		return []string{t.Draw(kit.Bad, err.Error())}
	}
	return headed(t, b.String(), width)
}

// headed gives headings, which are not indented, their look.
func headed(t kit.Theme, text string, width int) []string {
	var out []string
	for _, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		l = t.Cut(l, width)
		if l != "" && !strings.HasPrefix(l, " ") {
			l = t.Draw(kit.Heading, l)
		}
		out = append(out, l)
	}
	return out
}

func (p *Page) concededLines(width int) []string {
	t, s := p.theme, p.poll.Value
	var lines []string
	section := func(title string, look kit.Look, texts []string, none string) {
		lines = append(lines, t.Draw(kit.Heading, title))
		for _, text := range texts {
			for i, l := range kit.Wrap(phrase.Line(text), width-4) {
				mark := "  "
				if i == 0 {
					mark = t.Draw(look, "- ")
				}
				lines = append(lines, "  "+mark+l)
			}
		}
		if len(texts) == 0 {
			lines = append(lines, "  "+t.Draw(kit.Dim, none))
		}
		lines = append(lines, "")
	}
	var conceded []string
	if s.Card != nil {
		conceded = s.Card.Concessions
	}
	section("Other than in the profile", kit.Warn, conceded, "nothing")
	section("Changed of the profile, or on the lab", kit.Active, s.Changed, "nothing")
	if len(s.Warnings) > 0 {
		section("Warnings", kit.Warn, s.Warnings, "")
	}
	return lines
}

func (p *Page) detailLines(width int) []string {
	t := p.theme
	for _, part := range p.poll.Value.Parts {
		if part.Key != p.detailOf {
			continue
		}
		lines := []string{t.Draw(kit.Heading, phrase.Line(part.Key)) + "  " + phrase.Line(part.State)}
		row := func(label, text string) {
			if text = phrase.Line(text); text == "" {
				return
			}
			for i, l := range kit.Wrap(text, max(width-16, 20)) {
				if i > 0 {
					label = ""
				}
				lines = append(lines, "  "+t.Draw(kit.Dim, t.Fit(label, 13))+" "+l)
			}
		}
		row("is", part.Implementation)
		row("needed", part.Why)
		row("after", strings.Join(part.Needs, ", "))
		row("seen", part.Seen)
		row("differs", part.Amiss)
		for _, f := range part.Facts {
			row(f.Name, f.Value)
		}
		for _, g := range part.Gates {
			row("ready when", g)
		}
		return append(lines, "", t.Draw(kit.Dim, "its log is on page 8"))
	}
	return []string{t.Draw(kit.Dim, "there is no component "+p.detailOf+" any more")}
}

// Filter implements page.Page.
func (p *Page) Filter(text string) { p.table.Filter(text) }

// Keys implements page.Page.
func (p *Page) Keys() []key.Binding { return []key.Binding{keys.open, keys.card, keys.conceded} }

// Typing implements page.Page.
func (p *Page) Typing() bool { return false }

// Back implements page.Page.
func (p *Page) Back() bool {
	if p.view == components {
		return false
	}
	p.view = components
	p.fill()
	return true
}
