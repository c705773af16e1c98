// Package logs is the dashboard's page of what components write: followed as it comes,
// of one component or of all in order of time, searched, coloured by level. Where the
// lines come from is handed in.
package logs

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
)

// Line is one line of a log.
type Line struct{ Component, Text string }

// Tail gives lines as they come. It is used by one command at a time.
type Tail interface {
	// Read gives those that came since the last call, at first the last ones.
	Read() ([]Line, error)
	Close()
}

// Source is where logs lie.
type Source interface {
	// Names lists the components that have a log.
	Names() ([]string, error)
	// Open follows the logs of some components.
	Open(names []string) Tail
}

const (
	every = 500 * time.Millisecond
	// Most is how many lines are kept; older ones go.
	Most = 5000
)

// Level is how grave a line is.
type Level int

// The levels, as slog names them.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

type parsed struct {
	Line
	level Level
	clock string
	text  string // without time and level
	low   string // for the filter
}

type news struct {
	of    *Page
	round int
	names []string
	lines []Line
	err   error
}

type due struct {
	of    *Page
	round int
}

// Page implements page.Page.
type Page struct {
	ctx    context.Context
	theme  kit.Theme
	source Source

	width, height int
	pane          kit.Pane
	names         []string
	only          string // the component in view, "" for all
	level         Level  // lines below it are hidden
	wrap          bool
	filter        string
	lines         []parsed
	shown         int // of the lines
	err           error
	loaded        bool
	round         int
	tail          Tail
	choosing      bool
	table         kit.Table
}

var keys = struct{ next, previous, choose, level, follow, wrap key.Binding }{
	key.NewBinding(key.WithKeys("right"), key.WithHelp("→", "next one")),
	key.NewBinding(key.WithKeys("left"), key.WithHelp("←", "the one before")),
	key.NewBinding(key.WithKeys("c"), key.WithHelp("c", "choose a component")),
	key.NewBinding(key.WithKeys("v"), key.WithHelp("v", "by level")),
	key.NewBinding(key.WithKeys("f"), key.WithHelp("f", "follow the end")),
	key.NewBinding(key.WithKeys("x"), key.WithHelp("x", "wrap lines")),
}

// New makes the page.
func New(ctx context.Context, theme kit.Theme, source Source) *Page {
	return &Page{ctx: ctx, theme: theme, source: source, level: Debug, pane: kit.Pane{Theme: theme, Tail: true},
		table: kit.Table{Theme: theme, Columns: []kit.Column{{Title: "component"}}}}
}

// Name implements page.Page.
func (p *Page) Name() string { return "Logs" }

// Offline says that logs of a lab that does not run can be read.
func (p *Page) Offline() bool { return true }

// Crumb says whose log is in view.
func (p *Page) Crumb() string {
	if p.only == "" {
		return "all"
	}
	return p.only
}

// Show implements page.Page.
func (p *Page) Show() tea.Cmd { return p.reopen() }

// reopen follows the chosen logs anew.
func (p *Page) reopen() tea.Cmd {
	p.Hide()
	p.lines, p.loaded, p.err = nil, false, nil
	p.pane.SetLines(nil)
	p.round++
	return p.read(nil)
}

// read gives the next lines; without a tail it opens one first.
func (p *Page) read(tail Tail) tea.Cmd {
	round, only, source := p.round, p.only, p.source
	return func() tea.Msg {
		names, err := source.Names()
		if err != nil {
			return news{of: p, round: round, err: err}
		}
		if tail == nil {
			chosen := names
			if only != "" {
				chosen = []string{only}
			}
			tail = source.Open(chosen)
		}
		lines, err := tail.Read()
		return opened{news{p, round, names, lines, err}, tail}
	}
}

type opened struct {
	news
	tail Tail
}

// Hide implements page.Page.
func (p *Page) Hide() {
	p.round++ // what is being read is not wanted any more
	if p.tail != nil {
		p.tail.Close()
		p.tail = nil
	}
}

// Update implements page.Page.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		return p.key(msg)
	case tea.MouseMsg:
		switch {
		case !p.choosing:
			p.pane.Update(msg)
		case p.table.Click(msg):
			return p.key(kit.Enter)
		}
	case opened:
		if msg.of != p {
			return nil
		}
		if msg.round != p.round {
			msg.tail.Close()
			return nil
		}
		p.tail = msg.tail
		p.take(msg.news)
		return kit.After(p.ctx, every, due{p, p.round})
	case news: // that nothing could be opened
		if msg.of == p && msg.round == p.round {
			p.take(msg)
			return kit.After(p.ctx, every*4, due{p, p.round})
		}
	case due:
		if msg.of == p && msg.round == p.round {
			// The tail is the command's until it comes back.
			tail := p.tail
			p.tail = nil
			return p.read(tail)
		}
	}
	return nil
}

func (p *Page) take(n news) {
	p.loaded, p.err = true, n.err
	if n.names != nil {
		p.names = n.names
	}
	if len(n.lines) == 0 {
		return
	}
	for _, l := range n.lines {
		p.lines = append(p.lines, parse(l))
	}
	if len(p.lines) > Most {
		p.lines = slices.Clone(p.lines[len(p.lines)-Most:])
	}
	p.lay()
}

// parse takes a line of slog's text form apart; other lines stay as they are. What a pod
// wrote is the message of such a line, and is taken apart in its turn.
func parse(l Line) parsed {
	out := parsed{Line: l, level: Info, text: l.Text}
	for out.slog() || out.log4j() {
		continue
	}
	if strings.HasPrefix(out.text, "panic:") || strings.HasPrefix(out.text, "fatal error:") {
		out.level = Error
	}
	out.text = phrase.Lines(out.text)
	out.low = strings.ToLower(l.Component + " " + out.text)
	return out
}

// slog takes the time, the level and the quotes of the message from a line that begins
// with them, and says whether it does.
func (p *parsed) slog() bool {
	rest, ok := strings.CutPrefix(p.text, "time=")
	if !ok {
		return false
	}
	at, rest, _ := strings.Cut(rest, " ")
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return false
	}
	if p.text = rest; p.clock == "" { // of the line around it, by which lines are sorted
		p.clock = t.Local().Format("15:04:05.000")
	}
	if rest, ok := strings.CutPrefix(p.text, "level="); ok {
		name, rest, _ := strings.Cut(rest, " ")
		p.text = rest
		p.named(name)
	}
	if rest, ok := strings.CutPrefix(p.text, "msg="); ok {
		p.text = rest
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			if msg, err := strconv.Unquote(quoted); err == nil {
				p.text = msg + rest[len(quoted):]
			}
		}
	}
	return true
}

// kafka's brokers write "[2026-11-22 00:23:45,926] INFO text".
var log4j = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),(\d{3})\] (TRACE|DEBUG|INFO|WARN|ERROR|FATAL) `)

// log4j does the same with a line of a program of the Java world. Its clock has no zone,
// so that of the line around it stays where there is one.
func (p *parsed) log4j() bool {
	m := log4j.FindStringSubmatch(p.text)
	if m == nil {
		return false
	}
	if p.clock == "" {
		p.clock = m[1] + "." + m[2]
	}
	p.text = p.text[len(m[0]):]
	p.named(m[3])
	return true
}

// named takes a level by its name.
func (p *parsed) named(level string) {
	switch {
	case strings.HasPrefix(level, "ERROR"), level == "FATAL":
		p.level = Error
	case strings.HasPrefix(level, "WARN"):
		p.level = Warn
	case strings.HasPrefix(level, "DEBUG"), level == "TRACE":
		p.level = Debug
	default:
		p.level = Info
	}
}

// lay brings the lines that are wanted into the pane.
func (p *Page) lay() {
	t := p.theme
	column := 0
	if p.only == "" {
		for _, n := range p.names {
			column = max(column, min(kit.Width(n), 23))
		}
	}
	var out []string
	p.shown = 0
	for _, l := range p.lines {
		if l.level < p.level || p.filter != "" && !strings.Contains(l.low, p.filter) {
			continue
		}
		p.shown++
		look := [...]kit.Look{Debug: kit.Dim, Info: kit.Plain, Warn: kit.Warn, Error: kit.Bad}[l.level]
		head := ""
		if l.clock != "" {
			head = t.Draw(kit.Dim, l.clock) + " "
		}
		width := p.width - 2
		if l.clock != "" {
			width -= len(l.clock) + 1
		}
		if column > 0 {
			head += t.Draw(kit.Active, t.Fit(l.Component, column)) + " "
			width -= column + 1
		}
		if !p.wrap {
			out = append(out, head+t.Draw(look, t.Cut(l.text, max(width, 10))))
			continue
		}
		for i, w := range kit.Wrap(l.text, max(width, 20)) {
			if i > 0 {
				head = strings.Repeat(" ", max(p.width-2-width, 0))
			}
			out = append(out, head+t.Draw(look, w))
		}
	}
	p.pane.SetLines(out)
}

func (p *Page) key(msg tea.KeyMsg) tea.Cmd {
	switch {
	case p.choosing && msg.String() == "enter":
		p.choosing = false
		p.only = p.table.Key()
		if p.only == "all" {
			p.only = ""
		}
		return p.reopen()
	case p.choosing:
		p.table.Update(msg)
		return nil
	case key.Matches(msg, keys.choose):
		rows := []kit.Row{{Key: "all", Cells: []kit.Cell{kit.Text("all, in order of time")}}}
		for _, n := range p.names {
			rows = append(rows, kit.Row{Key: n, Cells: []kit.Cell{kit.Text(n)}})
		}
		p.table.SetRows(rows)
		p.table.Select(p.Crumb())
		p.choosing = true
	case key.Matches(msg, keys.next), key.Matches(msg, keys.previous):
		by := 1
		if key.Matches(msg, keys.previous) {
			by = -1
		}
		all := append([]string{""}, p.names...)
		at := max(slices.Index(all, p.only), 0)
		p.only = all[(at+by+len(all))%len(all)]
		return p.reopen()
	case key.Matches(msg, keys.level):
		p.level = map[Level]Level{Debug: Warn, Warn: Error, Error: Debug}[p.level]
		p.lay()
		p.pane.End()
	case key.Matches(msg, keys.follow):
		p.pane.End()
	case key.Matches(msg, keys.wrap):
		p.wrap = !p.wrap
		p.lay()
	default:
		p.pane.Update(msg)
	}
	return nil
}

// SetSize implements page.Page.
func (p *Page) SetSize(width, height int) {
	p.width, p.height = width, height
	p.pane.SetSize(width-2, max(height-1, 1))
	p.table.SetSize(width-2, height)
	p.lay()
}

// View implements page.Page.
func (p *Page) View() string {
	t := p.theme
	if p.choosing {
		return t.Page(p.table.Under(nil), p.width, p.height)
	}
	state := ""
	switch {
	case p.err != nil:
		state = t.Draw(kit.Bad, kit.Explain(p.err))
	case !p.loaded:
		state = t.Draw(kit.Dim, "reading"+t.Signs.Ellipsis)
	default:
		words := "every level"
		switch p.level {
		case Warn:
			words = "warnings and errors"
		case Error:
			words = "errors"
		}
		count := phrase.Number(int64(len(p.lines))) + " lines"
		if p.shown != len(p.lines) {
			count = phrase.Number(int64(p.shown)) + " of " + count
		}
		state = t.Draw(kit.Dim, count+", "+words)
	}
	right := t.Draw(kit.Dim, "f follows the end")
	if p.pane.AtEnd() {
		right = t.Draw(kit.Active, "following")
	}
	lines := append([]string{t.Ends(state, right, p.width-2)}, p.pane.Lines()...)
	if p.loaded && p.err == nil && p.shown == 0 && len(lines) > 2 {
		none := "nothing was written yet"
		switch {
		case len(p.lines) == 0:
		case p.filter != "":
			none = "no line holds " + phrase.Line(p.filter)
		default:
			none = "no line of this level; v shows all"
		}
		lines[2] = "  " + t.Draw(kit.Dim, none)
	}
	return t.Page(lines, p.width, p.height)
}

// Filter implements page.Page: only lines that hold the text.
func (p *Page) Filter(text string) {
	p.filter = strings.ToLower(text)
	p.lay()
	p.pane.End()
}

// Keys implements page.Page.
func (p *Page) Keys() []key.Binding {
	return []key.Binding{keys.choose, keys.level, keys.wrap, keys.next, keys.previous, keys.follow}
}

// Typing implements page.Page.
func (p *Page) Typing() bool { return false }

// Back implements page.Page.
func (p *Page) Back() bool {
	was := p.choosing
	p.choosing = false
	return was
}
