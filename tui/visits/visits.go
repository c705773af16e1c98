// Package visits is the dashboard's page of what the simulator plays: when a visit was
// due and begun, how many alerts it brought how fast, and how far the archive is with
// each. It shows what it is handed, and knows no other page.
package visits

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

// Visit is one visit that was played.
type Visit struct {
	Number                 int // on the grid, from 1
	Due, Started, Finished time.Time
	Late                   time.Duration
	Alerts, Bytes          int64
	Missed                 int // points of the grid that it ran over
	// Archived is how many of its alerts are stored; nil when that cannot be told.
	Archived *int64
	Error    string
}

// State is all that the page shows.
type State struct {
	Topic                              string
	Interval                           time.Duration
	Next                               time.Time // zero: none is due
	Paused                             bool
	Played, Missed, Skipped, Published int64
	Lag                                *int64  // alerts that are not archived yet
	Visits                             []Visit // the oldest first
	Notes                              []string
}

// every is the time between two looks.
const every = time.Second

// Page implements page.Page.
type Page struct {
	theme         kit.Theme
	poll          *kit.Poll[State]
	now           func() time.Time
	width, height int
	table         kit.Table
	opened        string
}

var keys = struct{ open key.Binding }{key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "in detail"))}

// New makes the page. read looks at the simulator; now is time.Now.
func New(ctx context.Context, theme kit.Theme, now func() time.Time, read func(context.Context) (State, error)) *Page {
	return &Page{theme: theme, now: now, poll: kit.NewPoll(ctx, every, read),
		table: kit.Table{Theme: theme, Newest: true, Empty: "no visit was played yet", Foot: 1, Columns: []kit.Column{{Title: "visit", Right: true}, {Title: "due"}, {Title: "begun", Drop: 2}, {Title: "late", Right: true, Floor: 8},
			{Title: "took", Right: true, Floor: 8}, {Title: "alerts", Right: true}, {Title: "rate", Right: true}, {Title: "size", Right: true, Drop: 3}, {Title: "archived"}, {Title: "remark", Drop: 1, Least: 8}}}}
}

// Name implements page.Page.
func (p *Page) Name() string { return "Visits" }

// Crumb says which visit is in view.
func (p *Page) Crumb() string {
	if p.opened == "" {
		return ""
	}
	return "visit " + p.opened
}

// Show implements page.Page.
func (p *Page) Show() tea.Cmd { return p.poll.Start() }

// Hide implements page.Page.
func (p *Page) Hide() { p.poll.Stop() }

// Update implements page.Page.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		if key.Matches(msg, keys.open) && p.opened == "" {
			p.opened = p.table.Key()
			return nil
		}
		p.table.Update(msg)
		return nil
	case tea.MouseMsg:
		if p.opened == "" && p.table.Click(msg) {
			p.opened = p.table.Key()
		}
		return nil
	}
	cmd, news := p.poll.Update(msg)
	if news {
		p.fill()
	}
	return cmd
}

// lateLook says whether a visit began as it should: within a tenth of a second.
func lateLook(d time.Duration) kit.Look {
	switch {
	case d > time.Second:
		return kit.Bad
	case d > 100*time.Millisecond:
		return kit.Warn
	}
	return kit.Good
}

func clock(t time.Time) string { return t.Local().Format("15:04:05.0") }

// short writes a time of a fraction of a second and more.
func short(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
}

func (v Visit) rate() *float64 {
	took := v.Finished.Sub(v.Started).Seconds()
	if took <= 0 {
		return nil
	}
	r := float64(v.Alerts) / took
	return &r
}

// progress draws how far the archive is with a visit.
func (p *Page) progress(v Visit) kit.Cell {
	if v.Archived == nil || v.Alerts == 0 {
		return kit.Cell{Text: "-", Look: kit.Dim}
	}
	const width = 8
	if *v.Archived >= v.Alerts {
		return kit.Cell{Text: strings.Repeat(p.theme.Signs.Bar, width) + " all", Look: kit.Good}
	}
	n := int(*v.Archived * width / v.Alerts)
	return kit.Cell{Text: fmt.Sprintf("%s%s %d%%", strings.Repeat(p.theme.Signs.Bar, n), strings.Repeat(p.theme.Signs.Rest, width-n), *v.Archived*100/v.Alerts), Look: kit.Active}
}

func (p *Page) fill() {
	visits := p.poll.Value.Visits
	rows := make([]kit.Row, 0, len(visits))
	for i := len(visits) - 1; i >= 0; i-- {
		v := visits[i]
		remark := kit.Text("")
		switch {
		case v.Error != "":
			remark = kit.Cell{Text: v.Error, Look: kit.Bad}
		case v.Missed > 0:
			remark = kit.Cell{Text: "ran over " + phrase.Count(v.Missed, "visit"), Look: kit.Warn}
		}
		id := strconv.Itoa(v.Number)
		rows = append(rows, kit.Row{Key: id, Cells: []kit.Cell{kit.Text(id), kit.Text(clock(v.Due)), kit.Text(clock(v.Started)), {Text: short(v.Late), Look: lateLook(v.Late)},
			kit.Text(short(v.Finished.Sub(v.Started))), kit.Text(phrase.Number(v.Alerts)), kit.Text(phrase.Rate(v.rate(), phrase.Number)), kit.Text(phrase.Bytes(v.Bytes)), p.progress(v), remark}})
	}
	p.table.SetRows(rows)
	p.table.SetSize(p.width-2, max(p.height-6, 2))
}

// SetSize implements page.Page.
func (p *Page) SetSize(width, height int) {
	p.width, p.height = width, height
	p.fill()
}

// View implements page.Page.
func (p *Page) View() string {
	t, s := p.theme, p.poll.Value
	lines := []string{p.summary()}
	if p.poll.Loaded() {
		lines = append(lines, "", p.strip(), t.Draw(kit.Dim, p.legend()), "")
		if p.opened != "" {
			lines = append(lines, p.detail()...)
		} else {
			lines = p.table.Under(lines)
		}
		for _, n := range s.Notes {
			lines = append(lines, t.Draw(kit.Warn, phrase.Line(n)))
		}
	}
	return t.Page(lines, p.width, p.height)
}

func (p *Page) summary() string {
	t, s := p.theme, p.poll.Value
	if state := p.poll.State(t); state != "" {
		return state
	}
	next := ""
	switch {
	case s.Paused:
		next = t.Draw(kit.Warn, "paused: page 9 resumes")
	case !s.Next.IsZero():
		// One second more than nothing, so that "0s" is never said of what is to come.
		left := max(s.Next.Sub(p.now()), 0).Truncate(time.Second)
		next = t.Draw(kit.Active, "next visit in "+phrase.About(left+time.Second))
	}
	text := fmt.Sprintf("%s, one every %s, %s alerts into %s", phrase.Count(int(s.Played), "visit"), phrase.About(s.Interval), phrase.Number(s.Published), phrase.Line(s.Topic))
	if s.Missed > 0 {
		text += fmt.Sprintf(", %d missed", s.Missed)
	}
	if s.Skipped > 0 {
		text += fmt.Sprintf(", %d skipped in pauses", s.Skipped)
	}
	return t.Ends(t.Draw(kit.Dim, text), next, p.width-2)
}

// strip draws the last visits, the newest at the right: as high as each took long, in
// the colour of how late it was.
func (p *Page) strip() string {
	t, all := p.theme, p.poll.Value.Visits
	room := max(p.width-2, 1)
	all = all[max(len(all)-room, 0):]
	var longest time.Duration
	for _, v := range all {
		longest = max(longest, v.Finished.Sub(v.Started))
	}
	var b strings.Builder
	for _, v := range all {
		level := 0
		if longest > 0 {
			level = int(float64(v.Finished.Sub(v.Started)) / float64(longest) * float64(len(t.Signs.Levels)-1))
		}
		look := lateLook(v.Late)
		if v.Error != "" {
			look = kit.Bad
		}
		b.WriteString(t.Draw(look, t.Signs.Levels[max(min(level, len(t.Signs.Levels)-1), 0)]))
	}
	return b.String()
}

func (p *Page) legend() string {
	s := p.poll.Value
	text := "height: how long it took; colour: how late it began"
	if s.Lag != nil {
		text = fmt.Sprintf("%s alerts not archived yet; ", phrase.Number(*s.Lag)) + text
	}
	return p.theme.Cut(text, p.width-2)
}

func (p *Page) detail() []string {
	t := p.theme
	for _, v := range p.poll.Value.Visits {
		if strconv.Itoa(v.Number) != p.opened {
			continue
		}
		lines := []string{t.Draw(kit.Heading, fmt.Sprintf("visit %d", v.Number))}
		row := func(label, text string) { lines = append(lines, "  "+t.Draw(kit.Dim, t.Fit(label, 10))+" "+text) }
		at := func(when time.Time) string { return when.Local().Format("2006-01-02 15:04:05.000") }
		row("due", at(v.Due))
		row("begun", at(v.Started)+"  "+t.Draw(lateLook(v.Late), short(v.Late)+" late"))
		row("ended", at(v.Finished)+"  after "+short(v.Finished.Sub(v.Started)))
		row("alerts", fmt.Sprintf("%s, %s, %s", phrase.Number(v.Alerts), phrase.Bytes(v.Bytes), phrase.Rate(v.rate(), phrase.Number)))
		cell := p.progress(v)
		row("archived", t.Draw(cell.Look, cell.Text))
		if v.Missed > 0 {
			row("missed", t.Draw(kit.Warn, "it ran over the time of "+phrase.Count(v.Missed, "visit")))
		}
		if v.Error != "" {
			row("error", t.Draw(kit.Bad, phrase.Line(v.Error)))
		}
		return lines
	}
	return []string{t.Draw(kit.Dim, "the account of visit "+p.opened+" is not kept any more")}
}

// Filter implements page.Page.
func (p *Page) Filter(text string) { p.table.Filter(text) }

// Keys implements page.Page.
func (p *Page) Keys() []key.Binding { return []key.Binding{keys.open} }

// Typing implements page.Page.
func (p *Page) Typing() bool { return false }

// Back implements page.Page.
func (p *Page) Back() bool {
	was := p.opened != ""
	p.opened = ""
	return was
}
