package alerts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/page"
)

var _ page.Page = (*Page)(nil)

// alerts are synthetic ones, of 80 kB, as they are on the wire.
type alerts struct {
	schema *packet.Schema
	wires  [][]byte
}

func make80kB(t testing.TB, n int) alerts {
	t.Helper()
	v, err := packet.ParseVersion("11.0")
	if err != nil {
		t.Fatal(err)
	}
	out := alerts{}
	if out.schema, err = packet.Published(v); err != nil {
		t.Fatal(err)
	}
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: out.schema, Alerts: n, Seed: 4, Visit: 2026060100012, MidpointMjdTai: 61192.25})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		body, err := visit.Body(i)
		if err != nil {
			t.Fatal(err)
		}
		out.wires = append(out.wires, packet.Frame(1100, body))
	}
	return out
}

func (a alerts) head(t testing.TB, i int) record.Head {
	t.Helper()
	g, err := a.schema.Glance(a.wires[i][packet.HeaderSize:])
	if err != nil {
		t.Fatal(err)
	}
	return record.Head{Topic: "alerts-simulated", Partition: int32(i % 8), Offset: int64(1000 + i), Published: time.Date(2026, 6, 1, 6, 0, i, 0, time.UTC), Bytes: len(a.wires[i]),
		SchemaID: 1100, Version: "11.0", ID: g.ID, Visit: g.Visit, MJD: g.MidpointMjdTai, Band: g.Band, Flux: g.Flux, FluxErr: g.FluxErr, SNR: g.SNR, RA: g.RA, Dec: g.Dec}
}

// fake is a source of a fixed world.
type fake struct {
	t        testing.TB
	alerts   alerts
	topics   []string
	topicErr error
	peekErr  error
	openErr  error
	archived Archived
	views    []record.View // what a peek shows, one after the other
	blocked  chan struct{} // somebody waits for a view that does not come
	closed   chan string
	asked    []string // topics
}

func (f *fake) Topics(context.Context) ([]string, error) { return f.topics, f.topicErr }

func (f *fake) Peek(_ context.Context, topic string) (Peek, error) {
	if f.peekErr != nil {
		return nil, f.peekErr
	}
	f.asked = append(f.asked, topic)
	return &fakePeek{fake: f, topic: topic}, nil
}

func (f *fake) Open(_ context.Context, h record.Head) (Opened, error) {
	if f.openErr != nil {
		return Opened{}, f.openErr
	}
	wire := f.alerts.wires[h.Offset-1000]
	alert, err := f.alerts.schema.Decode(wire[packet.HeaderSize:])
	if err != nil {
		return Opened{}, err
	}
	r, err := record.Read(f.alerts.schema.Canonical(), alert)
	return Opened{Head: h, Wire: wire, Record: r, Origin: "kept by the peek"}, err
}

func (f *fake) Archived(context.Context, Opened) Archived { return f.archived }

type fakePeek struct {
	*fake
	topic string
}

func (p *fakePeek) Next(ctx context.Context, after uint64) (record.View, error) {
	for _, v := range p.views {
		if v.Number > after {
			return v, nil
		}
	}
	p.blocked <- struct{}{}
	<-ctx.Done()
	return record.View{}, context.Cause(ctx)
}

func (p *fakePeek) Close() { p.closed <- p.topic }

// bench is a page with what it shows.
type bench struct {
	*golden.Bench
	page *Page
	fake *fake
}

func newBench(t testing.TB, f *fake, width, height int) *bench {
	t.Helper()
	return newBenchOf(t, golden.Theme(), picture.Shades, f, width, height)
}

func newBenchOf(t testing.TB, theme kit.Theme, depth picture.Depth, f *fake, width, height int) *bench {
	t.Helper()
	f.t, f.blocked, f.closed = t, make(chan struct{}), make(chan string, 16)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	b := &bench{page: New(ctx, theme, depth, f), fake: f}
	b.Bench = golden.NewBench(t, b.page, width, height, f.blocked)
	t.Cleanup(b.page.Hide)
	return b
}

// world is a topic with alerts and a message that is none.
func world(t testing.TB) *fake {
	a := make80kB(t, 30)
	f := &fake{alerts: a, topics: []string{"alerts-simulated", "alerts-static"},
		archived: Archived{State: Equal, URL: "http://127.0.0.10:3000/v1/alerts/1", Key: "v2/alerts/281323/281323062375219200.avro.gz", Bytes: len(a.wires[0])}}
	v := record.View{Number: 7, Seen: 123456, Bytes: 9_870_000_000, Passed: 120000, Rate: 299.6, ByteRate: 23.97e6}
	for i := range 29 {
		v.Heads = append(v.Heads, a.head(t, i))
	}
	bad := record.Head{Topic: "alerts-simulated", Partition: 3, Offset: 77, Published: time.Date(2026, 6, 1, 6, 0, 0, 0, time.UTC), Bytes: 11, SchemaID: -1, Flux: math.NaN(),
		Problem: "confluent wire format: first byte is 0x68, not 0x00"}
	v.Heads = append(v.Heads[:2], append([]record.Head{bad}, v.Heads[2:]...)...)
	f.views = []record.View{v}
	return f
}

// sizes are those of a page on terminals of 80x24 and 200x60: the frame takes four
// lines.
var sizes = [][2]int{{80, 20}, {200, 56}}

func TestFrames(t *testing.T) {
	t.Parallel()
	for _, s := range sizes {
		b := newBench(t, world(t), s[0], s[1])
		b.Settle(b.page.Show())
		b.Frame("list")
		b.Keys("down", "enter")
		if c := b.page.Crumb(); !strings.HasPrefix(c, "alerts-simulated › alert ") {
			t.Errorf("crumb %q", c)
		}
		b.Frame("record")
		b.Keys("down", "down", "enter") // of diaSource: nothing to unfold
		b.Keys("l")
		b.Frame("curve")
		b.Keys("c")
		b.Frame("cutouts")
		b.Keys("r", "t")
		b.Frame("topics")
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	const w, h = 80, 20
	down := fault.New(fault.StepFailed, "the brokers cannot be reached", "dial tcp 127.0.0.10:9092: connect: connection refused", "alertlab status   # alertlab up brings back what is missing")

	empty := newBench(t, &fake{topics: []string{"alerts-simulated"}, views: []record.View{{Number: 1}}}, w, h)
	empty.Frame("loading")
	empty.Settle(empty.page.Show())
	empty.Frame("empty")

	failed := newBench(t, &fake{topics: []string{"alerts-simulated"}, peekErr: down}, w, h)
	failed.Settle(failed.page.Show())
	failed.Frame("error")
	// s tries again.
	failed.fake.peekErr, failed.fake.views = nil, []record.View{{Number: 1, Seen: 1}}
	failed.Keys("s")
	if text := failed.Text(); strings.Contains(text, "cannot be reached") || !strings.Contains(text, "following") {
		t.Errorf("after another try:\n%s", text)
	}

	none := newBench(t, &fake{}, w, h)
	none.Settle(none.page.Show())
	if text := none.Text(); !strings.Contains(text, "there is no topic to be seen") {
		t.Errorf("no topic:\n%s", text)
	}

	topics := newBench(t, &fake{topicErr: down}, w, h)
	topics.Settle(topics.page.Show())
	if text := topics.Text(); !strings.Contains(text, "why:  dial tcp") || !strings.Contains(text, "next: alertlab status") {
		t.Errorf("no topics:\n%s", text)
	}

	// What ends by itself says why, with what was seen of it.
	f := world(t)
	f.views[0].Ended, f.views[0].Err = true, errors.New("user antares: reading topic alerts-simulated is refused")
	ended := newBench(t, f, w, h)
	ended.Settle(ended.page.Show())
	if text := ended.Text(); !strings.Contains(text, "is refused") || !strings.Contains(text, "stopped") || !strings.Contains(text, "message 3/77") {
		t.Errorf("ended:\n%s", text)
	}
	if got := <-f.closed; got != "alerts-simulated" {
		t.Errorf("closed %q", got)
	}

	f = world(t)
	f.openErr = fault.New(fault.StepFailed, "message 3/77 is no alert", f.views[0].Heads[2].Problem, "alertlab console messages alerts-simulated --partition 3 --offset 77 --limit 1")
	unread := newBench(t, f, w, h)
	unread.Settle(unread.page.Show())
	unread.Keys("down", "down", "enter")
	unread.Frame("unread")
	if !unread.page.Back() || unread.page.Back() {
		t.Error("going back")
	}
}

func TestArchivedCopies(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]Archived{
		"✓ archived, equal byte for byte  v2/alerts/281323/28132":          {State: Equal, Key: "v2/alerts/281323/281323062375219200.avro.gz"},
		"archived, but other: 4711 bytes, the first that differs is 12":    {State: Differs, Bytes: 4711, At: 12},
		"not archived (yet)  v2/alerts/1/1.avro.gz   a looks again":        {State: Absent, Key: "v2/alerts/1/1.avro.gz"},
		"the archive was not asked: no token of the lab opens it any more": {State: Unknown, Err: errors.New("no token of the lab opens\nit any more")},
	} {
		f := world(t)
		f.archived = Archived{State: Absent}
		b := newBench(t, f, 80, 20)
		b.Settle(b.page.Show())
		b.Keys("enter")
		f.archived = a
		b.Keys("a")
		if !strings.Contains(b.Text(), want) {
			t.Errorf("%v: no %q in\n%s", a, want, b.Text())
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	b := newBench(t, world(t), 80, 20)
	b.Settle(b.page.Show())
	b.Keys("down", "enter")
	rows := func() int { _, all := b.page.tree.Len(); return all }
	if rows() != 12+98 {
		t.Fatalf("%d rows with diaSource unfolded", rows())
	}
	b.Keys("left")
	if rows() != 12 || b.page.tree.Key() != "diaSource" {
		t.Errorf("folded: %d rows, at %s", rows(), b.page.tree.Key())
	}
	b.Keys("right", "down", "left") // to what the field is in
	if b.page.tree.Key() != "diaSource" {
		t.Errorf("at %s", b.page.tree.Key())
	}
	b.Keys("x")
	if rows() < 12+98+82 {
		t.Errorf("%d rows with all records unfolded", rows())
	}
	b.Keys("x")
	if rows() != 12 {
		t.Errorf("%d rows with all folded", rows())
	}
	// A history is unfolded item by item.
	b.page.tree.Select("prvDiaSources")
	b.Keys("enter", "down")
	if b.page.tree.Key() != "prvDiaSources[0]" {
		t.Fatalf("at %s", b.page.tree.Key())
	}
	b.Keys("enter", "down", "down")
	if b.page.tree.Key() != "prvDiaSources[0].visit" {
		t.Errorf("at %s", b.page.tree.Key())
	}
	// A search goes through records that are folded, and through the newest item of
	// a history.
	b.page.Filter("PSFFLUXERR")
	text := b.Text()
	if !strings.Contains(text, "diaSource.psfFluxErr") || !strings.Contains(text, "].psfFluxErr") || strings.Contains(text, "prvDiaSources[0].psfFluxErr") {
		t.Errorf("a search:\n%s", text)
	}
	b.page.Filter("nothing of this name")
	if text := b.Text(); !strings.Contains(text, "no field's name holds") {
		t.Errorf("a search for nothing:\n%s", text)
	}
	b.page.Back()
	if text := b.Text(); !strings.Contains(text, "30 seen") && !strings.Contains(text, "following") {
		t.Errorf("back in the list:\n%s", text)
	}
}

// A key that comes while the alert is being read is not lost.
func TestPaneOfAnAlertThatIsRead(t *testing.T) {
	t.Parallel()
	b := newBench(t, world(t), 80, 20)
	b.Settle(b.page.Show())
	open := b.page.Update(golden.Key("enter"))
	b.Keys("c")
	b.Settle(open)
	if text := b.Text(); !strings.Contains(text, "65x65") {
		t.Errorf("not the cutouts:\n%s", text)
	}
}

// The mouse chooses rows, opens them and folds them, and opens panes.
func TestMouse(t *testing.T) {
	t.Parallel()
	b := newBench(t, world(t), 80, 20)
	b.Settle(b.page.Show())
	click := func(x, y int) {
		b.Text() // what is in view is what is clicked
		b.Settle(b.page.Update(tea.MouseMsg{X: x, Y: y, Action: tea.MouseActionPress, Button: tea.MouseButtonLeft}))
	}
	click(5, 4)
	if b.page.view != list || b.page.heads.Key() != headKey(b.fake.views[0].Heads[1]) {
		t.Fatalf("a click on a row: %s", b.page.heads.Key())
	}
	click(5, 4)
	if b.page.view != opened {
		t.Fatal("a click on the chosen row does not open it")
	}
	click(5, 10) // diaSource, which is chosen
	if b.page.open["diaSource"] {
		t.Error("a click does not fold")
	}
	click(14, 5)
	if b.page.pane != curvePane {
		t.Error("a click on the light curve does not open it")
	}
	click(5, 10)
	if b.page.open["diaSource"] || b.page.pane != curvePane {
		t.Error("a click on the light curve folds what is not seen")
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	f := world(t)
	first := f.views[0]
	b := newBench(t, f, 80, 20)
	b.Settle(b.page.Show())
	if b.page.heads.Key() != headKey(first.Heads[0]) {
		t.Errorf("the cursor is at %s", b.page.heads.Key())
	}
	// Another view: who is on the newest goes on to be.
	second := first
	second.Number++
	second.Heads = append([]record.Head{f.alerts.head(t, 29)}, first.Heads...)
	b.page.Update(begunMsg{of: b.page, round: b.page.round, peek: &fakePeek{fake: f}, view: second})
	if b.page.heads.Key() != headKey(second.Heads[0]) {
		t.Errorf("the cursor stays at %s", b.page.heads.Key())
	}
	// Who is not, stays where he is.
	b.Keys("down", "down")
	was := b.page.heads.Key()
	b.page.Update(begunMsg{of: b.page, round: b.page.round, peek: &fakePeek{fake: f}, view: first})
	if b.page.heads.Key() != was {
		t.Errorf("the cursor goes from %s to %s", was, b.page.heads.Key())
	}
	// s stops and closes the peek; what was seen stays.
	b.Keys("s")
	if got := <-f.closed; got != "alerts-simulated" {
		t.Errorf("closed %q", got)
	}
	if text := b.Text(); !strings.Contains(text, "stopped") || !strings.Contains(text, "message 3/77") {
		t.Errorf("stopped:\n%s", text)
	}
	// A message of the old round changes nothing, and its peek is closed.
	b.Settle(b.page.Update(begunMsg{of: b.page, round: b.page.round - 1, peek: &fakePeek{fake: f, topic: "late"}, view: second}))
	if got := <-f.closed; got != "late" {
		t.Errorf("closed %q", got)
	}
	// While the page is out of view nothing is followed; it goes on as it was.
	b.Keys("s")
	b.page.Hide()
	<-f.closed
	b.Settle(b.page.Show())
	if len(f.asked) != 3 {
		t.Errorf("peeks: %v", f.asked)
	}
	// Another topic.
	b.Keys("t", "down", "enter")
	if f.asked[len(f.asked)-1] != "alerts-static" || b.page.Crumb() != "alerts-static" {
		t.Errorf("peeks: %v, crumb %q", f.asked, b.page.Crumb())
	}
	b.page.Filter("of no alert")
	if text := b.Text(); !strings.Contains(text, "no row holds of no alert") {
		t.Errorf("a filter:\n%s", text)
	}
}

// TestTerminals draws every view on every kind of terminal.
func TestTerminals(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{"list": nil, "record": {"down", "enter"}, "curve": {"enter", "l"}, "cutouts": {"enter", "c"}, "topics": {"t"}} {
		golden.Everywhere(t, name, func(theme kit.Theme) string {
			depth := picture.Shades
			if theme.Styles.ASCII {
				depth = picture.Letters
			}
			b := newBenchOf(t, theme, depth, world(t), 80, 20)
			b.Settle(b.page.Show())
			b.Keys(keys...)
			return b.page.View()
		})
	}
}

// TestBounded: whatever the size, the page is drawn within it.
func TestBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, world(t), 80, 20)
	b.Settle(b.page.Show())
	for range 2 {
		for _, s := range [][2]int{{1, 1}, {20, 5}, {79, 3}, {140, 34}, {139, 33}, {300, 90}, {80, 20}} {
			b.Size(s[0], s[1])
			for _, pane := range []string{"r", "l", "c"} {
				b.Keys(pane)
				b.Text()
			}
		}
		b.Keys("enter")
	}
	if len(b.page.Keys()) < 10 || b.page.Typing() || b.page.Name() != "Alerts" {
		t.Error("keys, typing or name")
	}
}

func BenchmarkFrame(b *testing.B) {
	for _, s := range sizes {
		for _, where := range []string{"500 listed anew", "one in full"} {
			b.Run(fmt.Sprintf("alerts, %s, %dx%d", where, s[0], s[1]+4), func(b *testing.B) {
				f := world(b)
				v := &f.views[0]
				for len(v.Heads) < 500 {
					h := v.Heads[len(v.Heads)%29]
					h.Offset += int64(1000 * len(v.Heads))
					v.Heads = append(v.Heads, h)
				}
				bench := newBench(b, f, s[0], s[1])
				bench.Settle(bench.page.Show())
				if where == "one in full" {
					bench.Keys("enter")
				}
				b.ResetTimer()
				for range b.N {
					// A view of 500 alerts came, and it is drawn.
					if where != "one in full" {
						bench.page.seen = *v
						bench.page.fill()
					}
					_ = bench.page.View()
				}
			})
		}
	}
}
