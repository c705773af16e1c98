package alerts

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/render/style"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/page"
)

var update = flag.Bool("update", false, "write the golden files")

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

// bench drives a page: what commands give is handed back, until all that is left
// waits for something that does not come.
type bench struct {
	t    testing.TB
	page *Page
	fake *fake
	msgs chan tea.Msg
	out  int // commands under way
}

func newBench(t testing.TB, f *fake, width, height int) *bench {
	t.Helper()
	f.t, f.blocked, f.closed = t, make(chan struct{}), make(chan string, 16)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	theme := kit.NewTheme(style.New(&bytes.Buffer{}, func(string) string { return "" }), "xterm")
	b := &bench{t: t, fake: f, page: New(ctx, theme, picture.Shades, f), msgs: make(chan tea.Msg, 64)}
	b.page.SetSize(width, height)
	t.Cleanup(b.page.Hide)
	return b
}

func (b *bench) start(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	b.out++
	msgs := b.msgs
	go func() { msgs <- cmd() }()
}

// settle runs until nothing moves.
func (b *bench) settle(cmd tea.Cmd) {
	b.t.Helper()
	b.start(cmd)
	patience := time.After(20 * time.Second)
	for b.out > 0 {
		select {
		case <-b.fake.blocked:
			b.out--
		case msg := <-b.msgs:
			b.out--
			if batch, ok := msg.(tea.BatchMsg); ok {
				for _, c := range batch {
					b.start(c)
				}
			} else if msg != nil {
				b.start(b.page.Update(msg))
			}
		case <-patience:
			b.t.Fatal("a command does not end")
		}
	}
	// What was blocked ends with its context, and its message stays where nobody reads.
	b.msgs = make(chan tea.Msg, 64)
}

func (b *bench) keys(names ...string) {
	b.t.Helper()
	for _, n := range names {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(n)}
		switch n {
		case "enter":
			msg = tea.KeyMsg{Type: tea.KeyEnter}
		case "down":
			msg = tea.KeyMsg{Type: tea.KeyDown}
		case "left":
			msg = tea.KeyMsg{Type: tea.KeyLeft}
		case "right":
			msg = tea.KeyMsg{Type: tea.KeyRight}
		}
		b.settle(b.page.Update(msg))
	}
}

// text is the frame, of exactly the page's size.
func (b *bench) text() string {
	b.t.Helper()
	lines := strings.Split(b.page.View(), "\n")
	if len(lines) != b.page.height {
		b.t.Errorf("%d lines of %d", len(lines), b.page.height)
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w != b.page.width {
			b.t.Errorf("line %d has %d cells of %d: %q", i, w, b.page.width, l)
		}
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (b *bench) golden(name string) {
	b.t.Helper()
	got := b.text()
	path := filepath.Join("testdata", fmt.Sprintf("%s-%dx%d.txt", name, b.page.width, b.page.height))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	if got != string(want) {
		b.t.Errorf("%s: go test ./tui/alerts -update writes\n%s\nwant\n%s", path, got, want)
	}
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
		b.settle(b.page.Show())
		b.golden("list")
		b.keys("down", "enter")
		if c := b.page.Crumb(); !strings.HasPrefix(c, "alerts-simulated › alert ") {
			t.Errorf("crumb %q", c)
		}
		b.golden("record")
		b.keys("down", "down", "enter") // of diaSource: nothing to unfold
		b.keys("l")
		b.golden("curve")
		b.keys("c")
		b.golden("cutouts")
		b.keys("r", "t")
		b.golden("topics")
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	const w, h = 80, 20
	down := fault.New(fault.StepFailed, "the brokers cannot be reached", "dial tcp 127.0.0.10:9092: connect: connection refused", "alertlab status   # alertlab up brings back what is missing")

	empty := newBench(t, &fake{topics: []string{"alerts-simulated"}, views: []record.View{{Number: 1}}}, w, h)
	empty.golden("loading")
	empty.settle(empty.page.Show())
	empty.golden("empty")

	failed := newBench(t, &fake{topics: []string{"alerts-simulated"}, peekErr: down}, w, h)
	failed.settle(failed.page.Show())
	failed.golden("error")
	// s tries again.
	failed.fake.peekErr, failed.fake.views = nil, []record.View{{Number: 1, Seen: 1}}
	failed.keys("s")
	if text := failed.text(); strings.Contains(text, "cannot be reached") || !strings.Contains(text, "following") {
		t.Errorf("after another try:\n%s", text)
	}

	none := newBench(t, &fake{}, w, h)
	none.settle(none.page.Show())
	if text := none.text(); !strings.Contains(text, "there is no topic to be seen") {
		t.Errorf("no topic:\n%s", text)
	}

	topics := newBench(t, &fake{topicErr: down}, w, h)
	topics.settle(topics.page.Show())
	if text := topics.text(); !strings.Contains(text, "why:  dial tcp") || !strings.Contains(text, "next: alertlab status") {
		t.Errorf("no topics:\n%s", text)
	}

	// What ends by itself says why, with what was seen of it.
	f := world(t)
	f.views[0].Ended, f.views[0].Err = true, errors.New("user antares: reading topic alerts-simulated is refused")
	ended := newBench(t, f, w, h)
	ended.settle(ended.page.Show())
	if text := ended.text(); !strings.Contains(text, "is refused") || !strings.Contains(text, "stopped") || !strings.Contains(text, "message 3/77") {
		t.Errorf("ended:\n%s", text)
	}
	if got := <-f.closed; got != "alerts-simulated" {
		t.Errorf("closed %q", got)
	}

	f = world(t)
	f.openErr = fault.New(fault.StepFailed, "message 3/77 is no alert", f.views[0].Heads[2].Problem, "alertlab console messages alerts-simulated --partition 3 --offset 77 --limit 1")
	unread := newBench(t, f, w, h)
	unread.settle(unread.page.Show())
	unread.keys("down", "down", "enter")
	unread.golden("unread")
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
		b.settle(b.page.Show())
		b.keys("enter")
		f.archived = a
		b.keys("a")
		if !strings.Contains(b.text(), want) {
			t.Errorf("%v: no %q in\n%s", a, want, b.text())
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	b := newBench(t, world(t), 80, 20)
	b.settle(b.page.Show())
	b.keys("down", "enter")
	rows := func() int { _, all := b.page.tree.Len(); return all }
	if rows() != 12+98 {
		t.Fatalf("%d rows with diaSource unfolded", rows())
	}
	b.keys("left")
	if rows() != 12 || b.page.tree.Key() != "diaSource" {
		t.Errorf("folded: %d rows, at %s", rows(), b.page.tree.Key())
	}
	b.keys("right", "down", "left") // to what the field is in
	if b.page.tree.Key() != "diaSource" {
		t.Errorf("at %s", b.page.tree.Key())
	}
	b.keys("x")
	if rows() < 12+98+82 {
		t.Errorf("%d rows with all records unfolded", rows())
	}
	b.keys("x")
	if rows() != 12 {
		t.Errorf("%d rows with all folded", rows())
	}
	// A history is unfolded item by item.
	b.page.tree.Select("prvDiaSources")
	b.keys("enter", "down")
	if b.page.tree.Key() != "prvDiaSources[0]" {
		t.Fatalf("at %s", b.page.tree.Key())
	}
	b.keys("enter", "down", "down")
	if b.page.tree.Key() != "prvDiaSources[0].visit" {
		t.Errorf("at %s", b.page.tree.Key())
	}
	// A search goes through records that are folded, and through the newest item of
	// a history.
	b.page.Filter("PSFFLUXERR")
	text := b.text()
	if !strings.Contains(text, "diaSource.psfFluxErr") || !strings.Contains(text, "].psfFluxErr") || strings.Contains(text, "prvDiaSources[0].psfFluxErr") {
		t.Errorf("a search:\n%s", text)
	}
	b.page.Filter("nothing of this name")
	if text := b.text(); !strings.Contains(text, "no field's name holds") {
		t.Errorf("a search for nothing:\n%s", text)
	}
	b.page.Back()
	if text := b.text(); !strings.Contains(text, "30 seen") && !strings.Contains(text, "following") {
		t.Errorf("back in the list:\n%s", text)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	f := world(t)
	first := f.views[0]
	b := newBench(t, f, 80, 20)
	b.settle(b.page.Show())
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
	b.keys("down", "down")
	was := b.page.heads.Key()
	b.page.Update(begunMsg{of: b.page, round: b.page.round, peek: &fakePeek{fake: f}, view: first})
	if b.page.heads.Key() != was {
		t.Errorf("the cursor goes from %s to %s", was, b.page.heads.Key())
	}
	// s stops and closes the peek; what was seen stays.
	b.settle(b.page.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("s")}))
	if got := <-f.closed; got != "alerts-simulated" {
		t.Errorf("closed %q", got)
	}
	if text := b.text(); !strings.Contains(text, "stopped") || !strings.Contains(text, "message 3/77") {
		t.Errorf("stopped:\n%s", text)
	}
	// A message of the old round changes nothing, and its peek is closed.
	b.settle(b.page.Update(begunMsg{of: b.page, round: b.page.round - 1, peek: &fakePeek{fake: f, topic: "late"}, view: second}))
	if got := <-f.closed; got != "late" {
		t.Errorf("closed %q", got)
	}
	// While the page is out of view nothing is followed; it goes on as it was.
	b.keys("s")
	b.page.Hide()
	<-f.closed
	b.settle(b.page.Show())
	if len(f.asked) != 3 {
		t.Errorf("peeks: %v", f.asked)
	}
	// Another topic.
	b.keys("t", "down", "enter")
	if f.asked[len(f.asked)-1] != "alerts-static" || b.page.Crumb() != "alerts-static" {
		t.Errorf("peeks: %v, crumb %q", f.asked, b.page.Crumb())
	}
	b.page.Filter("of no alert")
	if text := b.text(); !strings.Contains(text, "no row holds of no alert") {
		t.Errorf("a filter:\n%s", text)
	}
}

func TestWithoutColourAndSigns(t *testing.T) {
	t.Parallel()
	f := world(t)
	b := newBench(t, f, 80, 20)
	b.page.theme = kit.NewTheme(style.New(&bytes.Buffer{}, func(string) string { return "" }), "linux")
	b.settle(b.page.Show())
	b.keys("enter", "l")
	for _, r := range b.text() {
		if r > 126 && r != '±' {
			t.Fatalf("%q on a terminal without such signs:\n%s", r, b.text())
		}
	}
}

// TestBounded: whatever the size, the page is drawn within it.
func TestBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, world(t), 80, 20)
	b.settle(b.page.Show())
	for range 2 {
		for _, s := range [][2]int{{1, 1}, {20, 5}, {79, 3}, {140, 34}, {139, 33}, {300, 90}, {80, 20}} {
			b.page.SetSize(s[0], s[1])
			for _, pane := range []string{"r", "l", "c"} {
				b.keys(pane)
				b.text()
			}
		}
		b.keys("enter")
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
				bench.settle(bench.page.Show())
				if where == "one in full" {
					bench.keys("enter")
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
