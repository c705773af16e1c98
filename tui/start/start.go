package start

import (
	"context"
	"slices"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui"
	"github.com/alertlab/alertlab/tui/kit"
)

// Profile is a profile to choose.
type Profile struct{ Name, Does string }

// Choice is what was chosen. Empty strings mean what the lab is already, or the
// defaults.
type Choice struct{ Profile, Provider string }

// Source is what the view shows and does.
type Source interface {
	// Known says whether there is a lab already, whose profile stays.
	Known() bool
	Profiles() []Profile
	Providers() []string
	// Plan is what Up would do, as text.
	Plan(context.Context, Choice) (string, error)
	// Up brings the lab up.
	Up(context.Context, Choice, event.Sink) error
	// Attach follows the walk that goes on, or shows the last one.
	Attach(context.Context, event.Sink) error
	// About is what is known of the walk besides.
	About() tui.About
}

type mode int

const (
	choosing mode = iota
	walking
)

type planned struct {
	of     *View
	choice Choice
	text   string
	err    error
}

// View is the view. It implements page.Page and dash.Starter.
type View struct {
	ctx    context.Context
	theme  kit.Theme
	source Source
	keys   keyMap

	width, height int
	mode          mode
	known         bool
	profiles      []Profile
	table         kit.Table
	providers     []string
	provider      int
	plan          kit.Pane
	planOf        Choice
	planText      string
	planErr       error
	walk          *tui.Walk
	watching      bool // the walk was begun elsewhere
	left          bool // Done was told
}

type keyMap struct{ up, provider, page, again, log key.Binding }

// New makes the view.
func New(ctx context.Context, theme kit.Theme, source Source) *View {
	bind := func(help, text string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, text))
	}
	return &View{ctx: ctx, theme: theme, source: source,
		keys: keyMap{
			up:       bind("enter", "bring it up", "enter"),
			provider: bind("p", "another provider", "p"),
			page:     bind("PgDn", "more of the plan", "pgdown", "pgup", " "),
			again:    bind("r", "plan again", "r"),
			log:      bind("l", "log of a step, arrows choose it", "l"),
		},
		table: kit.Table{Theme: theme, Columns: []kit.Column{{Title: "profile"}, {Title: "what it is", Least: 20}}},
		plan:  kit.Pane{Theme: theme}}
}

// Name implements page.Page.
func (v *View) Name() string { return "bring-up" }

// Offer lets a lab be brought up. A walk that goes on stays in view.
func (v *View) Offer() {
	v.left = false
	if v.mode == walking && v.walk != nil && !v.walk.Over() {
		return
	}
	v.mode, v.known = choosing, v.source.Known()
	v.providers = v.source.Providers()
	if v.profiles = v.source.Profiles(); !v.known {
		var rows []kit.Row
		for _, p := range v.profiles {
			rows = append(rows, kit.Row{Key: p.Name, Cells: []kit.Cell{{Text: p.Name}, {Text: p.Does, Look: kit.Dim}}})
		}
		v.table.SetRows(rows)
		v.table.Select("local")
	}
	v.planText = ""
	v.SetSize(v.width, v.height)
}

// Watch follows the walk that goes on.
func (v *View) Watch() {
	v.left = false
	if v.mode == walking && v.walk != nil && !v.walk.Over() {
		return
	}
	v.mode, v.walk, v.watching = walking, nil, true
}

// Done says, once, that the lab came up.
func (v *View) Done() bool {
	if v.left || v.mode != walking || v.walk == nil || !v.walk.Over() || v.walk.Err() != nil || v.watching {
		return false
	}
	v.left = true
	return true
}

// Show implements page.Page.
func (v *View) Show() tea.Cmd {
	if v.mode == choosing {
		return v.ask()
	}
	if v.walk == nil {
		v.walk = tui.NewWalk(v.ctx, v.theme.Styles, v.about())
		return v.walk.Start(v.source.Attach)
	}
	return nil
}

func (v *View) about() tui.About {
	a := v.source.About()
	a.Leave = "leaves it going on"
	return a
}

// Hide implements page.Page. A walk goes on unseen.
func (v *View) Hide() {}

// Interrupt cancels the walk that was begun here; the second time it is left.
func (v *View) Interrupt() bool {
	if v.mode != walking || v.walk == nil || v.walk.Over() || v.walk.Stopping() || v.watching {
		return false
	}
	v.walk.Cancel()
	return true
}

func (v *View) choice() Choice {
	c := Choice{}
	if !v.known {
		c.Profile = v.table.Key()
		if len(v.providers) > 0 {
			c.Provider = v.providers[v.provider%len(v.providers)]
		}
	}
	return c
}

// ask has the plan of what is chosen made.
func (v *View) ask() tea.Cmd {
	c := v.choice()
	v.planOf, v.planText, v.planErr = c, "", nil
	v.plan.SetLines(nil)
	v.plan.Top()
	ctx, source := v.ctx, v.source
	return func() tea.Msg {
		text, err := source.Plan(ctx, c)
		return planned{v, c, text, err}
	}
}

// Update implements page.Page.
func (v *View) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case planned:
		if msg.of != v || msg.choice != v.planOf {
			return nil
		}
		v.planText, v.planErr = msg.text, msg.err
		v.lay()
		return nil
	case tea.KeyMsg:
		return v.key(msg)
	case tea.MouseMsg:
		if msg.Button != tea.MouseButtonLeft || v.mode != choosing || v.known {
			v.plan.Update(msg)
			return nil
		}
		if was := v.table.Key(); v.table.Click(msg) || v.table.Key() == was {
			return nil // enter alone brings a lab up
		}
		return v.ask()
	}
	if v.walk != nil {
		return v.walk.Update(msg)
	}
	return nil
}

func (v *View) key(msg tea.KeyMsg) tea.Cmd {
	if v.mode == walking {
		if v.walk == nil {
			return nil
		}
		return v.walk.Update(msg)
	}
	switch {
	case key.Matches(msg, v.keys.up):
		if v.planErr != nil || v.planText == "" {
			return nil
		}
		c, source := v.choice(), v.source
		v.mode, v.watching, v.left = walking, false, false
		v.walk = tui.NewWalk(v.ctx, v.theme.Styles, v.about())
		return v.walk.Start(func(ctx context.Context, sink event.Sink) error { return source.Up(ctx, c, sink) })
	case key.Matches(msg, v.keys.provider) && !v.known && len(v.providers) > 1:
		v.provider++
		return v.ask()
	case key.Matches(msg, v.keys.again):
		return v.ask()
	case key.Matches(msg, v.keys.page), v.known:
		v.plan.Update(msg)
	case v.table.Update(msg):
		return v.ask()
	}
	return nil
}

// lay breaks the plan into lines with their looks.
func (v *View) lay() {
	var lines []string
	if v.planErr != nil {
		for _, l := range kit.Wrap(phrase.Lines(v.planErr.Error()), max(v.width-4, 20)) {
			lines = append(lines, v.theme.Draw(kit.Bad, l))
		}
	} else {
		lines = v.theme.PlanLines(v.planText, v.width-4)
	}
	v.plan.SetLines(lines)
}

// SetSize implements page.Page.
func (v *View) SetSize(width, height int) {
	v.width, v.height = width, height
	top := 0
	if !v.known {
		top = min(len(v.profiles)+1, max(height/3, 4))
		v.table.SetSize(width-2, top)
	}
	v.plan.SetSize(width-4, max(height-top-4, 1))
	v.lay()
}

// View implements page.Page.
func (v *View) View() string {
	t := v.theme
	if v.mode == walking {
		lines := []string{""}
		if v.walk != nil {
			lines = append(lines, v.walk.Lines(v.width-4, v.height-2)...)
			if v.walk.Err() != nil && v.walk.Over() && !v.walk.Told() {
				lines = append(lines, t.Draw(kit.Bad, phrase.Line(v.walk.Err().Error())))
			}
		}
		return t.Block(shift(lines), v.width, v.height)
	}
	lines := []string{""}
	if !v.known {
		lines = append(lines, t.Draw(kit.Heading, "Choose a profile")+t.Draw(kit.Dim, "   provider "+strings.Join(v.providerWords(), " ")))
		lines = v.table.Under(lines)
	}
	lines = append(lines, "")
	switch {
	case v.planText == "" && v.planErr == nil:
		lines = append(lines, t.Draw(kit.Dim, "planning"+t.Signs.Ellipsis))
	default:
		lines = append(lines, v.plan.Lines()...)
		lines = append(lines, t.Draw(kit.Dim, v.plan.Rest()))
	}
	return t.Block(shift(lines), v.width, v.height)
}

func (v *View) providerWords() []string {
	out := slices.Clone(v.providers)
	for i := range out {
		if len(out) > 1 && i == v.provider%len(out) {
			out[i] = "[" + out[i] + "]"
		}
	}
	return out
}

func shift(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = "  " + l
	}
	return out
}

// Filter implements page.Page.
func (v *View) Filter(text string) {
	if !v.known {
		v.table.Filter(text)
	}
}

// Keys implements page.Page.
func (v *View) Keys() []key.Binding {
	if v.mode == walking {
		return []key.Binding{v.keys.log}
	}
	k := []key.Binding{v.keys.up, v.keys.page, v.keys.again}
	if len(v.providers) > 1 && !v.known {
		k = append(k, v.keys.provider)
	}
	return k
}

// Typing implements page.Page.
func (v *View) Typing() bool { return false }

// Back implements page.Page.
func (v *View) Back() bool { return false }
