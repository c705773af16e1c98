package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/render/phrase"
)

// glyphs are the signs that a terminal's font has.
type glyphs struct {
	marks      [5]string // by state; the spinner turns in place of that of running
	spinner    []string
	full, rest string // of a progress bar
	ellipsis   string
	note       string
	// tee and last branch off to a step, through passes by it.
	tee, last, through string
}

// glyphsFor chooses the signs: of ASCII alone, or those of an ordinary font.
func glyphsFor(ascii bool) glyphs {
	if ascii {
		return glyphs{
			marks:   [5]string{waiting: ".", running: ">", done: "+", failed: "x", skipped: "-"},
			spinner: []string{"|", "/", "-", "\\"},
			full:    "#", rest: ".", ellipsis: "...", note: "!",
			tee: "+ ", last: "+ ", through: "| ",
		}
	}
	return glyphs{
		marks:   [5]string{waiting: "·", running: "▸", done: "✓", failed: "✗", skipped: "–"},
		spinner: []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"},
		full:    "█", rest: "░", ellipsis: "…", note: "!",
		tee: "├ ", last: "└ ", through: "│ ",
	}
}

// View implements tea.Model: the frame while the walk goes on, no higher than
// the terminal. It is empty once the view ends, because Report follows.
func (m model) View() string {
	if m.leave != staying {
		return ""
	}
	if !m.planned && len(m.steps) == 0 {
		return m.cut(m.styles.Dim.Render(m.spin() + " waiting for the plan" + m.glyphs.ellipsis))
	}
	var foot []string
	for _, n := range m.notes[max(len(m.notes)-3, 0):] { // the newest
		foot = append(foot, m.cut(m.note(n)))
	}
	foot = append(foot, m.problemsInFull()...)
	foot = append(foot, m.logInView()...)
	foot = append(foot, m.cut(m.footer()))
	// One line stays free for the cursor.
	room := m.height - 1 - len(foot)
	if m.height == 0 {
		room = -1
	}
	return strings.Join(append(m.list(room), foot...), "\n")
}

// Report is the last frame: every step however high that gets, the notes, the
// problems with their remedies, and how it ended.
func (m model) Report() string {
	var lines []string
	for _, s := range m.steps {
		lines = append(lines, m.stepLine(s))
	}
	for _, n := range m.notes {
		lines = append(lines, m.wrap(m.note(n))...)
	}
	lines = append(lines, m.problemsInFull()...)
	return strings.Join(append(lines, m.wrap(m.ending())...), "\n")
}

// list draws the steps on at most room lines, or all of them when room is
// negative. What happens now is kept; what is done and what is to come is
// summed up when there is no room for it.
func (m model) list(room int) []string {
	blocks := make([][]string, len(m.steps))
	total := 0
	for i, s := range m.steps {
		blocks[i] = m.block(s)
		total += len(blocks[i])
	}
	if room >= 0 && total > room {
		return m.summed(blocks, max(room, 1))
	}
	var lines []string
	for _, b := range blocks {
		lines = append(lines, b...)
	}
	return lines
}

// summed draws the steps of which something is to be seen now, and sums up
// the others on a line for each state.
func (m model) summed(blocks [][]string, room int) []string {
	var lines, details []string
	tally := m.tally()
	add := func(st state, word string) {
		if n := tally[st]; n > 0 {
			lines = append(lines, m.cut(m.look(st).Render(m.mark(st)+" "+phrase.Count(n, "step")+" "+word)))
		}
	}
	add(done, "done")
	for i, s := range m.steps {
		if s.state == running || s.state == failed {
			details = append(details, blocks[i]...)
		}
	}
	left := room - len(lines)
	for _, st := range []state{waiting, skipped} {
		if tally[st] > 0 {
			left--
		}
	}
	left = max(left, 1)
	if len(details) > left {
		hidden := len(details) - left + 1
		details = append(details[:left-1:left-1], m.styles.Dim.Render(m.cut(fmt.Sprintf("%s %s", m.glyphs.ellipsis, phrase.Count(hidden, "more line")))))
	}
	lines = append(lines, details...)
	add(waiting, "to come")
	add(skipped, "not begun")
	return lines
}

// block is a step with what it counts or waits for.
func (m model) block(s step) []string {
	lines := []string{m.stepLine(s)}
	if s.state != running {
		return lines
	}
	const indent = "  "
	if s.total > 0 || s.count > 0 {
		lines = append(lines, m.cut(indent+m.progress(s)))
	}
	if s.gate != "" {
		lines = append(lines, m.styles.Dim.Render(m.cut(indent+"waits for: "+s.gate)))
		if s.seen != "" {
			lines = append(lines, m.styles.Dim.Render(m.cut(indent+"saw last:  "+s.seen)))
		}
	}
	return lines
}

// stepLine is the one line that every step has: mark, title, key when there is
// room, time.
func (m model) stepLine(s step) string {
	spent := ""
	switch {
	case s.state == running:
		spent = phrase.Elapsed(m.now.Sub(s.began))
	case s.state == done || s.state == failed:
		spent = phrase.Elapsed(s.spent)
	}
	label, key := m.label(s), ""
	title, keys := m.columns()
	if keys > 0 {
		key = s.key
	}
	label = ansi.Truncate(label, title, m.glyphs.ellipsis)
	// Nothing is padded on its right that has nothing there: blanks would wrap
	// when the terminal gets narrower.
	if key != "" || spent != "" {
		label = pad(label, title)
	}
	look := m.look(s.state)
	line := look.Render(m.mark(s.state)) + " "
	if rest, ok := strings.CutPrefix(label, s.branch); ok {
		line += m.styles.Dim.Render(s.branch)
		label = rest
	}
	if s.state == waiting || s.state == skipped {
		line += look.Render(label)
	} else {
		line += label
	}
	if spent != "" {
		spent = fmt.Sprintf("  %6s", spent)
		key = pad(key, keys)
	}
	if keys > 0 {
		line += "  " + m.styles.Dim.Render(key)
	}
	return m.cut(line + m.styles.Dim.Render(spent))
}

// label is what a step is called; one that the plan did not have may have no
// title.
func (m model) label(s step) string {
	if s.title == "" {
		return s.branch + s.key
	}
	return s.branch + s.title
}

// timeColumn is the width of a time and the two spaces before it; mark and
// space take two columns more.
const (
	timeColumn = 8
	markColumn = 2
)

// columns gives the widths of titles and of keys. Both are as wide as their
// longest text, not as the terminal: short lines survive a resize unwrapped.
// Keys go first when there is no room for both.
func (m model) columns() (titles, keys int) {
	for _, s := range m.steps {
		titles = max(titles, ansi.StringWidth(m.label(s)))
		keys = max(keys, ansi.StringWidth(s.key))
	}
	room := m.text() - markColumn - timeColumn
	if titles+2+keys > room {
		keys = 0
	}
	return max(min(titles, room), 1), keys
}

// progress draws counted work: a bar, the count, the speed and the time left,
// the latter two only as far as there is room.
func (m model) progress(s step) string {
	count := phrase.Progress(s.count, s.total, s.unit)
	room := m.text() - 2
	line := count
	if s.total > 0 {
		width := min(max(room-ansi.StringWidth(count)-1, 0), 24)
		if width >= 5 {
			line = m.bar(width, s.count, s.total) + " " + count
		}
	}
	if speed := s.meter.Text(s.total, s.unit); speed != "" && ansi.StringWidth(line)+2+len(speed) <= room {
		line += m.styles.Dim.Render("  " + speed)
	}
	return line
}

// bar draws a bar; it is full only when everything is done.
func (m model) bar(width int, count, total int64) string {
	part := min(max(float64(count)/float64(total), 0), 1)
	n := int(part * float64(width))
	return m.styles.Active.Render(strings.Repeat(m.glyphs.full, n)) +
		m.styles.Dim.Render(strings.Repeat(m.glyphs.rest, width-n))
}

func (m model) note(text string) string {
	return m.styles.Warn.Render(m.glyphs.note) + " " + text
}

// problemsInFull are the problems with their remedies, set off by empty lines.
// They are wrapped, never cut: they are what has to be read.
func (m model) problemsInFull() []string {
	var lines []string
	for i := range m.problems {
		lines = append(lines, "")
		text := strings.Split(phrase.Remedy(&m.problems[i]), "\n")
		for j, l := range text {
			for _, w := range m.wrap(l) {
				if j == 0 {
					w = m.styles.Bad.Render(w)
				}
				lines = append(lines, w)
			}
		}
	}
	if len(m.problems) > 0 {
		lines = append(lines, "")
	}
	return lines
}

// logInView are the last lines of the log of the step under the cursor.
func (m model) logInView() []string {
	if !m.logging || m.under() == "" {
		return nil
	}
	lines := []string{m.cut(m.styles.Heading.Render("log of " + m.under()))}
	if m.logOf != m.under() {
		return append(lines, m.cut(m.styles.Dim.Render("  reading"+m.glyphs.ellipsis)))
	}
	if len(m.log) == 0 {
		lines = append(lines, m.cut(m.styles.Dim.Render("  nothing yet")))
	}
	for _, l := range m.log {
		lines = append(lines, m.cut(m.styles.Dim.Render("  "+l)))
	}
	return lines
}

// footer is the line with the time spent, while the walk goes on.
func (m model) footer() string {
	tally := m.tally()
	spent := fmt.Sprintf("%d of %s  %s", tally[done], phrase.Count(len(m.steps), "step"), phrase.Elapsed(m.now.Sub(m.start)))
	if all, ok := expected(m.steps, m.about.Last); ok {
		const width = 16
		spent = m.bar(width, int64(weighed(m.steps, m.about.Last, m.now)*width*8), width*8) + " " + spent + ", about " + phrase.Elapsed(all) + " last time"
	}
	look, hints := m.styles.Dim, []string{"ctrl-c stops"}
	if m.stopping {
		look, spent, hints = m.styles.Warn, spent+"  stopping"+m.glyphs.ellipsis, []string{"ctrl-c again leaves at once"}
	} else {
		if m.about.Leave != "" {
			hints = append(hints, "q "+m.about.Leave)
		}
		if m.about.Log != nil {
			hints = append(hints, "l log")
		}
	}
	for n := len(hints); n > 0; n-- {
		if hint := "  (" + strings.Join(hints[:n], ", ") + ")"; ansi.StringWidth(spent+hint) <= m.text() {
			return look.Render(spent + hint)
		}
	}
	return look.Render(spent)
}

// ending is the last line of the report.
func (m model) ending() string {
	tally := m.tally()
	all := phrase.Elapsed(m.now.Sub(m.start))
	sum := fmt.Sprintf("%d of %s done", tally[done], phrase.Count(len(m.steps), "step"))
	if e := m.finished; e != nil {
		if e.Elapsed != 0 {
			all = phrase.Elapsed(time.Duration(e.Elapsed))
		} else {
			all = phrase.Elapsed(e.Time.Sub(m.start))
		}
		text := ""
		if t := phrase.Line(e.Text); t != "" {
			text = ": " + t
		}
		switch {
		case e.Problem == nil && e.Unchanged:
			return m.styles.Good.Render("nothing to do" + text)
		case e.Problem == nil:
			return m.styles.Good.Render(fmt.Sprintf("all done in %s, %s%s", all, phrase.Count(tally[done], "step"), text))
		case phrase.Cancelled(e.Problem):
			return m.styles.Warn.Render("cancelled after " + all + ", " + sum + text)
		}
		return m.styles.Bad.Render("failed after " + all + ", " + sum + text)
	}
	switch m.leave {
	case detached:
		return m.styles.Warn.Render("left after " + all + ", " + sum + "; the walk goes on")
	case abandoned:
		return m.styles.Warn.Render("left after " + all + ", " + sum + "; not everything is stopped yet")
	}
	return m.styles.Warn.Render("nothing more is heard of the walk after " + all + ", " + sum)
}

func (m model) tally() map[state]int {
	t := map[state]int{}
	for _, s := range m.steps {
		t[s.state]++
	}
	return t
}

func (m model) mark(s state) string {
	if s == running && m.leave == staying {
		return m.spin()
	}
	return m.glyphs.marks[s]
}

func (m model) spin() string { return m.glyphs.spinner[m.frame%len(m.glyphs.spinner)] }

func (m model) look(s state) lipgloss.Style {
	return [5]lipgloss.Style{
		waiting: m.styles.Dim,
		running: m.styles.Active,
		done:    m.styles.Good,
		failed:  m.styles.Bad,
		skipped: m.styles.Dim,
	}[s]
}

// text is how wide a line may be. The last column stays free: terminals differ
// in what they do after a character in it.
func (m model) text() int { return max(m.width-1, 1) }

// cut shortens a line to the terminal's width; wide characters and colours
// are counted as the terminal shows them.
func (m model) cut(s string) string { return ansi.Truncate(s, m.text(), m.glyphs.ellipsis) }

// wrap breaks a line at the terminal's width.
func (m model) wrap(s string) []string {
	return strings.Split(ansi.Wrap(s, m.text(), ""), "\n")
}

// pad fills a text up to width columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-ansi.StringWidth(s), 0))
}
