package packet_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
)

// everyType has each Avro type once, alone and in unions.
const everyType = `{"type":"record","name":"t.alert","fields":[
	{"name":"int","type":"int"},{"name":"long","type":["null","long"]},{"name":"float","type":"float"},{"name":"double","type":["double","null"]},
	{"name":"flag","type":"boolean"},{"name":"text","type":["null","string"]},{"name":"bytes","type":["null","bytes"]},
	{"name":"kind","type":["null",{"type":"enum","name":"kind","symbols":["A","B"]}]},
	{"name":"inner","type":["null",{"type":"record","name":"inner","fields":[{"name":"n","type":["null","int"]}]}]},
	{"name":"inners","type":["null",{"type":"array","items":"inner"}]},{"name":"maybes","type":{"type":"array","items":["null","inner"]}},
	{"name":"map","type":["null",{"type":"map","values":"long"}]}]}`

func parse(t testing.TB, text string) *packet.Schema {
	t.Helper()
	s, err := packet.ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEncodeDecode(t *testing.T) {
	t.Parallel()
	s := parse(t, everyType)
	full := packet.Alert{
		"int": -5, "long": int64(math.MinInt64), "float": float32(1.5), "double": 2.25, "flag": true, "text": "å", "bytes": []byte{0, 255},
		"kind": "B", "inner": map[string]any{"n": 7}, "inners": []any{map[string]any{"n": nil}, map[string]any{"n": 1}},
		"maybes": []any{nil, map[string]any{"n": 3}}, "map": map[string]any{"k": int64(9)},
	}
	nulls := packet.Alert{
		"int": 0, "long": nil, "float": float32(0), "double": nil, "flag": false, "text": nil, "bytes": nil, "kind": nil,
		"inner": nil, "inners": nil, "maybes": []any{}, "map": nil,
	}
	for _, c := range []struct {
		name  string
		in    packet.Alert
		out   packet.Alert
		bytes string
	}{
		{"full", full, full, "\x09" + "\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + "\x00\x00\xc0\x3f" + "\x00\x00\x00\x00\x00\x00\x00\x02\x40" +
			"\x01" + "\x02\x04\xc3\xa5" + "\x02\x04\x00\xff" + "\x02\x02" + "\x02\x02\x0e" +
			"\x02\x04\x00\x02\x02\x00" + "\x04\x00\x02\x02\x06\x00" + "\x02\x02\x02k\x12\x00"},
		{"nulls", nulls, nulls, "\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"absent is null, other Go types, unknown fields", packet.Alert{"int": uint8(0), "float": 0.0, "flag": false, "maybes": []map[string]any{}, "new": 1}, nulls,
			"\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, err := s.Encode(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if string(b) != c.bytes {
				t.Errorf("bytes\n%q, want\n%q", b, c.bytes)
			}
			got, err := s.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.out) {
				t.Errorf("decoded\n%#v, want\n%#v", got, c.out)
			}
		})
	}
}

func TestEncodeWritesOneBlock(t *testing.T) {
	t.Parallel()
	s := parse(t, `{"type":"record","name":"a","fields":[{"name":"list","type":{"type":"array","items":"int"}}]}`)
	list := make([]any, 300) // more than the Avro library's block of 100
	for i := range list {
		list[i] = 1
	}
	b, err := s.Encode(packet.Alert{"list": list})
	if want := "\xd8\x04" + strings.Repeat("\x02", 300) + "\x00"; err != nil || string(b) != want {
		t.Errorf("%q, %v", b, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	s := parse(t, everyType)
	for _, c := range []struct {
		path  string
		spoil func(packet.Alert)
	}{
		{"int", func(a packet.Alert) { delete(a, "int") }},
		{"int", func(a packet.Alert) { a["int"] = math.MaxInt32 + 1 }},
		{"int", func(a packet.Alert) { a["int"] = 1.5 }},
		{"long", func(a packet.Alert) { a["long"] = uint64(math.MaxUint64) }},
		{"double", func(a packet.Alert) { a["double"] = 1 }},
		{"text", func(a packet.Alert) { a["text"] = []byte("no") }},
		{"inner", func(a packet.Alert) { a["inner"] = "no" }},
		{"inner.n", func(a packet.Alert) { a["inner"] = map[string]any{"n": "no"} }},
		{"inners", func(a packet.Alert) { a["inners"] = map[string]any{} }},
		{"inners[1].n", func(a packet.Alert) { a["inners"] = []any{map[string]any{}, map[string]any{"n": true}} }},
		{"maybes", func(a packet.Alert) { a["maybes"] = nil }},
		{"map.k", func(a packet.Alert) { a["map"] = map[string]any{"k": "no"} }},
	} {
		a := packet.Alert{"int": 1, "float": float32(1), "flag": true, "maybes": []any{}}
		c.spoil(a)
		_, err := s.Encode(a)
		var bad *packet.ValueError
		if !errors.As(err, &bad) || bad.Path != c.path {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	_, err := s.Encode(packet.Alert{"int": 1, "float": float32(1), "flag": true, "maybes": []any{}, "kind": "C"})
	var bad *packet.ValueError
	if !errors.As(err, &bad) {
		t.Errorf("an unknown symbol: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	s := published(t, "11.0")
	v := visit(t, packet.VisitConfig{Schema: s, Alerts: 1, PacketBytes: 4000})
	whole := body(t, v, 0)
	for n := range whole {
		_, err := s.Decode(whole[:n])
		var datum *packet.DatumError
		if !errors.As(err, &datum) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(whole), err)
		}
	}
	_, err := s.Decode(append(bytes.Clone(whole), 0))
	var datum *packet.DatumError
	if !errors.As(err, &datum) || datum.Offset != len(whole) {
		t.Errorf("a byte too many: %v", err)
	}
	// The older schema is shorter by names, but not compatible in bytes.
	if _, err := published(t, "10.0").Decode(whole); err == nil {
		t.Error("schema 10.0 reads what 11.0 wrote")
	}

	all := parse(t, everyType)
	good := "\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct{ name, body, path string }{
		{"int of 33 bits", "\x80\x80\x80\x80\x20" + good[1:], "int"},
		{"long of 65 bits", "\x00\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + good[2:], "long"},
		{"boolean of 2", good[:7] + "\x02" + good[8:], "flag"},
		{"branch 2", good[:8] + "\x04" + good[9:], "text"},
		{"negative branch", good[:8] + "\x01" + good[9:], "text"},
		{"string of -1", good[:8] + "\x02\x01" + good[9:], "text"},
		{"bytes of 2^62", good[:9] + "\x02\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + good[10:], "bytes"},
		{"symbol 2", good[:10] + "\x02\x04" + good[11:], "kind"},
		{"array of 2^62", good[:12] + "\x02\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + good[13:], "inners"},
		{"array of -2^63", good[:12] + "\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00" + good[13:], "inners"},
		{"wrong block size", good[:12] + "\x02\x01\x08\x00\x00" + good[13:], "inners"},
	} {
		_, err := all.Decode([]byte(c.body))
		var datum *packet.DatumError
		if !errors.As(err, &datum) || datum.Path != c.path {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// A block with its size in bytes, as other writers make it, is read too.
	if a, err := all.Decode([]byte(good[:12] + "\x02\x03\x04\x00\x00\x00" + good[13:])); err != nil || len(a["inners"].([]any)) != 2 {
		t.Errorf("a block with a size: %v, %v", a, err)
	}
}

func TestHeadNeedsOnlyWhatItReads(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.0", "11.0"} {
		s := published(t, version)
		v := visit(t, packet.VisitConfig{Schema: s, Alerts: 2})
		b := body(t, v, 1)
		want, err := s.Head(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Head(b[:1500]); err != nil || got != want {
			t.Errorf("%s: the first bytes say %v, %v, all say %v", version, got, err, want)
		}
		_, err = s.Head(b[:60])
		var datum *packet.DatumError
		if !errors.As(err, &datum) || !strings.HasPrefix(datum.Path, "diaSource") {
			t.Errorf("%s: cut in the source: %v", version, err)
		}
	}
	_, err := parse(t, everyType).Head([]byte{0})
	var schemaErr *packet.SchemaError
	if !errors.As(err, &schemaErr) {
		t.Errorf("a schema without a head: %v", err)
	}
	// Fields in another order than any published version has them.
	turned := parse(t, `{"type":"record","name":"a","fields":[{"name":"diaSource","type":{"type":"record","name":"s","fields":[
		{"name":"n","type":["null","string"]},{"name":"midpointMjdTai","type":"double"},{"name":"x","type":"int"}]}},
		{"name":"note","type":"string"},{"name":"diaSourceId","type":"long"}]}`)
	b, err := turned.Encode(packet.Alert{"diaSource": map[string]any{"n": "n", "midpointMjdTai": 61000.5, "x": 300}, "note": "hello", "diaSourceId": 77})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := turned.Head(b); err != nil || h != (packet.Head{ID: 77, MidpointMjdTai: 61000.5}) {
		t.Errorf("turned around: %v, %v", h, err)
	}
}

// FuzzDecode: whatever the bytes, decoding gives an alert that encodes, or a
// typed error, and Head never contradicts Decode.
func FuzzDecode(f *testing.F) {
	schemas := []*packet.Schema{published(f, "7.4"), published(f, "11.0"), parse(f, everyType)}
	for i, s := range schemas[:2] {
		v := visit(f, packet.VisitConfig{Schema: s, Alerts: 12, PacketBytes: 3000})
		f.Add(uint8(i), body(f, v, 0))
		f.Add(uint8(i), body(f, v, 11))
	}
	f.Add(uint8(2), []byte("\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x02\x03\x04\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		s := schemas[int(which)%len(schemas)]
		a, err := s.Decode(b)
		var datum *packet.DatumError
		if err != nil && !errors.As(err, &datum) {
			t.Fatalf("%T: %v", err, err)
		}
		if err != nil {
			_, _ = s.Head(b)
			return
		}
		again, err := s.Encode(a)
		if err != nil {
			t.Fatal(err)
		}
		// Other bytes are fine (padded numbers, blocks), another alert is not.
		if back, err := s.Decode(again); err != nil || len(again) > len(b)+binarySlack || len(back) != len(a) {
			t.Fatalf("%d bytes came back as %d: %v", len(b), len(again), err)
		}
		if _, has := a["diaSource"]; has {
			wantHeadFuzz(t, s, b, a)
		}
	})
}

// binarySlack: joining two blocks can make their count a byte longer.
const binarySlack = 16

func wantHeadFuzz(t *testing.T, s *packet.Schema, b []byte, a packet.Alert) {
	h, err := s.Head(b)
	if err != nil {
		t.Fatal(err)
	}
	mjd := a["diaSource"].(map[string]any)["midpointMjdTai"].(float64)
	if firstOf(a, "alertId", "diaSourceId") != h.ID || math.Float64bits(mjd) != math.Float64bits(h.MidpointMjdTai) {
		t.Fatalf("head %v contradicts the alert", h)
	}
}

func FuzzParseSchema(f *testing.F) {
	f.Add(everyType)
	f.Add(published(f, "8.0").Canonical())
	f.Add(`{"type":"record","name":"a","fields":[{"name":"f","type":{"type":{"type":"array","items":"int"}}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := packet.ParseSchema(text)
		if err != nil {
			var schemaErr *packet.SchemaError
			if !errors.As(err, &schemaErr) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := packet.ParseSchema(s.Canonical())
		if err != nil || again.Canonical() != s.Canonical() {
			t.Fatalf("canonical form of %s is not stable: %v\n%s", text, err, s.Canonical())
		}
		_, _ = s.Decode([]byte{0, 0, 0, 0})
	})
}

func BenchmarkHead(b *testing.B) {
	s := published(b, "11.0")
	alert := body(b, visit(b, packet.VisitConfig{Schema: s, Alerts: 1}), 0)
	for b.Loop() {
		if _, err := s.Head(alert); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	s := published(b, "11.0")
	alert := body(b, visit(b, packet.VisitConfig{Schema: s, Alerts: 4}), 3)
	for b.Loop() {
		if _, err := s.Decode(alert); err != nil {
			b.Fatal(err)
		}
	}
}
