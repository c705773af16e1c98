// Package registry is the dashboard's page of the schema registry: subjects with
// their versions, ids and compatibility, a schema as text, and what changed from one
// version to another, field by field. It shows what it is handed, and knows no other
// page.
package registry

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/alerts/schemadiff"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
)

// Source gives the page what it shows. Its methods are called from commands, each of
// which ends when its context does.
type Source interface {
	// Subjects lists what the registry holds, sorted by name.
	Subjects(context.Context) ([]Subject, error)
	// Schema gives the text of a schema as the registry has it.
	Schema(ctx context.Context, id int) (string, error)
}

// Subject is a subject with its versions, the oldest first.
type Subject struct {
	Name          string
	Versions      []Version
	Compatibility string
	Inherited     bool // the level is the registry's own
	Mode          string
}

// Version is one version of a subject.
type Version struct {
	Version, ID int
	Name        string // full name of the schema
	Bytes       int    // of its text
}

// place is a version of a subject.
type place struct {
	subject string
	version Version
}

func (p place) String() string { return fmt.Sprintf("%s version %d", p.subject, p.version.Version) }

type view int

const (
	subjects view = iota
	versions
	text
	diff
)

var keys = struct{ open, mark, diff, nextHit, lastHit, again key.Binding }{
	bind("enter", "its versions; the text of one", "enter"),
	bind("m", "mark one for d", "m"),
	bind("d", "what changed, since the one before or marked", "d"),
	bind("n", "in a text: the next that / found", "n"),
	bind("N", "the one before", "N"),
	bind("r", "ask the registry again", "r"),
}

func bind(help, text string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, text))
}

// Page implements page.Page.
type Page struct {
	ctx    context.Context
	theme  kit.Theme
	source Source

	whole, height int // the size of the page
	width         int // within the margins
	view          view
	filter        string
	subjects      *kit.Poll[[]Subject]
	subjectTable  kit.Table
	of            string // the subject whose versions are shown
	versionTable  kit.Table
	marked        *place

	// What is asked for one text or diff.
	asked int
	stop  context.CancelFunc
	wait  bool
	err   error

	at   place // of the text
	raw  string
	pane kit.Pane
	hits []int
	hit  int

	before, after place // of the diff
	changes       []schemadiff.Change
	changeTable   kit.Table
}

// New makes the page.
func New(ctx context.Context, theme kit.Theme, source Source) *Page {
	return &Page{ctx: ctx, theme: theme, source: source,
		subjects: kit.NewPoll(ctx, 0, source.Subjects),
		subjectTable: kit.Table{Theme: theme, Foot: 1, Empty: "the registry holds nothing; next: alertlab schema sync", Columns: []kit.Column{{Title: "subject", Least: 24}, {Title: "versions", Right: true},
			{Title: "latest id", Right: true}, {Title: "latest schema", Least: 12, Drop: 3}, {Title: "compatibility", Drop: 1}, {Title: "mode", Drop: 2}}},
		versionTable: kit.Table{Theme: theme, Columns: []kit.Column{{Title: ""}, {Title: "version", Right: true}, {Title: "id", Right: true}, {Title: "schema"}, {Title: "text", Right: true}}},
		changeTable:  kit.Table{Theme: theme, Columns: []kit.Column{{Title: ""}, {Title: "field", Least: 20}, {Title: "what", Drop: 2}, {Title: "before", Least: 12, Drop: 1}, {Title: "after", Least: 12}}},
		pane:         kit.Pane{Theme: theme},
	}
}

// Name implements page.Page.
func (p *Page) Name() string { return "Registry" }

// Crumb says where in the page the reader is.
func (p *Page) Crumb() string {
	switch p.view {
	case versions:
		return p.of
	case text:
		return p.at.String()
	case diff:
		after := p.after.String()
		if p.after.subject == p.before.subject {
			after = strconv.Itoa(p.after.version.Version)
		}
		return p.before.String() + " " + p.theme.Signs.Between + " " + after
	}
	return ""
}

// Keys implements page.Page.
func (p *Page) Keys() []key.Binding {
	k := keys
	if p.view == text { // what is first is offered at the bottom
		return []key.Binding{k.nextHit, k.lastHit, k.again}
	}
	return []key.Binding{k.open, k.mark, k.diff, k.nextHit, k.lastHit, k.again}
}

// Typing implements page.Page.
func (p *Page) Typing() bool { return false }

// Show implements page.Page.
func (p *Page) Show() tea.Cmd { return p.subjects.Start() }

// Hide implements page.Page.
func (p *Page) Hide() {
	p.subjects.Stop()
	p.cancel()
}

func (p *Page) cancel() {
	p.asked++
	p.wait = false
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// textsMsg brings the texts that were asked for.
type textsMsg struct {
	of    *Page
	asked int
	texts []string
	err   error
}

// ask fetches the texts of schemas.
func (p *Page) ask(ids ...int) tea.Cmd {
	p.cancel()
	p.err, p.wait = nil, true
	ctx, stop := context.WithCancel(p.ctx)
	p.stop = stop
	asked := p.asked
	return func() tea.Msg {
		var texts []string
		for _, id := range ids {
			t, err := p.source.Schema(ctx, id)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return textsMsg{of: p, asked: asked, err: err}
			}
			texts = append(texts, t)
		}
		return textsMsg{of: p, asked: asked, texts: texts}
	}
}

// Update implements page.Page.
func (p *Page) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		return p.key(msg)
	case tea.MouseMsg:
		switch {
		case p.view == subjects && p.subjectTable.Click(msg), p.view == versions && p.versionTable.Click(msg):
			return p.key(kit.Enter)
		case p.view == diff:
			p.changeTable.Click(msg)
		case p.view == text:
			p.pane.Update(msg)
		}
		return nil
	case textsMsg:
		if msg.of != p || msg.asked != p.asked {
			return nil
		}
		p.wait = false
		if p.err = msg.err; p.err != nil {
			return nil
		}
		if p.view == text {
			p.raw = msg.texts[0]
			p.pane.Top()
			p.lay()
			return nil
		}
		if p.changes, p.err = schemadiff.Compare(msg.texts[0], msg.texts[1]); p.err == nil {
			p.fillChanges()
		}
		return nil
	}
	cmd, news := p.subjects.Update(msg)
	if news {
		p.fillSubjects()
		p.fillVersions()
	}
	return cmd
}

func (p *Page) move(msg tea.Msg) {
	switch p.view {
	case subjects:
		p.subjectTable.Update(msg)
	case versions:
		p.versionTable.Update(msg)
	case diff:
		p.changeTable.Update(msg)
	case text:
		p.pane.Update(msg)
	}
}

func (p *Page) key(msg tea.KeyMsg) tea.Cmd {
	switch {
	case key.Matches(msg, keys.again):
		return p.subjects.Start()
	case p.view == text && key.Matches(msg, keys.nextHit):
		p.seek(1)
	case p.view == text && key.Matches(msg, keys.lastHit):
		p.seek(-1)
	case p.view == subjects && key.Matches(msg, keys.open):
		if s := p.subject(p.subjectTable.Key()); s != nil {
			p.of, p.view = s.Name, versions
			p.fillVersions()
			p.versionTable.Select(strconv.Itoa(s.Versions[len(s.Versions)-1].Version))
			p.narrow("")
		}
	case p.view == versions && key.Matches(msg, keys.open):
		if at := p.version(); at != nil {
			p.at, p.raw, p.view = *at, "", text
			p.narrow("")
			return p.ask(at.version.ID)
		}
	case p.view == versions && key.Matches(msg, keys.mark):
		if at := p.version(); at != nil {
			if p.marked != nil && *p.marked == *at {
				at = nil
			}
			p.marked = at
			p.fillVersions()
		}
	case p.view == versions && key.Matches(msg, keys.diff):
		return p.compare()
	default:
		p.move(msg)
	}
	return nil
}

// compare shows what changed to the version under the cursor.
func (p *Page) compare() tea.Cmd {
	at := p.version()
	if at == nil {
		return nil
	}
	before := p.marked
	if before == nil || *before == *at {
		s := p.subject(p.of)
		i := slices.Index(s.Versions, at.version)
		if i < 1 {
			p.view, p.before, p.after, p.changes = diff, *at, *at, nil
			p.cancel()
			p.err = fault.New(fault.BadInput, "there is no version before this one", at.String()+" is the first of its subject",
				"m on another version, of any subject, then d here")
			return nil
		}
		before = &place{p.of, s.Versions[i-1]}
	}
	p.view, p.before, p.after, p.changes = diff, *before, *at, nil
	p.changeTable.SetRows(nil)
	p.narrow("")
	return p.ask(before.version.ID, at.version.ID)
}

// subject finds one by its name, nil when it is not there.
func (p *Page) subject(name string) *Subject {
	i := slices.IndexFunc(p.subjects.Value, func(s Subject) bool { return s.Name == name })
	if i < 0 || len(p.subjects.Value[i].Versions) == 0 {
		return nil
	}
	return &p.subjects.Value[i]
}

// version is the one under the cursor.
func (p *Page) version() *place {
	s := p.subject(p.of)
	if s == nil {
		return nil
	}
	i := slices.IndexFunc(s.Versions, func(v Version) bool { return strconv.Itoa(v.Version) == p.versionTable.Key() })
	if i < 0 {
		return nil
	}
	return &place{s.Name, s.Versions[i]}
}

func (p *Page) fillSubjects() {
	rows := make([]kit.Row, 0, len(p.subjects.Value))
	for _, s := range p.subjects.Value {
		latest := Version{}
		if len(s.Versions) > 0 {
			latest = s.Versions[len(s.Versions)-1]
		}
		rows = append(rows, kit.Row{Key: s.Name, Cells: []kit.Cell{kit.Text(s.Name), kit.Text(strconv.Itoa(len(s.Versions))), kit.Text(strconv.Itoa(latest.ID)), kit.Text(latest.Name),
			kit.Text(level(s)), {Text: strings.ToLower(s.Mode), Look: modeLook(s.Mode)}}})
	}
	p.subjectTable.SetRows(rows)
}

// level says what new versions are held to.
func level(s Subject) string {
	switch {
	case s.Compatibility == "":
		return "not told"
	case s.Inherited:
		return strings.ToLower(s.Compatibility) + " (default)"
	}
	return strings.ToLower(s.Compatibility)
}

// modeLook lets a subject be seen that was left in mode IMPORT.
func modeLook(mode string) kit.Look {
	if mode != "" && mode != "READWRITE" {
		return kit.Warn
	}
	return kit.Plain
}

func (p *Page) fillVersions() {
	s := p.subject(p.of)
	if s == nil {
		p.versionTable.SetRows(nil)
		return
	}
	rows := make([]kit.Row, 0, len(s.Versions))
	for _, v := range s.Versions {
		mark := ""
		if p.marked != nil && *p.marked == (place{s.Name, v}) {
			mark = "m"
		}
		rows = append(rows, kit.Row{Key: strconv.Itoa(v.Version), Cells: []kit.Cell{{Text: mark, Look: kit.Active}, kit.Text(strconv.Itoa(v.Version)), kit.Text(strconv.Itoa(v.ID)),
			kit.Text(v.Name), kit.Text(phrase.Bytes(int64(v.Bytes)))}})
	}
	p.versionTable.SetRows(rows)
}

func (p *Page) fillChanges() {
	rows := make([]kit.Row, 0, len(p.changes))
	for i, c := range p.changes {
		look := kit.Warn
		switch c.What {
		case schemadiff.Added:
			look = kit.Good
		case schemadiff.Removed:
			look = kit.Bad
		case schemadiff.Doc, schemadiff.Order:
			look = kit.Dim
		}
		rows = append(rows, kit.Row{Key: strconv.Itoa(i), Cells: []kit.Cell{{Text: c.Sign(), Look: look}, {Text: c.Path, Look: look}, kit.Text(string(c.What)), kit.Text(c.Before), kit.Text(c.After)}})
	}
	p.changeTable.SetRows(rows)
	p.changeTable.Empty = "the two have the same fields, types, defaults and words"
}

// Filter implements page.Page.
func (p *Page) Filter(s string) { p.narrow(s) }

// narrow gives the filter to what is in view.
func (p *Page) narrow(s string) {
	p.filter = s
	p.subjectTable.Filter("")
	p.versionTable.Filter("")
	p.changeTable.Filter("")
	switch p.view {
	case subjects:
		p.subjectTable.Filter(s)
	case versions:
		p.versionTable.Filter(s)
	case diff:
		p.changeTable.Filter(s)
	case text:
		p.lay()
		p.hit = 0
		p.seek(0)
	}
}

// lay breaks the text into lines for the width, and marks those that are sought.
func (p *Page) lay() {
	p.hits = nil
	if p.raw == "" {
		p.pane.SetLines(nil)
		return
	}
	sought := strings.ToLower(p.filter)
	lines := pretty(p.raw, max(p.width-2, 20))
	for i, l := range lines {
		lines[i] = phrase.Lines(l)
		if sought != "" && strings.Contains(strings.ToLower(lines[i]), sought) {
			p.hits = append(p.hits, i)
			lines[i] = p.theme.Draw(kit.Chosen, lines[i])
		}
	}
	p.pane.SetLines(lines)
}

// seek goes to another line that holds what is sought.
func (p *Page) seek(by int) {
	if len(p.hits) == 0 {
		return
	}
	p.hit = (p.hit + by + len(p.hits)) % len(p.hits)
	p.pane.Show(p.hits[p.hit])
}

// Back implements page.Page.
func (p *Page) Back() bool {
	switch p.view {
	case subjects:
		return false
	case versions:
		p.view = subjects
	default:
		p.cancel()
		p.err = nil
		p.view = versions
	}
	p.narrow("")
	return true
}

// SetSize implements page.Page.
func (p *Page) SetSize(width, height int) {
	p.whole, p.height = width, height
	p.width = max(width-2*kit.Margin, 1)
	room := max(height-2, 1)
	p.subjectTable.SetSize(p.width, max(height-2, 1))
	p.versionTable.SetSize(p.width, max(height-3, 1))
	p.changeTable.SetSize(p.width, max(height-3, 1))
	p.pane.SetSize(p.width, room)
	if p.view == text {
		p.lay()
	}
}

// View implements page.Page.
func (p *Page) View() string {
	return p.theme.Page(p.lines(), p.whole, p.height)
}

func (p *Page) lines() []string {
	t := p.theme
	switch {
	case p.view == subjects && !p.subjects.Loaded() && p.subjects.Err != nil:
		return append(t.Problem(p.subjects.Err, p.width-1), "", t.Draw(kit.Dim, "r asks again"))
	case p.view == subjects && !p.subjects.Loaded():
		return []string{t.Draw(kit.Dim, "asking the registry"+t.Signs.Ellipsis)}
	case p.view == subjects:
		return p.subjectTable.Under([]string{p.sum(), ""})
	case p.view == versions:
		return p.versionTable.Under(append(p.aboutSubject(), ""))
	case p.err != nil:
		return append(p.theme.Problem(p.err, p.width-1), "", t.Draw(kit.Dim, "q goes back"))
	case p.wait:
		return []string{t.Draw(kit.Dim, "asking the registry"+t.Signs.Ellipsis)}
	case p.view == text:
		found := ""
		if p.filter != "" {
			found = fmt.Sprintf("%d found", len(p.hits))
			if len(p.hits) > 1 {
				found += fmt.Sprintf(", at %d (n, N)", p.hit+1)
			}
		}
		head := fmt.Sprintf("%s, id %d, %s", t.Draw(kit.Heading, phrase.Line(p.at.version.Name)), p.at.version.ID, phrase.Bytes(int64(p.at.version.Bytes)))
		return append([]string{t.Ends(head, t.Draw(kit.Dim, strings.TrimSpace(found+"  "+p.pane.Rest())), p.width), ""}, p.pane.Lines()...)
	}
	return append(p.changeTable.Under(p.aboutChanges()), p.alsoLine())
}

// sum says how much the registry holds.
func (p *Page) sum() string {
	if state := p.subjects.State(p.theme); state != "" {
		return state
	}
	all, ids := 0, map[int]bool{}
	for _, s := range p.subjects.Value {
		all += len(s.Versions)
		for _, v := range s.Versions {
			ids[v.ID] = true
		}
	}
	return p.theme.Draw(kit.Dim, phrase.Count(len(p.subjects.Value), "subject")+", "+phrase.Count(all, "version")+" of "+phrase.Count(len(ids), "schema"))
}

func (p *Page) aboutSubject() []string {
	t := p.theme
	s := p.subject(p.of)
	if s == nil {
		return []string{t.Draw(kit.Warn, "the registry holds subject "+phrase.Line(p.of)+" no more"), ""}
	}
	mode := ""
	if s.Mode != "" {
		mode = ", mode " + strings.ToLower(s.Mode)
	}
	mark := "d: what a version changed; m marks another to compare with"
	if p.marked != nil {
		mark = "d compares with " + p.marked.String() + ", which is marked"
	}
	return []string{t.Draw(kit.Heading, phrase.Line(s.Name)) + "  compatibility " + level(*s) + t.Draw(modeLook(s.Mode), mode), t.Draw(kit.Dim, phrase.Line(mark))}
}

// aboutChanges sums up a diff.
func (p *Page) aboutChanges() []string {
	t := p.theme
	count := map[schemadiff.What]int{}
	for _, c := range p.changes {
		count[c.What]++
	}
	var parts []string
	for _, w := range []struct {
		what schemadiff.What
		says string
	}{{schemadiff.Added, "added"}, {schemadiff.Removed, "removed"}, {schemadiff.Type, "of another type"}, {schemadiff.Default, "with another default"}, {schemadiff.Doc, "in other words"}, {schemadiff.Order, "in another place"}} {
		if n := count[w.what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w.says))
		}
	}
	sum := strings.Join(parts, ", ")
	if sum == "" {
		sum = "nothing changed"
	}
	return []string{t.Draw(kit.Heading, fmt.Sprintf("%d", p.before.version.ID)) + " " + t.Signs.Between + " " + t.Draw(kit.Heading, fmt.Sprintf("%d", p.after.version.ID)) + "  " + sum, ""}
}

// alsoLine says in full what the change under the cursor is.
func (p *Page) alsoLine() string {
	i, err := strconv.Atoi(p.changeTable.Key())
	if err != nil || i >= len(p.changes) {
		return ""
	}
	c := p.changes[i]
	text := fmt.Sprintf("%s %s: %s %s %s", c.Sign(), c.Path, orNone(c.Before), p.theme.Signs.Between, orNone(c.After))
	if len(c.Also) > 0 {
		text += "; also " + strings.Join(c.Also, ", ")
	}
	return p.theme.Draw(kit.Dim, p.theme.Cut(phrase.Line(text), p.width))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
