package alerts

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/render/lightcurve"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/tui/kit"
)

// The size from which an alert's record, light curve and cutouts are shown side by
// side, in cells within the margins.
const (
	wideWidth  = 138
	wideHeight = 34
)

// headLines is how many lines are above the panes: five that say what the alert is,
// and that of the panes.
const headLines = 6

func (p *Page) wide() bool { return p.width >= wideWidth && p.height >= wideHeight }

// treeSize is the size of the record's table.
func (p *Page) treeSize() (width, height int) {
	height = max(p.height-headLines-1, 2) // a line for what the field is
	if p.wide() {
		return p.width * 45 / 100, height
	}
	return p.width, height
}

// sideSize is the size of what stands beside or instead of the record.
func (p *Page) sideSize() (width, height int) {
	height = max(p.height-headLines, 2)
	if p.wide() {
		w, _ := p.treeSize()
		return p.width - w - 2, height
	}
	return p.width, height
}

var treeColumns = []kit.Column{{Title: "field", Least: 24}, {Title: "value", Least: 20}, {Title: "unit", Drop: 1}, {Title: "which is", Least: 14, Drop: 2}, {Title: "type", Drop: 3}}

// alertKey is a key while an alert is in view.
func (p *Page) alertKey(msg tea.KeyMsg) tea.Cmd {
	switch {
	case key.Matches(msg, keys.record):
		p.pane = recordPane
	case key.Matches(msg, keys.curve):
		p.pane = curvePane
	case key.Matches(msg, keys.cutouts):
		p.pane = cutoutPane
	case p.alert == nil: // it is still being read
	case key.Matches(msg, keys.again):
		return p.compare()
	case p.pane != recordPane && !p.wide():
	case key.Matches(msg, keys.open):
		p.fold(!p.open[p.tree.Key()])
	case key.Matches(msg, keys.unfold):
		p.fold(true)
	case key.Matches(msg, keys.fold):
		if !p.open[p.tree.Key()] {
			p.tree.Select(parent(p.tree.Key()))
		}
		p.fold(false)
	case key.Matches(msg, keys.all):
		p.foldAll()
	default:
		p.tree.Update(msg)
	}
	return nil
}

// parent is the path of what a node is in.
func parent(path string) string {
	i := strings.LastIndexAny(path, ".[")
	if i < 0 {
		return path
	}
	return path[:i]
}

// fold folds or unfolds the node under the cursor.
func (p *Page) fold(open bool) {
	path := p.tree.Key()
	if n := p.nodes[path]; n == nil || !n.Folds() || p.open[path] == open {
		return
	}
	if open {
		p.open[path] = true
	} else {
		delete(p.open, path)
	}
	p.unfolded()
	p.tree.Select(path)
}

// foldAll unfolds the records of the alert, or folds everything when they are open.
func (p *Page) foldAll() {
	records := []string{}
	for _, n := range p.alert.Record.Tree.Children() {
		if n.Folds() && !strings.HasPrefix(n.Type, "array") {
			records = append(records, n.Name)
		}
	}
	all := !slices.ContainsFunc(records, func(r string) bool { return !p.open[r] })
	p.open = map[string]bool{}
	if !all {
		for _, r := range records {
			p.open[r] = true
		}
	}
	p.unfolded()
}

// mostRows bounds what a search in a record goes through.
const mostRows = 5000

// unfolded lists the record as far as it is unfolded, or what a search finds in it.
func (p *Page) unfolded() {
	if p.alert == nil {
		return
	}
	p.nodes = map[string]*record.Node{}
	var rows []kit.Row
	sought := strings.ToLower(p.sought)
	var walk func(n *record.Node, path string, depth int)
	walk = func(n *record.Node, path string, depth int) {
		for i, child := range n.Children() {
			if len(p.nodes) >= mostRows {
				return
			}
			at := path
			if at != "" && child.Name[0] != '[' {
				at += "."
			}
			at += child.Name
			p.nodes[at] = child
			switch {
			case sought == "":
				rows = append(rows, p.treeRow(child, at, child.Name, depth))
				if p.open[at] {
					walk(child, at, depth+1)
				}
			default:
				if strings.Contains(strings.ToLower(at), sought) {
					rows = append(rows, p.treeRow(child, at, at, 0))
				}
				// Of a history, the newest says what there is.
				if child.Folds() && (n.Type == "" || !strings.HasPrefix(n.Type, "array") || i == len(n.Children())-1) {
					walk(child, at, depth+1)
				}
			}
		}
	}
	walk(p.alert.Record.Tree, "", 0)
	p.tree.SetRows(rows)
	p.tree.Empty = "no field's name holds " + p.sought
}

func (p *Page) treeRow(n *record.Node, path, name string, depth int) kit.Row {
	guide, closed, open, leaf := "│ ", "▸ ", "▾ ", "  "
	if p.ascii() {
		guide, closed, open = "| ", "+ ", "- "
	}
	// Blanks at the beginning of a cell are dropped; these stand for them.
	mark := leaf
	if n.Folds() {
		mark = closed
		if p.open[path] && p.sought == "" {
			mark = open
		}
	}
	if mark == leaf && depth == 0 {
		mark = "· "
		if p.ascii() {
			mark = ". "
		}
	} else if mark == leaf {
		mark = ""
	}
	look := kit.Plain
	if n.Null {
		look = kit.Dim
	} else if n.Folds() {
		look = kit.Active
	}
	return kit.Row{Key: path, Cells: []kit.Cell{{Text: strings.Repeat(guide, depth) + mark + name, Look: look}, {Text: n.Value, Look: look}, {Text: n.Unit, Look: kit.Dim}, {Text: n.Note, Look: kit.Dim}, {Text: n.Type, Look: kit.Dim}}}
}

func (p *Page) ascii() bool { return p.theme.Styles.ASCII }

// alertLines draws an alert.
func (p *Page) alertLines() []string {
	switch {
	case p.opening != "":
		return []string{p.theme.Draw(kit.Dim, "reading the alert"+p.theme.Signs.Ellipsis)}
	case p.openErr != nil:
		return append(p.theme.Problem(p.openErr, p.width-1), "", p.theme.Draw(kit.Dim, "q goes back to the list"))
	case p.alert == nil:
		return nil
	}
	lines := append(p.about(), p.panes())
	if !p.wide() {
		switch p.pane {
		case curvePane:
			return append(lines, p.curveLines()...)
		case cutoutPane:
			return append(lines, p.cutoutLines()...)
		}
		return append(p.tree.Under(lines), p.wordsLine())
	}
	treeWidth, _ := p.treeSize()
	width, height := p.sideSize()
	left := append(p.tree.Under(lines)[len(lines):], p.wordsLine())
	side := p.curveLines()
	pictures := p.cutoutLines()
	for len(side)+len(pictures) < height {
		side = append(side, "")
	}
	return append(lines, p.theme.Beside(2, kit.Strip{Lines: left, Width: treeWidth}, kit.Strip{Lines: append(side, pictures...), Width: width})...)
}

// about says what the alert is.
func (p *Page) about() []string {
	a := p.alert
	h := a.Head
	t := p.theme
	flux := "flux unknown"
	if !math.IsNaN(h.Flux) {
		flux = t.Sign(fmt.Sprintf("flux %s ± %s nJy", fixed(h.Flux, 0), fixed(h.FluxErr, 0)))
		if m := record.Magnitude(h.Flux); !math.IsNaN(m) {
			flux += fmt.Sprintf(" (AB %.2f mag)", m)
		}
	}
	when := "time unknown"
	if at := record.Time(h.MJD); !at.IsZero() {
		when = fmt.Sprintf("MJD %.6f TAI, %s UTC", h.MJD, at.Format("2006-01-02 15:04:05"))
	}
	place := "place unknown"
	if a.Record.Place.Known() {
		place = a.Record.Place.Degrees() + " deg   " + a.Record.Place.Sexagesimal()
	}
	message := fmt.Sprintf("%s, message %d/%d", size(h.Bytes), h.Partition, h.Offset)
	if p.wide() {
		message += ", " + a.Origin
	}
	wire := a.Wire[:min(len(a.Wire), 5)]
	return []string{
		t.Ends(t.Draw(kit.Heading, phrase.Line(title(h)))+fmt.Sprintf("  schema %s (id %d)", orDash(h.Version), h.SchemaID),
			t.Draw(kit.Dim, message), p.width),
		place,
		t.Ends(fmt.Sprintf("band %s  %s  SNR %s", orDash(phrase.Line(h.Band)), flux, fixed(h.SNR, 1)), t.Draw(kit.Dim, visitText(h)), p.width),
		t.Ends(when, t.Draw(kit.Dim, fmt.Sprintf("wire % 02x = id %d", wire, h.SchemaID)), p.width),
		p.archiveLine(),
	}
}

func visitText(h record.Head) string {
	if h.Visit == 0 {
		return ""
	}
	return "visit " + strconv.FormatInt(h.Visit, 10)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// archiveLine says how the archived copy is.
func (p *Page) archiveLine() string {
	t := p.theme
	a := p.archived
	if a == nil {
		return t.Draw(kit.Dim, "archived copy: comparing"+t.Signs.Ellipsis)
	}
	key := phrase.Line(a.Key)
	if p.wide() && a.URL != "" {
		key += "  " + phrase.Line(a.URL)
	}
	switch a.State {
	case Equal:
		return t.Draw(kit.Good, t.Signs.Good+" archived, equal byte for byte") + "  " + t.Draw(kit.Dim, key)
	case Differs:
		return t.Draw(kit.Bad, fmt.Sprintf("%s archived, but other: %d bytes, the first that differs is %d", t.Signs.Bad, a.Bytes, a.At)) + "  " + t.Draw(kit.Dim, key)
	case Absent:
		return t.Draw(kit.Warn, t.Signs.Wait+" not archived (yet)") + "  " + t.Draw(kit.Dim, key+"   a looks again")
	}
	return t.Draw(kit.Warn, t.Signs.Wait+" the archive was not asked: ") + kit.Explain(a.Err)
}

// paneNames are the panes with the keys that open them.
var paneNames = []string{"r record", "l light curve", "c cutouts"}

// panes is the line above the panes.
func (p *Page) panes() string {
	t := p.theme
	if p.wide() {
		return t.Draw(kit.Dim, strings.Repeat(t.Signs.Rule, p.width))
	}
	return t.Pick(int(p.pane), paneNames...)
}

// wordsLine says what the field under the cursor is.
func (p *Page) wordsLine() string {
	width, _ := p.treeSize()
	n := p.nodes[p.tree.Key()]
	if n == nil {
		return ""
	}
	text := p.tree.Key() + ": " + n.Type
	if n.Note != "" {
		text += ", " + phrase.Line(n.Note)
	}
	if n.Doc != "" {
		text += "; " + phrase.Line(n.Doc)
	}
	return p.theme.Draw(kit.Dim, p.theme.Cut(text, width))
}

// curveLines draws the light curve with its legend.
func (p *Page) curveLines() []string {
	width, height := p.sideSize()
	if p.wide() {
		height = height * 55 / 100
	}
	if p.plot.width == width && p.plot.height == height {
		return p.plot.lines
	}
	lines := lightcurve.Lines(p.alert.Record.Curve, lightcurve.LooksOf(p.theme.Styles), width, height)
	p.plot = cached{width, height, lines}
	return lines
}

// cutoutLines draws the cutouts beside each other.
func (p *Page) cutoutLines() []string {
	width, height := p.sideSize()
	if p.wide() {
		height = height - height*55/100
	}
	if p.pictures.width == width && p.pictures.height == height {
		return p.pictures.lines
	}
	cuts := p.alert.Record.Cutouts
	if len(cuts) == 0 {
		return []string{"", "The alert's schema has no cutouts."}
	}
	each := (width - 2*(len(cuts)-1)) / len(cuts)
	var strips []kit.Strip
	for _, c := range cuts {
		strips = append(strips, kit.Strip{Lines: p.cutout(c, each, height), Width: each})
	}
	p.pictures = cached{width, height, p.theme.Beside(2, strips...)}
	return p.pictures.lines
}

// cutout is one picture with its numbers below.
func (p *Page) cutout(c record.Cutout, width, height int) []string {
	lines := []string{p.theme.Draw(kit.Heading, c.Name)}
	if c.Image == nil {
		return append(lines, kit.Wrap(phrase.Line(c.Problem), width)...)
	}
	w, h, levels := c.Levels()
	lines = append(lines, picture.Draw(picture.Grey{Width: w, Height: h, Levels: levels}, width, max(height-3, 1), p.depth)...)
	unit := phrase.Line(c.Image.Unit)
	return append(lines,
		p.theme.Draw(kit.Dim, p.theme.Cut(fmt.Sprintf("%dx%d, %s", w, h, size(c.Bytes)), width)),
		p.theme.Draw(kit.Dim, p.theme.Cut(strings.TrimSpace(fmt.Sprintf("%.4g to %.4g %s", c.Low, c.High, unit)), width)))
}
