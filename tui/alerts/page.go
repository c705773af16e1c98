// Package alerts is the dashboard's page of alerts: a topic followed live, within the
// limits of what it is handed, and one alert of it in full: its record as a tree, its
// light curve, its cutouts, where it is on the sky, its wire header, and its archived
// copy. It shows what it is handed, and knows no other page.
package alerts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/tui/kit"
)

// Source gives the page what it shows. Its methods are called from commands, each of
// which ends when its context does.
type Source interface {
	// Topics are those that can be looked at; the page begins with the first.
	Topics(context.Context) ([]string, error)
	// Peek begins to follow a topic. It ends with the context.
	Peek(ctx context.Context, topic string) (Peek, error)
	// Open decodes an alert that was listed.
	Open(context.Context, record.Head) (Opened, error)
	// Archived compares an alert with its archived copy.
	Archived(context.Context, Opened) Archived
}

// Peek is a topic that is being followed.
type Peek interface {
	// Next waits for what is newer than the view of a number.
	Next(ctx context.Context, after uint64) (record.View, error)
	// Close ends it.
	Close()
}

// Opened is an alert in full.
type Opened struct {
	Head   record.Head
	Wire   []byte // the message as it was in Kafka
	Record *record.Record
	// Origin says where the message was read: "kept by the peek", "read again".
	Origin string
}

// State says how the archived copy of an alert is.
type State string

// The states of a copy.
const (
	Equal   State = "equal"   // byte for byte
	Differs State = "differs" // in the byte that At says
	Absent  State = "absent"  // the archive has none
	Unknown State = "unknown" // it could not be asked: Err says why
)

// Archived is the archived copy of an alert.
type Archived struct {
	State State
	URL   string // where it is fetched
	Key   string // in the bucket
	Bytes int    // of the copy
	At    int    // the first byte that differs, counted from 0
	Err   error
}

// view is what the page shows.
type view int

const (
	list view = iota
	topics
	opened
)

// pane is what of an alert is shown where there is no room for all.
type pane int

const (
	recordPane pane = iota
	curvePane
	cutoutPane
)

type keyMap struct{ open, toggle, choose, stream, topic, fold, unfold, record, curve, cutouts, all, again key.Binding }

func bind(help, text string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, text))
}

var keys = keyMap{
	open:    bind("enter", "an alert in full", "enter"),
	toggle:  bind("enter", "unfold or fold", "enter"),
	choose:  bind("enter", "follow it", "enter"),
	stream:  bind("s", "stop or follow", "s"),
	topic:   bind("t", "topics", "t"),
	unfold:  bind("→", "unfold", "right"),
	fold:    bind("←", "fold, or go to what it is in", "left"),
	record:  bind("r", "record", "r"),
	curve:   bind("l", "light curve", "l"),
	cutouts: bind("c", "cutouts", "c"),
	all:     bind("x", "unfold all but histories", "x"),
	again:   bind("a", "compare with the archive", "a"),
}

// Page implements page.Page.
type Page struct {
	ctx    context.Context
	theme  kit.Theme
	depth  picture.Depth
	source Source

	whole, height int // the size of the page
	width         int // within the margins
	view          view
	shown         bool

	// The stream.
	topic    string          // "" until one is known
	on       bool            // it is wanted
	round    int             // of the stream, so that what an earlier one began is known
	stream   context.Context // of the present round
	stop     context.CancelFunc
	waiting  bool // for its beginning
	seen     record.View
	streamed bool // something of this topic was seen
	err      error
	heads    kit.Table
	newest   string // key of the first row

	// The topics.
	names  *kit.Poll[[]string]
	choice kit.Table

	// The alert.
	opening  string // key of the one that is being opened
	openStop context.CancelFunc
	openErr  error
	alert    *Opened
	archived *Archived // nil while it is compared
	pane     pane
	tree     kit.Table
	open     map[string]bool // unfolded nodes, by path
	nodes    map[string]*record.Node
	filter   string // of the list
	sought   string // the filter of the record
	plot     cached
	pictures cached
}

// cached is what was drawn for a size.
type cached struct {
	width, height int
	lines         []string
}

// New makes the page. depth is how pictures are drawn.
func New(ctx context.Context, theme kit.Theme, depth picture.Depth, source Source) *Page {
	p := &Page{ctx: ctx, theme: theme, depth: depth, source: source, on: true,
		heads:  kit.Table{Theme: theme, Columns: headColumns, Foot: 2},
		choice: kit.Table{Theme: theme, Columns: []kit.Column{{Title: "topic"}}, Empty: "there is no topic to be seen"},
		tree:   kit.Table{Theme: theme, Columns: treeColumns},
	}
	p.names = kit.NewPoll(ctx, 0, source.Topics)
	return p
}

// Name implements page.Page.
func (p *Page) Name() string { return "Alerts" }

// Crumb says where in the page the reader is.
func (p *Page) Crumb() string {
	switch p.view {
	case topics:
		return "topics"
	case opened:
		if p.alert != nil {
			return p.topic + " " + p.theme.Signs.Between + " " + title(p.alert.Head)
		}
	}
	return p.topic
}

// Keys implements page.Page.
func (p *Page) Keys() []key.Binding {
	k := keys
	switch p.view { // what is first is offered at the bottom
	case opened:
		return []key.Binding{k.record, k.curve, k.cutouts, k.toggle, k.again, k.all, k.unfold, k.fold, k.stream, k.topic}
	case topics:
		return []key.Binding{k.choose, k.stream}
	}
	return []key.Binding{k.open, k.stream, k.topic, k.record, k.curve, k.cutouts, k.toggle, k.unfold, k.fold, k.all, k.again}
}

// Typing implements page.Page.
func (p *Page) Typing() bool { return false }

// Show implements page.Page.
func (p *Page) Show() tea.Cmd {
	p.shown = true
	var cmds []tea.Cmd
	if !p.names.Loaded() {
		cmds = append(cmds, p.names.Start())
	}
	if p.topic != "" && p.on {
		cmds = append(cmds, p.follow())
	}
	return tea.Batch(cmds...)
}

// Hide implements page.Page.
func (p *Page) Hide() {
	p.shown = false
	p.names.Stop()
	p.halt()
	if p.openStop != nil {
		p.openStop()
		p.openStop = nil
		p.opening = ""
	}
}

// The page's own messages.
type (
	begunMsg struct {
		of    *Page
		round int
		peek  Peek
		view  record.View
		err   error
	}
	openedMsg struct {
		of    *Page
		key   string
		alert Opened
		err   error
	}
	archivedMsg struct {
		of    *Page
		key   string
		state Archived
	}
)

// follow begins to follow the topic, or goes on.
func (p *Page) follow() tea.Cmd {
	p.halt()
	p.round++
	p.waiting, p.err = true, nil
	p.stream, p.stop = context.WithCancel(p.ctx)
	ctx, round, topic := p.stream, p.round, p.topic
	return func() tea.Msg {
		peek, err := p.source.Peek(ctx, topic)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return begunMsg{of: p, round: round, err: err}
		}
		// The first view is what there is, so that an empty topic is seen as one.
		return next(ctx, p, round, peek, 0, firstView)
	}
}

// firstView is how long the first view may wait for a message.
const firstView = 1500 * time.Millisecond

var errQuiet = errors.New("nothing came yet")

// next waits for a view. When the stream is not wanted any more, it closes the peek.
func next(ctx context.Context, p *Page, round int, peek Peek, after uint64, atMost time.Duration) tea.Msg {
	wait := ctx
	if atMost > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeoutCause(ctx, atMost, errQuiet)
		defer cancel()
	}
	v, err := peek.Next(wait, after)
	if ctx.Err() != nil {
		peek.Close()
		return nil
	}
	if errors.Is(err, errQuiet) {
		return begunMsg{of: p, round: round, peek: peek}
	}
	return begunMsg{of: p, round: round, peek: peek, view: v, err: err}
}

// halt ends the stream; what was seen of it stays.
func (p *Page) halt() {
	p.round++
	p.waiting = false
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// Update implements page.Page.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		return p.key(msg)
	case tea.MouseMsg:
		return p.click(msg)
	case begunMsg:
		return p.streams(msg)
	case openedMsg:
		return p.opens(msg)
	case archivedMsg:
		if msg.of == p && p.alert != nil && msg.key == headKey(p.alert.Head) {
			p.archived = &msg.state
		}
		return nil
	}
	cmd, news := p.names.Update(msg)
	if news {
		cmd = tea.Batch(cmd, p.named())
	}
	return cmd
}

// named takes the topics when they are known.
func (p *Page) named() tea.Cmd {
	if p.names.Err != nil {
		p.err = p.names.Err
		return nil
	}
	rows := make([]kit.Row, 0, len(p.names.Value))
	for _, n := range p.names.Value {
		rows = append(rows, kit.Row{Key: n, Cells: []kit.Cell{kit.Text(n)}})
	}
	p.choice.SetRows(rows)
	p.choice.Select(p.topic)
	if p.topic == "" && len(rows) > 0 {
		p.topic = p.names.Value[0]
		if p.shown && p.on {
			return p.follow()
		}
	}
	return nil
}

func (p *Page) streams(msg begunMsg) tea.Cmd {
	if msg.of != p || msg.round != p.round {
		if msg.of == p && msg.peek != nil { // it began while it was given up
			return func() tea.Msg { msg.peek.Close(); return nil }
		}
		return nil
	}
	p.waiting = false
	if msg.err != nil {
		p.err = msg.err
		p.on = false
		p.halt()
		return nil
	}
	if msg.view.Number > 0 {
		p.seen = msg.view
		p.streamed = true
		p.fill()
	}
	if msg.view.Ended {
		p.on, p.err = false, msg.view.Err
		p.halt()
		return func() tea.Msg { msg.peek.Close(); return nil }
	}
	ctx, round, peek, after := p.stream, p.round, msg.peek, p.seen.Number
	return func() tea.Msg { return next(ctx, p, round, peek, after, 0) }
}

func (p *Page) opens(msg openedMsg) tea.Cmd {
	if msg.of != p || msg.key != p.opening {
		return nil
	}
	p.opening = ""
	if p.openErr = msg.err; msg.err != nil {
		return nil
	}
	p.alert = &msg.alert
	p.archived = nil
	p.open = map[string]bool{"diaSource": true}
	p.plot, p.pictures = cached{}, cached{}
	p.unfolded()
	p.tree.Select("diaSource")
	return p.compare()
}

// compare asks for the archived copy.
func (p *Page) compare() tea.Cmd {
	p.archived = nil
	alert, ctx := *p.alert, p.ctx
	return func() tea.Msg {
		return archivedMsg{p, headKey(alert.Head), p.source.Archived(ctx, alert)}
	}
}

// table is the one that keys move in.
func (p *Page) table() *kit.Table {
	switch p.view {
	case topics:
		return &p.choice
	case opened:
		return &p.tree
	}
	return &p.heads
}

// click takes the mouse: rows, and the panes of an alert.
func (p *Page) click(msg tea.MouseMsg) tea.Cmd {
	if p.view == opened && !p.wide() {
		if i := kit.Picked(msg.X-kit.Margin, paneNames...); i >= 0 && msg.Y == headLines-1 && msg.Action == tea.MouseActionPress && msg.Button == tea.MouseButtonLeft {
			p.pane = pane(i)
		}
		if p.pane != recordPane {
			return nil
		}
	}
	if p.table().Click(msg) {
		return p.key(kit.Enter)
	}
	return nil
}

func (p *Page) key(msg tea.KeyMsg) tea.Cmd {
	switch {
	case key.Matches(msg, keys.stream):
		if p.topic == "" {
			return nil
		}
		if p.on = !p.on; p.on {
			return p.follow()
		}
		p.halt()
		return nil
	case key.Matches(msg, keys.topic):
		p.view = topics
		p.narrow()
		p.choice.Select(p.topic)
		return p.names.Start()
	case p.view == opened:
		return p.alertKey(msg)
	case key.Matches(msg, keys.open) && p.view == topics:
		if name := p.choice.Key(); name != "" {
			return p.choose(name)
		}
		return nil
	case key.Matches(msg, keys.open):
		return p.openHead(p.heads.Key())
	}
	p.table().Update(msg)
	return nil
}

// choose takes another topic.
func (p *Page) choose(name string) tea.Cmd {
	p.view = list
	p.narrow()
	if name == p.topic && p.on && p.err == nil {
		return nil
	}
	if name != p.topic {
		p.topic, p.seen, p.streamed = name, record.View{}, false
		p.heads.SetRows(nil)
	}
	p.on = true
	return p.follow()
}

// openHead opens the alert of a row.
func (p *Page) openHead(k string) tea.Cmd {
	i := slices.IndexFunc(p.seen.Heads, func(h record.Head) bool { return headKey(h) == k })
	if i < 0 {
		return nil
	}
	head := p.seen.Heads[i]
	p.view, p.alert, p.openErr, p.opening = opened, nil, nil, k
	p.sought = ""
	p.narrow()
	ctx, stop := context.WithCancel(p.ctx)
	p.openStop = stop
	return func() tea.Msg {
		alert, err := p.source.Open(ctx, head)
		if ctx.Err() != nil {
			return nil
		}
		return openedMsg{p, k, alert, err}
	}
}

// Filter implements page.Page.
func (p *Page) Filter(text string) {
	if p.view == opened {
		p.sought = text
	} else {
		p.filter = text
	}
	p.narrow()
}

// narrow gives the filter to what is in view, and takes it from the rest.
func (p *Page) narrow() {
	for v, t := range map[view]*kit.Table{list: &p.heads, topics: &p.choice} {
		if v == p.view {
			t.Filter(p.filter)
		} else {
			t.Filter("")
		}
	}
	if p.view == opened {
		p.unfolded()
	}
}

// Back implements page.Page.
func (p *Page) Back() bool {
	if p.view == list {
		return false
	}
	if p.openStop != nil {
		p.openStop()
		p.openStop = nil
	}
	p.view, p.opening, p.openErr, p.alert, p.archived, p.nodes = list, "", nil, nil, nil, nil
	p.narrow()
	return true
}

// SetSize implements page.Page.
func (p *Page) SetSize(width, height int) {
	p.whole, p.height = width, height
	p.width = max(width-2*kit.Margin, 1)
	p.choice.SetSize(p.width, max(height-2, 1))
	p.heads.SetSize(p.width, max(height-2, 1))
	w, h := p.treeSize()
	p.tree.SetSize(w, h)
}

// View implements page.Page.
func (p *Page) View() string {
	var lines []string
	switch p.view {
	case topics:
		lines = []string{p.theme.Draw(kit.Heading, "Follow which topic?"), ""}
		if state := p.names.State(p.theme); state != "" && !p.names.Loaded() {
			lines = append(lines, state)
		} else {
			lines = p.choice.Under(lines)
		}
	case opened:
		lines = p.alertLines()
	default:
		lines = p.listLines()
	}
	return p.theme.Page(lines, p.whole, p.height)
}

func headKey(h record.Head) string { return fmt.Sprintf("%s/%d/%d", h.Topic, h.Partition, h.Offset) }

// title names an alert.
func title(h record.Head) string {
	if h.Problem != "" || h.ID == 0 {
		return fmt.Sprintf("message %d/%d", h.Partition, h.Offset)
	}
	return fmt.Sprintf("alert %d", h.ID)
}
