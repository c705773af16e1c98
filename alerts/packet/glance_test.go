package packet_test

import (
	"errors"
	"math"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
)

// TestGlance: of every schema version, what a glance sees is what decoding sees.
func TestGlance(t *testing.T) {
	t.Parallel()
	for _, v := range packet.Versions() {
		s, err := packet.Published(v)
		if err != nil {
			t.Fatal(err)
		}
		visit, err := packet.NewVisit(packet.VisitConfig{Schema: s, Alerts: 20, PacketBytes: 20_000, Visit: 2026060100012, MidpointMjdTai: 61192.25})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			body, err := visit.Body(i)
			if err != nil {
				t.Fatal(err)
			}
			alert, err := s.Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Glance(body)
			if err != nil {
				t.Fatal(err)
			}
			head, err := s.Head(body)
			if err != nil {
				t.Fatal(err)
			}
			source := alert["diaSource"].(map[string]any)
			number := func(names ...string) float64 {
				switch f := firstOf(source, names...).(type) {
				case float32:
					return float64(f)
				case float64:
					return f
				}
				return math.NaN()
			}
			band, _ := firstOf(source, "band", "filterName").(string)
			want := packet.Glance{
				Head: head, Visit: firstOf(source, "visit", "ccdVisitId").(int64), Band: band, RA: number("ra"), Dec: number("dec", "decl"),
				Flux: number("psfFlux", "psFlux"), FluxErr: number("psfFluxErr", "psFluxErr"), SNR: number("snr"),
			}
			if got != want {
				t.Fatalf("%s, alert %d: %+v, want %+v", v, i, got, want)
			}
		}
		if _, err := s.Glance([]byte{2, 4}); err == nil {
			t.Errorf("%s: a datum that is cut off is read", v)
		}
	}
}

func TestGlanceOfNothing(t *testing.T) {
	t.Parallel()
	s, err := packet.ParseSchema(`{"type":"record","name":"a","fields":[{"name":"b","type":"int"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	var bad *packet.SchemaError
	if _, err := s.Glance([]byte{2}); !errors.As(err, &bad) {
		t.Errorf("no alert: %v", err)
	}
	// Fields that are null, or of another type than they were, are unknown; the id
	// may stand behind the source.
	s, err = packet.ParseSchema(`{"type":"record","name":"a","fields":[{"name":"diaSource","type":{"type":"record","name":"s","fields":[
		{"name":"ra","type":["null","double"]},{"name":"midPointTai","type":"double"},{"name":"band","type":["string","null"]},{"name":"snr","type":"string"},{"name":"rest","type":"int"}]}},
		{"name":"alertId","type":"long"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	body, err := s.Encode(packet.Alert{"alertId": 7, "diaSource": map[string]any{"ra": nil, "midPointTai": 60000.0, "band": nil, "snr": "loud", "rest": 1}})
	if err == nil {
		g, err := s.Glance(body)
		if err != nil || g.ID != 7 || g.MidpointMjdTai != 60000 || g.Band != "" || !math.IsNaN(g.RA) || !math.IsNaN(g.SNR) || g.Visit != 0 {
			t.Errorf("%+v %v", g, err)
		}
	} else {
		t.Error(err)
	}
}

func BenchmarkGlance(b *testing.B) {
	v, _ := packet.ParseVersion("11.0")
	s, err := packet.Published(v)
	if err != nil {
		b.Fatal(err)
	}
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: s, Alerts: 1, MidpointMjdTai: 61192.25})
	if err != nil {
		b.Fatal(err)
	}
	body, err := visit.Body(0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Glance(body); err != nil {
			b.Fatal(err)
		}
	}
}
