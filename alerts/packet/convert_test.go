package packet_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
)

func converter(t testing.TB, from, to *packet.Schema) *packet.Converter {
	t.Helper()
	c, err := packet.NewConverter(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestConvertEveryPair takes a visit of each version to each other one.
func TestConvertEveryPair(t *testing.T) {
	t.Parallel()
	const n = 12 // the last one of a solar-system object
	eachVersion(t, func(t *testing.T, from *packet.Schema) {
		v := visit(t, packet.VisitConfig{Schema: from, Alerts: n, PacketBytes: 30_000, Seed: 3})
		bodies := make([][]byte, n)
		for i := range bodies {
			bodies[i] = body(t, v, i)
		}
		bodies = append(bodies[:2], bodies[n-1])
		for _, version := range packet.Versions() {
			to := published(t, version.String())
			c := converter(t, from, to)
			for i, b := range bodies {
				got, err := c.Convert(b)
				if err != nil {
					t.Fatalf("to %s, alert %d: %v", version, i, err)
				}
				if version == from.Version() && !bytes.Equal(got, b) {
					t.Fatalf("alert %d is another one in its own schema", i)
				}
				sameAlert(t, from, to, b, got)
			}
			losses := c.Losses()
			if version == from.Version() && len(losses) > 0 {
				t.Errorf("its own schema lost %v", losses)
			}
			for _, l := range losses {
				if l.Alerts < 1 || l.Alerts > 3 || l.Dropped != (l.Default == "") || l.Field == "" {
					t.Errorf("to %s: %+v", version, l)
				}
			}
		}
	})
}

// sameAlert checks what every version has: the ids, the time, where, how bright.
func sameAlert(t *testing.T, from, to *packet.Schema, before, after []byte) {
	t.Helper()
	a, err := from.Decode(before)
	if err != nil {
		t.Fatal(err)
	}
	b, err := to.Decode(after)
	if err != nil {
		t.Fatalf("%v to %v: %v", from.Version(), to.Version(), err)
	}
	if x, y := wantHead(t, from, before, a), wantHead(t, to, after, b); x != y {
		t.Fatalf("%v to %v: %+v became %+v", from.Version(), to.Version(), x, y)
	}
	one, two := a["diaSource"].(map[string]any), b["diaSource"].(map[string]any)
	for _, names := range [][2]string{{"diaSourceId"}, {"diaObjectId"}, {"ssObjectId"}, {"ra"}, {"decl", "dec"}, {"x"}, {"snr"}, {"psFlux", "psfFlux"}, {"filterName", "band"}, {"apFluxErr"}, {"dipLength", "dipoleLength"}} {
		if x, y := under(one, names), under(two, names); !reflect.DeepEqual(x, y) {
			t.Errorf("%v to %v: diaSource.%s: %v became %v", from.Version(), to.Version(), names[0], x, y)
		}
	}
	for _, name := range []string{"prvDiaSources", "prvDiaForcedSources"} {
		x, _ := a[name].([]any)
		y, _ := b[name].([]any)
		if len(x) != len(y) {
			t.Errorf("%v to %v: %d %s became %d", from.Version(), to.Version(), len(x), name, len(y))
			continue
		}
		for i := range x {
			for _, names := range [][2]string{{"diaForcedSourceId"}, {"diaSourceId"}, {"psFlux", "psfFlux"}, {"midPointTai", "midpointMjdTai"}} {
				if p, q := under(x[i].(map[string]any), names), under(y[i].(map[string]any), names); !reflect.DeepEqual(p, q) {
					t.Errorf("%v to %v: %s[%d].%s: %v became %v", from.Version(), to.Version(), name, i, names[0], p, q)
				}
			}
		}
	}
	if !reflect.DeepEqual(a["cutoutDifference"], b["cutoutDifference"]) {
		t.Errorf("%v to %v: the stamp changed", from.Version(), to.Version())
	}
	if x, y := a["diaObject"], b["diaObject"]; (x == nil) != (y == nil) {
		t.Errorf("%v to %v: a diaObject came or went", from.Version(), to.Version())
	} else if x != nil && x.(map[string]any)["diaObjectId"] != y.(map[string]any)["diaObjectId"] {
		t.Errorf("%v to %v: the diaObjectId changed", from.Version(), to.Version())
	}
}

// under gives the first of a record's names that it has.
func under(record map[string]any, names [2]string) any {
	for _, n := range names {
		if v, ok := record[n]; ok {
			return v
		}
	}
	return nil
}

func TestLossesAreNamed(t *testing.T) {
	t.Parallel()
	lost := func(from, to string) (dropped, defaulted []string) {
		v := visit(t, packet.VisitConfig{Schema: published(t, from), Alerts: 32, PacketBytes: 40_000, Seed: 5})
		c := converter(t, published(t, from), published(t, to))
		for i := range 32 {
			if _, err := c.Convert(body(t, v, i)); err != nil {
				t.Fatal(err)
			}
		}
		for _, l := range c.Losses() {
			if l.Dropped {
				dropped = append(dropped, l.Field)
			} else {
				defaulted = append(defaulted, l.Field+"="+l.Default)
			}
		}
		return dropped, defaulted
	}
	for _, c := range []struct {
		from, to           string
		dropped, defaulted []string // among others
		atMost             int      // of all; 0 for any number
	}{
		// Nullable fields that became required, which the generator fills.
		{from: "10.0", to: "11.0", atMost: 10},
		{from: "11.0", to: "10.0"},
		{from: "7.2", to: "7.3", defaulted: []string{"diaSource.is_negative=null", "prvDiaSources[].is_negative=null"}, atMost: 2},
		{from: "7.3", to: "7.2", dropped: []string{"diaSource.is_negative", "prvDiaSources[].is_negative"}, atMost: 2},
		{from: "6.1", to: "6.0", dropped: []string{"cutoutScience"}, atMost: 1},
		{from: "6.0", to: "6.1", defaulted: []string{"cutoutScience=null"}, atMost: 1},
		{from: "4.0", to: "5.0", dropped: []string{"diaSource.spuriousness"}, defaulted: []string{"diaSource.reliability=null"}, atMost: 4},
		{from: "4.0", to: "10.0", dropped: []string{"diaSource.ccdVisitId", "diaSource.flags"}, defaulted: []string{"diaSource.visit=0", "diaSource.detector=0", "observation_reason=null"}},
		{from: "9.0", to: "10.0", defaulted: []string{"mpc_orbits.id=0", "ssSource.ephRate=null", "mpc_orbits.a1=null"}},
	} {
		dropped, defaulted := lost(c.from, c.to)
		for _, f := range c.dropped {
			if !slices.Contains(dropped, f) {
				t.Errorf("%s to %s: %s is not among the dropped %v", c.from, c.to, f, dropped)
			}
		}
		for _, f := range c.defaulted {
			if !slices.Contains(defaulted, f) {
				t.Errorf("%s to %s: %s is not among the defaulted %v", c.from, c.to, f, defaulted)
			}
		}
		if n := len(dropped) + len(defaulted); c.atMost > 0 && n > c.atMost || c.from == "11.0" && n > 0 {
			t.Errorf("%s to %s: %d losses: %v, %v", c.from, c.to, n, dropped, defaulted)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	t.Parallel()
	foreign, err := packet.ParseSchema(`{"type":"record","name":"star","fields":[{"name":"name","type":"string"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	var refused *packet.ConvertError
	if _, err := packet.NewConverter(foreign, published(t, "11.0")); !errors.As(err, &refused) || !strings.Contains(err.Error(), "alerts of star cannot be written as lsst.v11_0.alert: nothing in them is diaSourceId") {
		t.Errorf("a star became an alert: %v", err)
	}
	s := published(t, "7.4")
	c := converter(t, s, published(t, "4.0"))
	whole := body(t, visit(t, packet.VisitConfig{Schema: s, Alerts: 1, PacketBytes: 30_000}), 0)
	var datum *packet.DatumError
	for _, bad := range [][]byte{nil, whole[:len(whole)/2], append(slices.Clone(whole), 0)} {
		if _, err := c.Convert(bad); !errors.As(err, &datum) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	if losses := c.Losses(); len(losses) != 0 {
		t.Errorf("nothing was converted, and lost: %v", losses)
	}
}

// TestConvertSamples takes the observatory's own samples to every version and back to
// the one that they came from.
func TestConvertSamples(t *testing.T) {
	t.Parallel()
	samples := os.Getenv("ALERTLAB_SAMPLES")
	if samples == "" {
		t.Skip("ALERTLAB_SAMPLES names no folder with sample-alert-v4.0.avro, sample-alert-v7.4.avro and sample-alert-v10.0.avro")
	}
	for _, version := range []string{"4.0", "7.4", "10.0"} {
		f, err := os.Open(filepath.Join(samples, "sample-alert-v"+version+".avro"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := packet.NewContainerReader(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		before, err := r.Schema().Head(b)
		if err != nil || before.ID != 1231321321 {
			t.Fatalf("%s: %+v, %v", version, before, err)
		}
		for _, v := range packet.Versions() {
			there := converter(t, r.Schema(), published(t, v.String()))
			back := converter(t, published(t, v.String()), r.Schema())
			other, err := there.Convert(b)
			if err != nil {
				t.Errorf("%s to %s: %v", version, v, err)
				continue
			}
			head, err := published(t, v.String()).Head(other)
			if err != nil || head != before {
				t.Errorf("%s to %s: %+v became %+v, %v", version, v, before, head, err)
			}
			again, err := back.Convert(other)
			if err != nil {
				t.Errorf("%s to %s and back: %v", version, v, err)
				continue
			}
			if head, err := r.Schema().Head(again); err != nil || head != before {
				t.Errorf("%s to %s and back: %+v, %v", version, v, head, err)
			}
			if lost := len(there.Losses()) + len(back.Losses()); lost == 0 && !bytes.Equal(again, b) {
				t.Errorf("%s to %s and back: nothing was lost, and it is another alert", version, v)
			} else if v.String() == version && lost > 0 {
				t.Errorf("%s to itself lost %v", version, there.Losses())
			}
		}
	}
}

func FuzzConvert(f *testing.F) {
	from, to := published(f, "4.0"), published(f, "11.0")
	c := converter(f, from, to)
	v := visit(f, packet.VisitConfig{Schema: from, Alerts: 2, PacketBytes: 30_000})
	f.Add(body(f, v, 0))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := c.Convert(b)
		if _, bad := from.Decode(b); (bad == nil) != (err == nil) {
			t.Fatalf("decoding says %v, converting %v", bad, err)
		}
		if err != nil {
			return
		}
		if _, err := to.Decode(out); err != nil {
			t.Fatal(err)
		}
		x, err := from.Head(b)
		if err != nil {
			t.Fatal(err)
		}
		y, err := to.Head(out)
		if err != nil || x.ID != y.ID || math.Float64bits(x.MidpointMjdTai) != math.Float64bits(y.MidpointMjdTai) {
			t.Fatalf("%+v became %+v, %v", x, y, err)
		}
	})
}

func BenchmarkConvert(b *testing.B) {
	for _, pair := range [][2]string{{"4.0", "10.0"}, {"10.0", "11.0"}} {
		b.Run(fmt.Sprintf("%s-to-%s", pair[0], pair[1]), func(b *testing.B) {
			from := published(b, pair[0])
			c := converter(b, from, published(b, pair[1]))
			v := visit(b, packet.VisitConfig{Schema: from, Alerts: 1})
			datum := body(b, v, 0)
			b.SetBytes(int64(len(datum)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Convert(datum); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
