package dash

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/bubbles/cursor"
	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/page"
)

// The least size of a terminal that the dashboard is drawn on, in cells.
const (
	Width  = 80
	Height = 24
)

// around is how many lines the frame takes: title, tabs, rule, status.
const around = 4

// healthEvery is the time between two looks at the lab.
const healthEvery = 2 * time.Second

// Entry is a page with the digit that opens it.
type Entry struct {
	Digit rune
	Page  page.Page
}

// Starter is the view in which a lab is brought up and its walks are watched.
type Starter interface {
	page.Page
	// Offer lets a lab be brought up, a new one or one that is stopped.
	Offer()
	// Watch follows the walk that goes on.
	Watch()
	// Done says, once, that the lab came up and there is nothing more to see here.
	Done() bool
}

// offline is a page that has something to show while the lab does not run.
type offline interface{ Offline() bool }

// crumbed is a page that says where in it the reader is.
type crumbed interface{ Crumb() string }

// interrupted is a page that has begun something which a Ctrl-C cancels. Interrupt
// says whether there was something to cancel; else the dashboard is left.
type interrupted interface{ Interrupt() bool }

// prompt is what the last line asks for.
type prompt int

const (
	noPrompt prompt = iota
	commandPrompt
	filterPrompt
)

// frame is the dashboard.
type frame struct {
	ctx     context.Context
	theme   kit.Theme
	keys    keyMap
	lab     string
	pages   []Entry
	starter Starter

	width, height int
	at            int // index of the page in view
	starting      bool
	shown         page.Page // whose Show was called, nil when none is
	health        *kit.Poll[Health]
	known         bool // health was seen
	helping       bool
	help          kit.Pane
	prompt        prompt
	input         textinput.Model
	filters       map[page.Page]string
	said          string // on the last line, until the next key
	mouse         bool
	answer        answer
}

func newFrame(ctx context.Context, o Options, pages []Entry, starter Starter) *frame {
	f := &frame{ctx: ctx, theme: o.Theme, keys: keys(), lab: o.Lab, pages: pages, starter: starter, filters: map[page.Page]string{}, mouse: true,
		help: kit.Pane{Theme: o.Theme}, input: NewInput()}
	f.health = kit.NewPoll(ctx, healthEvery, func(ctx context.Context) (Health, error) { return o.Health(ctx), nil })
	if o.First != 0 {
		f.at = max(slices.IndexFunc(pages, func(e Entry) bool { return e.Digit == o.First }), 0)
	}
	return f
}

// NewInput makes a line to type into, without a blinking cursor.
func NewInput() textinput.Model {
	in := textinput.New()
	in.Prompt = ""
	in.Cursor.SetMode(cursor.CursorStatic)
	return in
}

// Init begins to look at the lab.
func (f *frame) Init() tea.Cmd { return f.health.Start() }

// current is the page in view.
func (f *frame) current() page.Page {
	if f.starting {
		return f.starter
	}
	return f.pages[f.at].Page
}

// live says whether the page in view has something to show.
func (f *frame) live() bool {
	if f.starting || f.health.Value.Condition.Runs() {
		return true
	}
	p, ok := f.current().(offline)
	return ok && p.Offline() && f.known && f.health.Value.Condition != Absent
}

// settle lets the page that should be followed be followed, and no other.
func (f *frame) settle() tea.Cmd {
	var want page.Page
	if f.live() {
		want = f.current()
	}
	if want == f.shown {
		return nil
	}
	if f.shown != nil {
		f.shown.Hide()
	}
	f.shown = want
	if want == nil {
		return nil
	}
	want.Filter(f.filters[want])
	return want.Show()
}

func (f *frame) setSize(width, height int) {
	f.width, f.height = width, height
	for _, e := range f.pages {
		e.Page.SetSize(width, max(height-around, 1))
	}
	f.starter.SetSize(width, max(height-around, 1))
	f.help.SetSize(max(width-2, 1), max(height-around, 1))
}

func (f *frame) small() bool { return f.width < Width || f.height < Height }

// Update takes a message. Keys go to the prompt, the page or the frame, in this order;
// what is neither a key nor the mouse is for whoever knows it.
func (f *frame) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		f.setSize(msg.Width, msg.Height)
		if f.helping {
			f.help.SetLines(f.helpLines())
		}
		return nil
	case tea.KeyMsg:
		if f.answer.takes(msg) {
			return nil
		}
		if msg.Type != tea.KeyRunes || msg.Paste {
			return f.key(msg)
		}
		// Keys that were typed before the terminal was read come as one.
		var cmds []tea.Cmd
		for _, r := range msg.Runes {
			cmds = append(cmds, f.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: msg.Alt}))
		}
		return tea.Batch(cmds...)
	case tea.MouseMsg:
		return f.click(msg)
	}
	var cmds []tea.Cmd
	if cmd, news := f.health.Update(msg); cmd != nil || news {
		cmds = append(cmds, cmd)
		if news {
			if f.health.Value.Condition == Absent && !f.starting && !f.known {
				f.offer()
			}
			f.known = true
		}
	}
	for _, e := range f.pages {
		cmds = append(cmds, e.Page.Update(msg))
	}
	cmds = append(cmds, f.starter.Update(msg))
	if f.starter.Done() && f.starting {
		f.starting = false
		cmds = append(cmds, f.health.Start())
	}
	cmds = append(cmds, f.settle())
	return tea.Batch(cmds...)
}

func (f *frame) offer() {
	f.starter.Offer()
	f.starting = true
}

func (f *frame) key(msg tea.KeyMsg) tea.Cmd {
	if f.prompt != noPrompt {
		return f.typed(msg)
	}
	f.said = ""
	typing := f.shown != nil && f.shown.Typing() && !f.helping
	switch {
	case key.Matches(msg, f.keys.suspend):
		return tea.Suspend
	case key.Matches(msg, f.keys.quit):
		if p, ok := f.shown.(interrupted); ok && p.Interrupt() {
			return nil
		}
		return tea.Quit
	case typing:
		return tea.Batch(f.shown.Update(msg), f.settle())
	case f.small():
		if key.Matches(msg, f.keys.back) {
			return tea.Quit
		}
		return nil
	case f.helping:
		if f.help.Update(msg) {
			return nil
		}
		f.helping = false
		if key.Matches(msg, f.keys.help, f.keys.back, f.keys.leave) {
			return nil
		}
	}
	k := f.keys
	switch {
	case key.Matches(msg, k.help):
		f.helping = true
		f.help.Top()
		f.help.SetLines(f.helpLines())
		return nil
	case key.Matches(msg, k.command), key.Matches(msg, k.filter):
		f.prompt = commandPrompt
		f.input.SetValue("")
		if key.Matches(msg, k.filter) {
			f.prompt = filterPrompt
			f.input.SetValue(f.filters[f.current()])
		}
		f.input.CursorEnd()
		return f.input.Focus()
	case key.Matches(msg, k.back), key.Matches(msg, k.leave):
		return f.back(key.Matches(msg, k.back))
	case key.Matches(msg, k.next):
		return f.open((f.at + 1) % len(f.pages))
	case key.Matches(msg, k.previous):
		return f.open((f.at + len(f.pages) - 1) % len(f.pages))
	case key.Matches(msg, k.mouse):
		if f.mouse = !f.mouse; f.mouse {
			f.said = "the mouse is the dashboard's"
			return tea.EnableMouseCellMotion
		}
		f.said = "the mouse is the terminal's: text can be selected"
		return tea.DisableMouse
	case key.Matches(msg, k.up) && (f.health.Value.Condition == Absent || f.health.Value.Condition == Stopped) && !f.starting:
		f.offer()
		return f.settle()
	case key.Matches(msg, k.watch) && !f.starting:
		return f.watch()
	}
	if len(msg.Runes) == 1 {
		if i := slices.IndexFunc(f.pages, func(e Entry) bool { return e.Digit == msg.Runes[0] }); i >= 0 {
			return f.open(i)
		}
	}
	if f.shown == nil {
		return nil
	}
	return tea.Batch(f.shown.Update(msg), f.settle())
}

func (f *frame) watch() tea.Cmd {
	if c := f.health.Value.Condition; !c.Runs() && c != Coming {
		f.said = "nothing runs that could be watched"
		return nil
	}
	f.starter.Watch()
	f.starting = true
	return f.settle()
}

// open brings a page into view.
func (f *frame) open(i int) tea.Cmd {
	f.at, f.starting = i, false
	return f.settle()
}

// back leaves the innermost thing; quits says whether that may be the dashboard.
func (f *frame) back(quits bool) tea.Cmd {
	p := f.current()
	switch {
	case f.shown != nil && p.Back():
		return f.settle()
	case f.filters[p] != "":
		delete(f.filters, p)
		p.Filter("")
		return nil
	case f.starting && f.health.Value.Condition != Absent:
		f.starting = false
		return f.settle()
	case quits:
		return tea.Quit
	case f.starting:
		f.starting = false
		return f.settle()
	}
	return nil
}

// typed takes a key for the prompt.
func (f *frame) typed(msg tea.KeyMsg) tea.Cmd {
	p := f.current()
	switch msg.String() {
	case "ctrl+c", "esc":
		if f.prompt == filterPrompt {
			delete(f.filters, p)
			p.Filter("")
		}
		f.prompt = noPrompt
		return nil
	case "enter":
		text := strings.TrimSpace(f.input.Value())
		was := f.prompt
		f.prompt = noPrompt
		if was == commandPrompt {
			return f.command(text)
		}
		return nil
	case "tab":
		if f.prompt == commandPrompt {
			if c := f.completions(); len(c) > 0 {
				f.input.SetValue(common(c))
				f.input.CursorEnd()
			}
		}
		return nil
	case "backspace":
		if f.input.Value() == "" {
			f.prompt = noPrompt
			return nil
		}
	}
	var cmd tea.Cmd
	f.input, cmd = f.input.Update(msg)
	if f.prompt == filterPrompt { // as it is typed
		f.filters[p] = f.input.Value()
		p.Filter(f.input.Value())
	}
	return cmd
}

// commands are what the `:` prompt knows besides pages.
var commands = []string{"help", "quit", "up", "watch"}

func (f *frame) names() []string {
	var names []string
	for _, e := range f.pages {
		names = append(names, commandName(e.Page))
	}
	return append(names, commands...)
}

// commandName is a page's name as it is typed.
func commandName(p page.Page) string { return strings.ReplaceAll(strings.ToLower(p.Name()), " ", "-") }

func (f *frame) completions() []string {
	typed := strings.ToLower(f.input.Value())
	var out []string
	for _, n := range f.names() {
		if strings.HasPrefix(n, typed) {
			out = append(out, n)
		}
	}
	return out
}

// common is the beginning that all have.
func common(texts []string) string {
	out := texts[0]
	for _, t := range texts[1:] {
		for !strings.HasPrefix(t, out) {
			out = out[:len(out)-1]
		}
	}
	return out
}

func (f *frame) command(text string) tea.Cmd {
	text = strings.ToLower(text)
	if text == "" {
		return nil
	}
	if text == "q" {
		return tea.Quit
	}
	name := text
	if !slices.Contains(f.names(), text) {
		// A number, or a beginning that only one has.
		if i := slices.IndexFunc(f.pages, func(e Entry) bool { return string(e.Digit) == text }); i >= 0 {
			return f.open(i)
		}
		c := f.completions()
		if len(c) != 1 {
			f.said = "there is no " + phrase.Line(text) + "; there are " + strings.Join(f.names(), ", ")
			return nil
		}
		name = c[0]
	}
	switch name {
	case "quit":
		return tea.Quit
	case "help":
		f.helping = true
		f.help.SetLines(f.helpLines())
		return nil
	case "watch":
		return f.watch()
	case "up":
		f.offer()
		return f.settle()
	}
	return f.open(slices.IndexFunc(f.pages, func(e Entry) bool { return commandName(e.Page) == name }))
}

// click takes the mouse: tabs are clicked, all else is the page's.
func (f *frame) click(msg tea.MouseMsg) tea.Cmd {
	if f.small() {
		return nil
	}
	if msg.Y == 1 && msg.Action == tea.MouseActionPress && msg.Button == tea.MouseButtonLeft {
		x := 1
		for i, e := range f.pages {
			w := utf8.RuneCountInString(tab(e))
			if msg.X >= x && msg.X < x+w {
				f.helping = false
				return f.open(i)
			}
			x += w + 1
		}
		return nil
	}
	if f.helping {
		f.help.Update(msg)
		return nil
	}
	if f.shown == nil {
		return nil
	}
	msg.Y -= around - 1
	return f.shown.Update(msg)
}

func tab(e Entry) string { return string(e.Digit) + " " + e.Page.Name() }

// View draws the whole terminal.
func (f *frame) View() string {
	if f.width == 0 {
		return ""
	}
	if f.small() {
		return tooSmall(f.theme, f.width, f.height)
	}
	t := f.theme
	body := ""
	switch {
	case f.helping:
		body = t.Page(f.help.Lines(), f.width, f.height-around)
	case f.shown != nil:
		body = f.shown.View()
	default:
		body = t.Block(f.health.Value.instead(t, f.lab, f.width), f.width, f.height-around)
	}
	return strings.Join([]string{f.title(), f.tabs(), t.Draw(kit.Dim, strings.Repeat(t.Signs.Rule, f.width)), body, f.status()}, "\n")
}

func (f *frame) title() string {
	t := f.theme
	crumbs := []string{f.lab, f.current().Name()}
	if f.helping {
		crumbs = append(crumbs, "help")
	} else if c, ok := f.current().(crumbed); ok && f.shown != nil {
		if at := phrase.Line(c.Crumb()); at != "" {
			crumbs = append(crumbs, at)
		}
	}
	left := " " + t.Draw(kit.Heading, "alertlab") + "  " + strings.Join(crumbs, " "+t.Signs.Between+" ")
	h := f.health.Value
	words, look := h.Condition.words()
	right := t.Draw(look, h.Condition.sign(t.Signs)+" "+words) + " "
	if where := strings.TrimPrefix(h.Profile+" on "+h.Provider, " on "); h.Profile != "" && f.width >= 100 {
		right = t.Draw(kit.Dim, phrase.Line(where)) + "  " + right
	}
	return t.Ends(left, right, f.width)
}

func (f *frame) tabs() string {
	t := f.theme
	var b strings.Builder
	before := " "
	for i, e := range f.pages {
		switch chosen := i == f.at && !f.starting; {
		case chosen && t.Mono(): // the brackets take the places of blanks
			b.WriteString("[" + tab(e))
			before = "]"
			continue
		case chosen:
			b.WriteString(before + t.Draw(kit.Chosen, tab(e)))
		default:
			b.WriteString(before + t.Draw(kit.Dim, string(e.Digit)) + " " + e.Page.Name())
		}
		before = " "
	}
	return t.Fit(b.String()+strings.TrimSpace(before), f.width)
}

// status is the last line: a prompt, what was said last, or the page's first keys.
func (f *frame) status() string {
	t := f.theme
	switch {
	case f.prompt == commandPrompt:
		return t.Ends(" :"+f.input.View(), t.Draw(kit.Dim, t.Cut(strings.Join(f.completions(), " "), f.width/2))+" ", f.width)
	case f.prompt == filterPrompt:
		return t.Fit(" /"+f.input.View(), f.width)
	case f.said != "":
		return t.Fit(" "+t.Draw(kit.Warn, f.said), f.width)
	}
	right := t.Draw(kit.Dim, "? help  q back") + " "
	if text := f.filters[f.current()]; text != "" {
		return t.Ends(" "+t.Draw(kit.Active, "/"+phrase.Line(text))+t.Draw(kit.Dim, "  esc ends it"), right, f.width)
	}
	var hints []string
	if f.shown != nil {
		for _, b := range f.shown.Keys() {
			if b.Enabled() {
				hints = append(hints, t.Sign(b.Help().Key)+" "+b.Help().Desc)
			}
		}
	}
	room := f.width - kit.Width("? help  q back") - 4
	line := ""
	for _, h := range hints {
		// What is too long leaves its room to those that come after it.
		if next := strings.TrimPrefix(line+"  "+h, "  "); kit.Width(next) <= room {
			line = next
		}
	}
	return t.Ends(" "+t.Draw(kit.Dim, line), right, f.width)
}

// helpLines lists the page's keys and the frame's.
func (f *frame) helpLines() []string {
	t := f.theme
	lines := []string{""}
	section := func(title string, bindings []key.Binding) {
		if len(bindings) == 0 {
			return
		}
		lines = append(lines, t.Draw(kit.Heading, title))
		for _, b := range bindings {
			lines = append(lines, "  "+t.Draw(kit.Active, t.Fit(t.Sign(b.Help().Key), 12))+" "+b.Help().Desc)
		}
		lines = append(lines, "")
	}
	section(f.current().Name(), f.current().Keys())
	section("Lists and texts", kit.MoveKeys())
	section("Everywhere", Keys())
	var names []string
	for _, e := range f.pages {
		names = append(names, fmt.Sprintf("%c %s", e.Digit, commandName(e.Page)))
	}
	for i, l := range kit.Wrap("Pages, by number or after a colon: "+strings.Join(names, ", ")+".", max(f.width-4, 20)) {
		if i > 0 {
			l = "  " + l
		}
		lines = append(lines, l)
	}
	return lines
}
