package simulator

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/packet"
)

// writeFile writes a container of n alerts of one visit and gives its path and the
// alerts as they are on the wire.
func writeFile(t *testing.T, version string, n int) (path string, wire []string) {
	t.Helper()
	schema := published(t, version)
	path = filepath.Join(t.TempDir(), "visit.avro")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := packet.NewContainerWriter(f, schema, "deflate")
	if err != nil {
		t.Fatal(err)
	}
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: schema, Alerts: n, PacketBytes: 30_000, Seed: 4, Visit: 1, MidpointMjdTai: midpoint})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		body, err := visit.Body(i)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(body); err != nil {
			t.Fatal(err)
		}
		wire = append(wire, string(packet.Frame(uint32(schema.ID()), body)))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path, wire
}

// fileSource closes its file after the visit.
type fileSource struct {
	Source
	io.Closer
}

func input(path string) Input {
	return func() (Source, *packet.Schema, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		r, err := packet.NewContainerReader(f)
		if err != nil {
			f.Close()
			return nil, nil, err
		}
		return fileSource{Container(r), f}, r.Schema(), nil
	}
}

// A file is played from its beginning every time, and the reservoir stays what it is.
func TestPlayAFileAgainAndAgain(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 3)
	path, wire := writeFile(t, "7.4", 9)
	var opened atomic.Int32
	p := c.play(t, 0, func(p *Player) {
		open := input(path)
		p.cfg.Source, p.cfg.Input = path, func() (Source, *packet.Schema, error) { opened.Add(1); return open() }
	})
	for n := range 3 {
		if cycle := p.cycle(t); cycle.N != n || cycle.Alerts != 9 || cycle.Err != nil {
			t.Fatalf("%+v", cycle)
		}
	}
	p.end()
	got := map[string]int{}
	for _, v := range values(c.read(t, simulated)) {
		got[v]++
	}
	if len(got) != 9 {
		t.Errorf("%d different alerts came", len(got))
	}
	for i, w := range wire {
		if got[w] < 3 {
			t.Errorf("alert %d came %d times in three visits", i, got[w])
		}
	}
	if left := values(c.read(t, reservoir)); len(left) != 0 {
		t.Errorf("%d records are in the reservoir", len(left))
	}
	if n := opened.Load(); n < 3 {
		t.Errorf("the file was opened %d times", n)
	}
}

// A file that cannot be read ends the play before the first visit; one that breaks
// later breaks that visit.
func TestPlayABrokenFile(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, 1)
	path, _ := writeFile(t, "11.0", 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "absent.avro")
	for name, open := range map[string]Input{
		"absent": input(absent),
		"empty":  func() (Source, *packet.Schema, error) { return &listSource{}, published(t, "11.0"), nil },
		"cut": func() (Source, *packet.Schema, error) {
			r, err := packet.NewContainerReader(bytes.NewReader(whole[:20_000]))
			if err != nil {
				return nil, nil, err
			}
			return Container(r), r.Schema(), nil
		},
	} {
		p := c.play(t, time.Hour, func(p *Player) { p.cfg.Source, p.cfg.Input, p.cfg.Observe = name, open, nil })
		acked, err := p.wait()
		if err == nil || acked != 0 || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %d alerts, %v", name, acked, err)
		}
	}
	if got := values(c.read(t, simulated)); len(got) != 0 {
		t.Errorf("%d alerts were played of files that cannot be read", len(got))
	}

	var broken atomic.Bool
	p := c.play(t, 0, func(p *Player) {
		open := input(path)
		p.cfg.Input = func() (Source, *packet.Schema, error) {
			if broken.Load() {
				return nil, nil, os.ErrNotExist
			}
			return open()
		}
		p.cfg.Observe = func(cycle Cycle) { broken.Store(true); seen(t, cycle) }
	})
	p.until(t, func(s Status) bool { return s.Visits >= 3 })
	p.end()
}

// seen checks that a visit either is whole or says why not.
func seen(t *testing.T, c Cycle) {
	if (c.Alerts == 3) != (c.Err == nil) {
		t.Errorf("%+v", c)
	}
}

// listSource holds no alerts.
type listSource struct{}

func (*listSource) Next(context.Context) ([]byte, error) { return nil, io.EOF }
