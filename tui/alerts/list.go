package alerts

import (
	"fmt"
	"math"
	"strconv"

	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
)

// headColumns are those of the list; on 80 columns it has those that are not dropped.
var headColumns = []kit.Column{
	{Title: "id"}, {Title: "visit", Drop: 1}, {Title: "time"}, {Title: "band"}, {Title: "flux nJy", Right: true, Floor: 8}, {Title: "mag", Right: true, Drop: 3},
	{Title: "size", Right: true, Floor: 7}, {Title: "schema", Right: true}, {Title: "snr", Right: true, Drop: 4}, {Title: "ra", Right: true, Drop: 5}, {Title: "dec", Right: true, Drop: 6},
	{Title: "message", Drop: 7}, {Title: "published", Drop: 8},
}

// fill lists what was seen. Who looks at the newest alert goes on to do so; else the
// cursor stays on its alert.
func (p *Page) fill() {
	newest := p.heads.Key() == "" || p.heads.Key() == p.newest
	rows := make([]kit.Row, 0, len(p.seen.Heads))
	for _, h := range p.seen.Heads {
		rows = append(rows, headRow(h))
	}
	p.heads.SetRows(rows)
	if len(rows) > 0 {
		p.newest = rows[0].Key
		if newest {
			p.heads.Select(p.newest)
		}
	}
}

func headRow(h record.Head) kit.Row {
	row := kit.Row{Key: headKey(h)}
	schema := h.Version
	if schema == "" && h.SchemaID >= 0 {
		schema = strconv.Itoa(h.SchemaID)
	}
	message := fmt.Sprintf("%d/%d", h.Partition, h.Offset)
	if h.Problem != "" {
		// The reason takes the place of what is not known.
		row.Cells = []kit.Cell{{Text: "message " + message, Look: kit.Bad}, {}, {}, {}, {}, {}, kit.Text(size(h.Bytes)), kit.Text(schema), {}, {}, {},
			kit.Text(message), {Text: h.Problem, Look: kit.Bad}}
		return row
	}
	at := ""
	if t := record.Time(h.MJD); !t.IsZero() {
		at = t.Format("15:04:05")
	}
	visit := ""
	if h.Visit != 0 {
		visit = strconv.FormatInt(h.Visit, 10)
	}
	row.Cells = []kit.Cell{kit.Text(strconv.FormatInt(h.ID, 10)), kit.Text(visit), kit.Text(at), kit.Text(h.Band), kit.Text(fixed(h.Flux, 0)),
		kit.Text(fixed(record.Magnitude(h.Flux), 2)), kit.Text(size(h.Bytes)), kit.Text(schema), kit.Text(fixed(h.SNR, 1)),
		kit.Text(fixed(h.RA, 5)), kit.Text(fixed(h.Dec, 5)), kit.Text(message), kit.Text(h.Published.Format("15:04:05.000"))}
	return row
}

// fixed writes a number, "-" where it is none.
func fixed(f float64, digits int) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "-"
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}

func size(n int) string { return phrase.Bytes(int64(n)) }

// listLines draws the list under a line about the stream.
func (p *Page) listLines() []string {
	lines := []string{p.streamLine()}
	switch {
	case p.err != nil && len(p.seen.Heads) > 0:
		lines = append(lines, p.theme.Draw(kit.Bad, kit.Explain(p.err))+p.theme.Draw(kit.Dim, "   s tries again"))
	case p.err != nil:
		lines = append(lines, "")
		lines = append(lines, p.theme.Problem(p.err, p.width-1)...)
		return append(lines, "", p.theme.Draw(kit.Dim, "s tries again, t chooses another topic"))
	case p.seen.Problem != "":
		lines = append(lines, p.theme.Draw(kit.Warn, "nothing comes, it is tried again: "+kit.Explain(fmt.Errorf("%s", p.seen.Problem))))
	default:
		lines = append(lines, "")
	}
	switch {
	case p.topic == "" && !p.names.Loaded():
		return append(lines, p.theme.Draw(kit.Dim, "looking for topics"+p.theme.Signs.Ellipsis))
	case p.topic == "":
		return append(lines, "there is no topic to be seen", "next: alertlab console topics   # shows what this user sees")
	case p.waiting && !p.streamed:
		return append(lines, p.theme.Draw(kit.Dim, "reading topic "+p.topic+p.theme.Signs.Ellipsis))
	case len(p.seen.Heads) == 0:
		return append(lines, "Nothing has come to topic "+p.topic+" yet.", "",
			"next: alertlab simulator play   # publishes a visit; or t, and another topic")
	}
	return p.heads.Under(lines)
}

// streamLine says what is followed, and how fast it comes.
func (p *Page) streamLine() string {
	state := p.theme.Draw(kit.Dim, p.theme.Signs.Wait+" stopped")
	switch {
	case p.waiting || p.topic == "" && !p.names.Loaded() && p.err == nil:
		state = p.theme.Draw(kit.Dim, p.theme.Signs.Wait+" connecting")
	case p.on:
		state = p.theme.Draw(kit.Good, p.theme.Signs.Run+" following")
	}
	left := state
	if p.topic != "" {
		left = p.theme.Draw(kit.Heading, p.topic) + "  " + state
	}
	if p.streamed {
		left += fmt.Sprintf("  %s alerts/s  %s/s", fixed(p.seen.Rate, 0), phrase.Bytes(int64(p.seen.ByteRate)))
	}
	right := ""
	if p.seen.Seen > 0 {
		right = fmt.Sprintf("%s seen, %s", phrase.Number(p.seen.Seen), phrase.Bytes(p.seen.Bytes))
		if p.seen.Passed > 0 {
			right += fmt.Sprintf("; %s of them only counted", phrase.Number(p.seen.Passed))
		}
		if kit.Width(left)+kit.Width(right)+2 > p.width {
			right = phrase.Number(p.seen.Seen) + " seen"
		}
	}
	return p.theme.Ends(left, p.theme.Draw(kit.Dim, right), p.width)
}
