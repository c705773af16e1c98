package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
)

// Setting is a configuration value that is not Kafka's default.
type Setting struct{ Name, Value, Source string }

// Broker is one broker. What is not known is nil.
type Broker struct {
	ID          int32
	Address     string
	Role        string
	Away        bool // the cluster does not list it
	Leads       int
	Holds       int
	Bytes, Free *int64
	Problem     string
	Settings    []Setting
}

// Topic is one topic. What is not known is nil.
type Topic struct {
	Name           string
	Internal       bool
	Replicas       int
	Records, Bytes *int64
	In, Out        *float64 // records a second
	Retention      string
	Settings       []Setting
	Partitions     []Partition
}

// Partition is a partition of a topic.
type Partition struct {
	ID, Leader       int32
	Replicas, InSync string
	Earliest, Latest *int64
	Records, Bytes   *int64
	Problem          string
}

// Group is one consumer group.
type Group struct {
	Name, State, Type, Coordinator string
	Topics                         []string
	Lag                            *int64
	Reads                          *float64 // records a second
	CatchUp                        *float64 // seconds; nil: not known, or never
	Problem                        string
	Members                        []Member
	Partitions                     []GroupPartition
}

// Member is a client in a group.
type Member struct{ Name, Client, Host, Partitions string }

// GroupPartition is how far a group is in a partition.
type GroupPartition struct {
	Topic                  string
	Partition              int32
	Committed, Latest, Lag *int64
	Member, Problem        string
}

// User is a user of the cluster with what it may do.
type User struct {
	Name, Role string
	Mechanisms []string
	Rights     []Right
	Changed    string // against the profile: added, changed; empty when not
}

// Right is one ACL, or a group of them.
type Right struct{ Resource, Name, Operations string }

// Source is what the page shows. The strings say what could not be seen, and why.
type Source interface {
	Brokers(context.Context) ([]Broker, []string, error)
	Topics(context.Context) ([]Topic, []string, error)
	Groups(context.Context) ([]Group, []string, error)
	Users(context.Context) ([]User, []string, error)
}

// every is the time between two looks.
const every = 2 * time.Second

type view int

const (
	brokers view = iota
	topics
	groups
	users
)

var viewNames = [...]string{"brokers", "topics", "groups", "users"}

// seen is what a poll gives.
type seen[T any] struct {
	things []T
	notes  []string
}

// list is one view: a table of all, and a table of one in detail.
type list interface {
	start() tea.Cmd
	stop()
	update(tea.Msg) tea.Cmd
	key(tea.Msg)
	click(tea.MouseMsg)
	open()
	back() bool
	setSize(width, height int)
	filter(string)
	lines() []string
	crumb() string
}

// Page implements page.Page.
type Page struct {
	theme         kit.Theme
	lists         [4]list
	view          view
	shown         bool
	width, height int
}

var keys = struct {
	views [4]key.Binding
	open  key.Binding
}{
	views: [4]key.Binding{
		key.NewBinding(key.WithKeys("b"), key.WithHelp("b", "brokers")),
		key.NewBinding(key.WithKeys("t"), key.WithHelp("t", "topics")),
		key.NewBinding(key.WithKeys("g"), key.WithHelp("g", "groups")),
		key.NewBinding(key.WithKeys("u"), key.WithHelp("u", "users and ACLs")),
	},
	open: key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "in detail")),
}

// New makes the page.
func New(ctx context.Context, theme kit.Theme, source Source) *Page {
	p := &Page{theme: theme, view: topics}
	p.lists = [4]list{
		brokers: newThings(ctx, theme, source.Brokers, brokerColumns, brokerRow, brokerDetail, func(b Broker) string { return strconv.Itoa(int(b.ID)) }, "no broker answers", brokerSum),
		topics:  newThings(ctx, theme, source.Topics, topicColumns, topicRow, topicDetail, func(t Topic) string { return t.Name }, "there is no topic", topicSum),
		groups:  newThings(ctx, theme, source.Groups, groupColumns, groupRow, groupDetail, func(g Group) string { return g.Name }, "no consumer group is there", groupSum),
		users:   newThings(ctx, theme, source.Users, userColumns, userRow, userDetail, func(u User) string { return u.Name }, "there is no user", userSum),
	}
	return p
}

// Name implements page.Page.
func (p *Page) Name() string { return "Kafka" }

// Crumb says which view is open.
func (p *Page) Crumb() string {
	if c := p.lists[p.view].crumb(); c != "" {
		return strings.TrimSuffix(viewNames[p.view], "s") + " " + c
	}
	return viewNames[p.view]
}

// Show implements page.Page.
func (p *Page) Show() tea.Cmd {
	p.shown = true
	return p.lists[p.view].start()
}

// Hide implements page.Page.
func (p *Page) Hide() {
	p.shown = false
	p.lists[p.view].stop()
}

// Update implements page.Page.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		for i, b := range keys.views {
			if key.Matches(msg, b) {
				return p.turn(view(i))
			}
		}
		if key.Matches(msg, keys.open) {
			p.lists[p.view].open()
			return nil
		}
		p.lists[p.view].key(msg)
		return nil
	case tea.MouseMsg:
		p.lists[p.view].click(msg)
		return nil
	}
	return p.lists[p.view].update(msg)
}

func (p *Page) turn(v view) tea.Cmd {
	if v == p.view {
		for p.lists[v].back() {
		}
		return nil
	}
	p.lists[p.view].stop()
	p.view = v
	return p.lists[v].start()
}

// View implements page.Page.
func (p *Page) View() string {
	lines := p.lists[p.view].lines()
	return p.theme.Page(lines, p.width, p.height)
}

// SetSize implements page.Page.
func (p *Page) SetSize(width, height int) {
	p.width, p.height = width, height
	for _, l := range p.lists {
		l.setSize(width-2, height)
	}
}

// Filter implements page.Page.
func (p *Page) Filter(text string) {
	for _, l := range p.lists {
		l.filter(text)
	}
}

// Keys implements page.Page.
func (p *Page) Keys() []key.Binding { return append(keys.views[:], keys.open) }

// Typing implements page.Page.
func (p *Page) Typing() bool { return false }

// Back implements page.Page.
func (p *Page) Back() bool { return p.lists[p.view].back() }

// detail is one thing in detail.
type detail struct {
	lines   []string
	columns []kit.Column
	rows    []kit.Row
	empty   string
}

// things is a list of things of one kind.
type things[T any] struct {
	theme  kit.Theme
	poll   *kit.Poll[seen[T]]
	row    func(T) kit.Row
	detail func(kit.Theme, T, int) detail
	id     func(T) string
	sum    func([]T) string

	width, height int
	all, one      kit.Table
	opened        string
	head          []string
}

func newThings[T any](ctx context.Context, theme kit.Theme, read func(context.Context) ([]T, []string, error), columns []kit.Column,
	row func(T) kit.Row, one func(kit.Theme, T, int) detail, id func(T) string, empty string, sum func([]T) string) *things[T] {
	return &things[T]{theme: theme, row: row, detail: one, id: id, sum: sum,
		poll: kit.NewPoll(ctx, every, func(ctx context.Context) (seen[T], error) {
			list, notes, err := read(ctx)
			return seen[T]{list, notes}, err
		}),
		all: kit.Table{Theme: theme, Columns: columns, Empty: empty, Foot: 1},
		one: kit.Table{Theme: theme, Foot: 1}}
}

func (l *things[T]) start() tea.Cmd { return l.poll.Start() }
func (l *things[T]) stop()          { l.poll.Stop() }
func (l *things[T]) crumb() string  { return l.opened }

func (l *things[T]) update(msg tea.Msg) tea.Cmd {
	cmd, news := l.poll.Update(msg)
	if news {
		l.fill()
	}
	return cmd
}

func (l *things[T]) key(msg tea.Msg) {
	if l.opened != "" {
		l.one.Update(msg)
	} else {
		l.all.Update(msg)
	}
}

func (l *things[T]) click(msg tea.MouseMsg) {
	switch {
	case l.opened != "":
		l.one.Click(msg)
	case l.all.Click(msg):
		l.open()
	}
}

func (l *things[T]) open() {
	if l.opened == "" {
		l.opened = l.all.Key()
		l.one = kit.Table{Theme: l.theme, Foot: 1}
		l.fill()
	}
}

func (l *things[T]) back() bool {
	was := l.opened != ""
	l.opened = ""
	return was
}

func (l *things[T]) filter(text string) {
	l.all.Filter(text)
	l.one.Filter(text)
}

func (l *things[T]) setSize(width, height int) {
	l.width, l.height = width, height
	l.fill()
}

func (l *things[T]) fill() {
	rows := make([]kit.Row, 0, len(l.poll.Value.things))
	var found *T
	for i, t := range l.poll.Value.things {
		r := l.row(t)
		r.Key = l.id(t)
		if r.Key == l.opened {
			found = &l.poll.Value.things[i]
		}
		rows = append(rows, r)
	}
	l.all.SetRows(rows)
	l.all.SetSize(l.width, max(l.height-2-len(l.notes()), 2))
	switch {
	case l.opened == "":
		return
	case found == nil:
		l.head = []string{l.theme.Draw(kit.Warn, l.opened+" is not there any more")}
		l.one.SetRows(nil)
	default:
		d := l.detail(l.theme, *found, l.width)
		l.head, l.one.Columns, l.one.Empty = d.lines, d.columns, d.empty
		l.one.SetRows(d.rows)
	}
	l.one.SetSize(l.width, max(l.height-len(l.head)-1, 2))
}

// notes are what could not be seen.
func (l *things[T]) notes() []string {
	var out []string
	for _, n := range l.poll.Value.notes {
		if len(out) == 2 {
			break
		}
		out = append(out, l.theme.Draw(kit.Warn, l.theme.Cut("not shown: "+phrase.Line(n), l.width)))
	}
	return out
}

func (l *things[T]) lines() []string {
	if l.opened != "" && l.poll.Loaded() {
		lines := append([]string{}, l.head...)
		return l.one.Under(append(lines, ""))
	}
	state := l.poll.State(l.theme)
	if state == "" {
		state = l.theme.Draw(kit.Dim, l.sum(l.poll.Value.things))
		if shown, all := l.all.Len(); shown != all {
			state += l.theme.Draw(kit.Active, fmt.Sprintf("   %d of %d shown", shown, all))
		}
	}
	lines := []string{state, ""}
	if !l.poll.Loaded() {
		return lines
	}
	return append(l.all.Under(lines), l.notes()...)
}
