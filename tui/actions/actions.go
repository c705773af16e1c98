// Package actions is the dashboard's page of what can be done with a lab: each action
// asks for what it needs, shows what it will do, asks whether it shall, and then is
// watched. The page knows no action: they are handed in as data.
package actions

import (
	"context"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui"
	"github.com/alertlab/alertlab/tui/kit"
)

// Field is something that an action asks for.
type Field struct {
	Name    string
	Hint    string   // what to type
	Default string   // what stands there at first
	Options []string // to choose from with left and right; nil for any text
	// Optional says that it may be left empty.
	Optional bool
}

// Action is something that can be done.
type Action struct {
	Name   string // as the verb is typed, e.g. "user add"
	Does   string
	Fields []Field
	// Confirm is a word that must be typed before it is done; empty for a mere y.
	Confirm string
	// Refused says why it cannot be done now; empty when it can.
	Refused string
}

// Values are what was given for the fields, by their names.
type Values map[string]string

// Source is what the page offers and does.
type Source interface {
	// Actions lists what can be done now.
	Actions(context.Context) ([]Action, error)
	// Plan says what an action would do, as text. It does nothing.
	Plan(ctx context.Context, action string, values Values) (string, error)
	// Do does it, and says in a sentence what came of it. Where it walks a plan, sink
	// gets the events.
	Do(ctx context.Context, action string, values Values, sink event.Sink) (string, error)
	// About is what is known of a walk besides its events.
	About() tui.About
}

type stage int

const (
	choosing stage = iota
	asking
	planning // what it would do is being found out, or in view
	doing
)

type (
	planned struct {
		of   *Page
		n    int
		text string
		err  error
	}
	done struct {
		of   *Page
		n    int
		said string
		err  error
	}
)

// Page implements page.Page.
type Page struct {
	ctx           context.Context
	theme         kit.Theme
	source        Source
	list          *kit.Poll[[]Action]
	width, height int
	table         kit.Table

	stage   stage
	n       int // counts what was begun
	action  Action
	values  Values
	field   int // which is asked for
	input   textinput.Model
	problem string
	plan    kit.Pane
	ready   bool // the plan is in view
	failed  error
	confirm bool // the word is being typed

	walk *tui.Walk
	over bool
	said string
}

var keys = struct{ open, yes, no, choose, log key.Binding }{
	key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "choose, go on")),
	key.NewBinding(key.WithKeys("y"), key.WithHelp("y", "do what the plan says")),
	key.NewBinding(key.WithKeys("n"), key.WithHelp("n esc", "do nothing")),
	key.NewBinding(key.WithKeys("left", "right"), key.WithHelp("← →", "choose a value")),
	key.NewBinding(key.WithKeys("l"), key.WithHelp("l", "log of a step while it is done")),
}

// New makes the page; input is the line to type into.
func New(ctx context.Context, theme kit.Theme, input textinput.Model, source Source) *Page {
	return &Page{ctx: ctx, theme: theme, source: source, input: input, list: kit.NewPoll(ctx, 0, source.Actions),
		table: kit.Table{Theme: theme, Foot: 2, Columns: []kit.Column{{Title: "action"}, {Title: "what it does", Least: 20}}},
		plan:  kit.Pane{Theme: theme}}
}

// Name implements page.Page.
func (p *Page) Name() string { return "Actions" }

// Crumb says which action is open.
func (p *Page) Crumb() string {
	if p.stage == choosing {
		return ""
	}
	return p.action.Name
}

// Show implements page.Page.
func (p *Page) Show() tea.Cmd { return p.list.Start() }

// Hide implements page.Page. What is being done goes on.
func (p *Page) Hide() { p.list.Stop() }

// Offline says that the list shows what can be done with a lab that does not run.
func (p *Page) Offline() bool { return true }

// Interrupt cancels what is being done.
func (p *Page) Interrupt() bool {
	if p.stage != doing || p.over || p.walk == nil || p.walk.Stopping() {
		return false
	}
	p.walk.Cancel()
	return true
}

// Update implements page.Page.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		return p.key(msg)
	case tea.MouseMsg:
		switch p.stage {
		case choosing:
			if p.table.Click(msg) {
				return p.key(kit.Enter)
			}
		case planning:
			p.plan.Update(msg)
		}
		return nil
	case planned:
		if msg.of == p && msg.n == p.n && p.stage == planning {
			p.ready, p.failed = true, msg.err
			p.plan.SetLines(p.planLines(msg.text))
			p.plan.Top()
			if msg.err == nil && p.action.Confirm != "" {
				p.confirm = true
				p.input.SetValue("")
				return p.input.Focus()
			}
		}
		return nil
	case done:
		if msg.of == p && msg.n == p.n {
			p.over, p.said, p.failed = true, msg.said, msg.err
			return p.list.Start()
		}
		return nil
	}
	var cmds []tea.Cmd
	cmd, news := p.list.Update(msg)
	if news {
		p.fill()
	}
	cmds = append(cmds, cmd)
	if p.walk != nil {
		cmds = append(cmds, p.walk.Update(msg))
	}
	return tea.Batch(cmds...)
}

func (p *Page) fill() {
	var rows []kit.Row
	for _, a := range p.list.Value {
		does := kit.Text(a.Does)
		name := kit.Text(a.Name)
		if a.Refused != "" {
			does, name.Look = kit.Cell{Text: a.Refused, Look: kit.Dim}, kit.Dim
		}
		rows = append(rows, kit.Row{Key: a.Name, Cells: []kit.Cell{name, does}})
	}
	p.table.SetRows(rows)
	p.table.SetSize(p.width-2, max(p.height-2, 2))
	p.plan.SetSize(p.width-2, max(p.height-5, 1))
}

func (p *Page) key(msg tea.KeyMsg) tea.Cmd {
	switch p.stage {
	case choosing:
		if !key.Matches(msg, keys.open) {
			p.table.Update(msg)
			return nil
		}
		for _, a := range p.list.Value {
			if a.Name == p.table.Key() && a.Refused == "" {
				return p.choose(a)
			}
		}
	case asking:
		return p.ask(msg)
	case planning:
		return p.decide(msg)
	case doing:
		if p.over && key.Matches(msg, keys.open) {
			p.leave()
			return nil
		}
		if p.walk != nil {
			return p.walk.Update(msg)
		}
	}
	return nil
}

func (p *Page) choose(a Action) tea.Cmd {
	p.action, p.values, p.problem, p.failed, p.said = a, Values{}, "", nil, ""
	for _, f := range a.Fields {
		p.values[f.Name] = f.Default
		if f.Default == "" && len(f.Options) > 0 {
			p.values[f.Name] = f.Options[0]
		}
	}
	if len(a.Fields) == 0 {
		return p.toPlan()
	}
	p.stage, p.field = asking, 0
	return p.focus()
}

// focus puts the cursor on the field that is asked for.
func (p *Page) focus() tea.Cmd {
	p.input.SetValue(p.values[p.action.Fields[p.field].Name])
	p.input.CursorEnd()
	return p.input.Focus()
}

func (p *Page) ask(msg tea.KeyMsg) tea.Cmd {
	f := p.action.Fields[p.field]
	switch msg.String() {
	case "esc", "ctrl+c":
		p.leave()
		return nil
	case "enter", "tab", "down":
		if strings.TrimSpace(p.values[f.Name]) == "" && !f.Optional {
			p.problem = "it is needed: " + f.Hint
			return nil
		}
		p.problem = ""
		if p.field == len(p.action.Fields)-1 {
			if msg.String() != "enter" {
				return nil
			}
			return p.toPlan()
		}
		p.field++
		return p.focus()
	case "shift+tab", "up":
		p.field = max(p.field-1, 0)
		return p.focus()
	case "left", "right":
		if len(f.Options) > 0 {
			by := 1
			if msg.String() == "left" {
				by = len(f.Options) - 1
			}
			for i, o := range f.Options {
				if o == p.values[f.Name] {
					p.values[f.Name] = f.Options[(i+by)%len(f.Options)]
					break
				}
			}
			return p.focus()
		}
	}
	if len(f.Options) > 0 {
		return nil
	}
	var cmd tea.Cmd
	p.input, cmd = p.input.Update(msg)
	p.values[f.Name] = p.input.Value()
	return cmd
}

// toPlan has it found out what the action would do.
func (p *Page) toPlan() tea.Cmd {
	p.stage, p.ready, p.confirm, p.failed = planning, false, false, nil
	p.plan.SetLines(nil)
	p.n++
	n, ctx, source, action, values := p.n, p.ctx, p.source, p.action.Name, p.values
	return func() tea.Msg {
		text, err := source.Plan(ctx, action, values)
		return planned{p, n, text, err}
	}
}

func (p *Page) decide(msg tea.KeyMsg) tea.Cmd {
	switch {
	case p.confirm && msg.String() == "enter":
		if strings.TrimSpace(p.input.Value()) == p.action.Confirm {
			return p.do()
		}
		p.problem = "that is not " + p.action.Confirm
		return nil
	case p.confirm && (msg.String() == "esc" || msg.String() == "ctrl+c"):
		p.leave()
		return nil
	case p.confirm:
		var cmd tea.Cmd
		p.input, cmd = p.input.Update(msg)
		return cmd
	case key.Matches(msg, keys.no):
		p.leave()
	case key.Matches(msg, keys.yes) && p.ready && p.failed == nil:
		return p.do()
	default:
		p.plan.Update(msg)
	}
	return nil
}

// do does what the plan said.
func (p *Page) do() tea.Cmd {
	p.stage, p.over, p.said, p.failed, p.problem, p.confirm = doing, false, "", nil, "", false
	p.n++
	n, source, action, values := p.n, p.source, p.action.Name, p.values
	about := source.About()
	about.Leave = "leaves it going on"
	p.walk = tui.NewWalk(p.ctx, p.theme.Styles, about)
	said := make(chan done, 1)
	start := p.walk.Start(func(ctx context.Context, sink event.Sink) error {
		text, err := source.Do(ctx, action, values, sink)
		said <- done{p, n, text, err}
		return err
	})
	ctx := p.ctx
	return tea.Batch(start, func() tea.Msg {
		select {
		case d := <-said:
			return d
		case <-ctx.Done():
			return nil
		}
	})
}

// leave goes back to the list.
func (p *Page) leave() {
	p.stage, p.confirm, p.problem, p.walk = choosing, false, "", nil
	p.n++ // what is being found out is not wanted any more
}

// planLines gives what an action would do its looks.
func (p *Page) planLines(text string) []string {
	t := p.theme
	if p.failed != nil {
		var out []string
		for _, l := range kit.Wrap(phrase.Lines(p.failed.Error()), max(p.width-4, 20)) {
			out = append(out, t.Draw(kit.Bad, l))
		}
		return out
	}
	return t.PlanLines(text, p.width-4)
}

// SetSize implements page.Page.
func (p *Page) SetSize(width, height int) {
	p.width, p.height = width, height
	p.fill()
}

// View implements page.Page.
func (p *Page) View() string {
	t := p.theme
	var lines []string
	title := t.Draw(kit.Heading, p.action.Name) + "  " + t.Draw(kit.Dim, phrase.Line(p.action.Does))
	switch p.stage {
	case choosing:
		state := p.list.State(t)
		if state == "" {
			state = t.Draw(kit.Dim, "Nothing is done before it was shown and confirmed.")
			switch {
			case p.walk == nil:
			case !p.over:
				state = t.Draw(kit.Active, p.action.Name+" is being done"+t.Signs.Ellipsis)
			case p.failed != nil:
				state = t.Draw(kit.Bad, p.action.Name+": "+kit.Explain(p.failed))
			default:
				state = t.Draw(kit.Good, phrase.Line(p.said))
			}
		}
		lines = p.table.Under([]string{state, ""})
	case asking:
		lines = append(lines, title, "")
		for i, f := range p.action.Fields {
			value := phrase.Line(p.values[f.Name])
			if len(f.Options) > 0 {
				value = "< " + value + " >"
			}
			label := t.Fit(f.Name, 14)
			switch {
			case i == p.field && len(f.Options) == 0:
				lines = append(lines, t.Draw(kit.Active, t.Signs.Mark+" "+label)+p.input.View())
			case i == p.field:
				lines = append(lines, t.Draw(kit.Active, t.Signs.Mark+" "+label+value))
			default:
				lines = append(lines, "  "+label+value)
			}
			lines = append(lines, "  "+strings.Repeat(" ", 14)+t.Draw(kit.Dim, phrase.Line(f.Hint)))
		}
		lines = append(lines, "", t.Draw(kit.Warn, p.problem))
		lines = append(lines, t.Draw(kit.Dim, "enter: the next one, then what will be done; esc leaves it"))
	case planning:
		lines = append(lines, title, "")
		if !p.ready {
			lines = append(lines, t.Draw(kit.Dim, "finding out what it would do"+t.Signs.Ellipsis))
			break
		}
		lines = append(lines, p.plan.Lines()...)
		lines = append(lines, t.Draw(kit.Dim, p.plan.Rest()))
		switch {
		case p.failed != nil:
			lines = append(lines, t.Draw(kit.Warn, "it cannot be done so; esc leaves it"))
		case p.confirm:
			lines = append(lines, t.Draw(kit.Bad, "type "+p.action.Confirm+" to do this: ")+p.input.View()+"  "+t.Draw(kit.Warn, p.problem))
		default:
			lines = append(lines, t.Draw(kit.Warn, "y does this, n leaves it"))
		}
	case doing:
		lines = append(lines, title, "")
		if p.walk != nil && p.walk.Begun() {
			lines = append(lines, p.walk.Lines(p.width-2, max(p.height-5, 3))...)
		} else if !p.over {
			lines = append(lines, t.Draw(kit.Active, "being done"+t.Signs.Ellipsis))
		}
		switch {
		case p.over && p.failed != nil && (p.walk == nil || !p.walk.Told()):
			for _, l := range kit.Wrap(phrase.Lines(p.failed.Error()), max(p.width-4, 20)) {
				lines = append(lines, t.Draw(kit.Bad, l))
			}
		case p.over && p.failed == nil:
			for _, l := range kit.Wrap(phrase.Line(p.said), max(p.width-4, 20)) {
				lines = append(lines, t.Draw(kit.Good, l))
			}
		}
		if p.over {
			lines = append(lines, "", t.Draw(kit.Dim, "enter: back to the actions"))
		}
	}
	return t.Page(lines, p.width, p.height)
}

// Filter implements page.Page.
func (p *Page) Filter(text string) { p.table.Filter(text) }

// Keys implements page.Page.
func (p *Page) Keys() []key.Binding {
	return []key.Binding{keys.open, keys.yes, keys.no, keys.choose, keys.log}
}

// Typing implements page.Page.
func (p *Page) Typing() bool { return p.stage == asking || p.stage == planning && p.confirm }

// Back implements page.Page.
func (p *Page) Back() bool {
	switch {
	case p.stage == choosing:
		return false
	case p.stage == doing && !p.over: // it goes on, and is said when it is done
		p.stage = choosing
		return true
	}
	p.leave()
	return true
}
