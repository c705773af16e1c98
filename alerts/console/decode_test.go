package console

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
)

// otherSchema is a record that is no alert.
const otherSchema = `{"type":"record","name":"note","fields":[{"name":"text","type":"string"},{"name":"value","type":"double"}]}`

// testRegistry answers as a registry that holds alert schema 11.0 under 1100, a
// record that is no alert under 7, and something that is no schema under 8.
func testRegistry(t testing.TB) *registry.Client {
	t.Helper()
	alert := schema(t, "11.0").Canonical()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /schemas/ids/{id}", func(w http.ResponseWriter, r *http.Request) {
		text, ok := map[string]string{"1100": alert, "7": otherSchema, "8": `{"type":"nothing"}`}[r.PathValue("id")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error_code":40403,"message":"Schema not found"}`)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"schema": text})
	})
	mux.HandleFunc("GET /schemas/ids/{id}/versions", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `[{"subject":"lsst-alerts-v11.0-value","version":1},{"subject":"alert-packet","version":1100}]`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return client(t, server.URL)
}

func client(t testing.TB, url string) *registry.Client {
	t.Helper()
	c, err := registry.NewClient(url)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func schema(t testing.TB, version string) *packet.Schema {
	t.Helper()
	v, err := packet.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	s, err := packet.Published(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wires are the messages of a small visit.
func wires(t testing.TB, alerts int) [][]byte {
	t.Helper()
	v, err := packet.NewVisit(packet.VisitConfig{Schema: schema(t, "11.0"), Alerts: alerts, MidpointMjdTai: 61365.2, Visit: 2026112100123, PacketBytes: 40_000})
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for i := range alerts {
		body, err := v.Body(i)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, packet.Frame(1100, body))
	}
	return out
}

func TestMessage(t *testing.T) {
	t.Parallel()
	wire := wires(t, 1)[0]
	decoder := NewDecoder(testRegistry(t), WithAlert)
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	long := strings.Repeat("ä", 3000)
	for name, c := range map[string]struct {
		value     []byte
		registry  *registry.Client
		malformed string // all of it, or the beginning of it with a trailing *
		unread    string
		text      string
	}{
		"an alert":            {value: wire},
		"nothing":             {value: []byte{}, malformed: "confluent wire format: 0 bytes, the header takes 5"},
		"a tombstone":         {value: nil, malformed: "no value: the key is deleted in a compacted topic"},
		"four bytes":          {value: wire[:4], malformed: "confluent wire format: 4 bytes, the header takes 5"},
		"a header only":       {value: wire[:5], malformed: "avro *"},
		"magic byte 1":        {value: append([]byte{1}, wire[1:]...), malformed: "confluent wire format: first byte is 0x01, not 0x00"},
		"an unknown id":       {value: packet.Frame(4_000_000_000, wire[5:]), malformed: "the registry has no schema with id 4000000000"},
		"the end missing":     {value: wire[:len(wire)-1], malformed: "avro *"},
		"a byte too many":     {value: append(append([]byte{}, wire...), 0), malformed: "avro *"},
		"another record":      {value: packet.Frame(7, append([]byte("\x04hi"), 0, 0, 0, 0, 0, 0, 0xf8, 0x7f))},
		"a schema that is no": {value: packet.Frame(8, nil), unread: "avro schema*"},
		"no registry":         {value: wire, registry: client(t, down.URL), unread: "schema 1100 from the registry: *"},
		"text":                {value: []byte("{\"mode\":\n\"IMPORT\"}"), malformed: "confluent wire format: first byte is 0x7b, not 0x00", text: "{\"mode\":\n\"IMPORT\"}"},
		"long text":           {value: []byte("a" + long), malformed: "confluent wire format: first byte is 0x61, not 0x00", text: "a" + long[:4094]},
	} {
		d := decoder
		if c.registry != nil {
			d = NewDecoder(c.registry, WithAlert)
		}
		r := &kgo.Record{Topic: "alerts", Partition: 3, Offset: 7, Timestamp: time.UnixMilli(1000), Value: c.value}
		m := d.Message(t.Context(), r)
		if !matches(m.Malformed, c.malformed) || !matches(m.Unread, c.unread) || m.Text != c.text {
			t.Errorf("%s: malformed %q, unread %q, text %q", name, m.Malformed, m.Unread, m.Text)
		}
		if m.Topic != "alerts" || m.Partition != 3 || m.Offset != 7 || m.Bytes != len(c.value) {
			t.Errorf("%s: %+v", name, m)
		}
		if sound := m.Malformed == "" && m.Unread == ""; sound != (m.Alert != nil) {
			t.Errorf("%s: alert %v", name, m.Alert)
		}
		if _, err := json.Marshal(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		id, ok := d.ID(t.Context(), r)
		if ok != (m.ID != nil) && name != "the end missing" && name != "a byte too many" { // a head may be sound where the rest is not
			t.Errorf("%s: id %d, %v, in the message %v", name, id, ok, m.ID)
		}
	}
}

func matches(got, want string) bool {
	if start, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(got, start)
	}
	return got == want
}

func TestMessageContent(t *testing.T) {
	t.Parallel()
	s := schema(t, "11.0")
	alert, err := s.Decode(wires(t, 1)[0][5:])
	if err != nil {
		t.Fatal(err)
	}
	source := alert["diaSource"].(map[string]any)
	source["snr"], source["ra"], source["dec"], source["band"] = float32(math.NaN()), 12.5, -30.25, "r"
	source["psfFlux"], source["psfFluxErr"] = float32(math.Inf(-1)), float32(10)
	body, err := s.Encode(alert)
	if err != nil {
		t.Fatal(err)
	}
	r := &kgo.Record{Key: []byte{0, 1}, Value: packet.Frame(1100, body), Headers: []kgo.RecordHeader{{Key: "alertsim-time-offset", Value: []byte("0.5")}}}
	stamp := len(alert["cutoutScience"].([]byte))
	for _, depth := range []int{SummaryOnly, WithAlert, Full} {
		m := NewDecoder(testRegistry(t), depth).Message(t.Context(), r)
		if m.Malformed != "" || m.Summary == nil || m.ID == nil || *m.ID != alert["diaSourceId"].(int64) {
			t.Fatalf("depth %d: %+v", depth, m)
		}
		sum := m.Summary
		if *sum.RA != 12.5 || *sum.Dec != -30.25 || sum.Band != "r" || sum.SNR != nil || sum.Flux != nil || *sum.FluxErr != 10 || sum.Cutouts["cutoutScience"] != stamp {
			t.Errorf("depth %d: summary %+v", depth, sum)
		}
		if m.Key != "base64:AAE=" || len(m.Headers) != 1 || m.Headers[0] != (Header{"alertsim-time-offset", "0.5"}) {
			t.Errorf("depth %d: key %q, headers %v", depth, m.Key, m.Headers)
		}
		want := Schema{ID: 1100, Version: "11.0", Subjects: []SubjectVersion{{"alert-packet", 1100}, {"lsst-alerts-v11.0-value", 1}}}
		if fmt.Sprint(*m.Schema) != fmt.Sprint(want) {
			t.Errorf("depth %d: schema %v", depth, *m.Schema)
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("depth %d: %v", depth, err)
		}
		var back struct {
			Alert *struct {
				CutoutScience any `json:"cutoutScience"`
				DiaSource     struct {
					SNR     string `json:"snr"`
					PsfFlux string `json:"psfFlux"`
				} `json:"diaSource"`
			} `json:"alert"`
		}
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("depth %d: %v", depth, err)
		}
		if depth == SummaryOnly {
			if back.Alert != nil {
				t.Error("the alert is there, unasked")
			}
			continue
		}
		if back.Alert.DiaSource.SNR != "NaN" || back.Alert.DiaSource.PsfFlux != "-Inf" {
			t.Errorf("depth %d: %+v", depth, back.Alert.DiaSource)
		}
		switch cutout := back.Alert.CutoutScience.(type) {
		case string:
			if depth != Full || len(cutout) != (stamp+2)/3*4 {
				t.Errorf("depth %d: cutout of %d characters", depth, len(cutout))
			}
		case map[string]any:
			if depth == Full || cutout["bytes"] != float64(stamp) {
				t.Errorf("depth %d: cutout %v", depth, cutout)
			}
		default:
			t.Errorf("depth %d: cutout %T", depth, cutout)
		}
	}
}

func TestParseFrom(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]From{
		"earliest": {'e', 0}, "latest": {'l', 0}, "0": {'a', 0}, "12": {'a', 12}, "-3": {'b', 3},
		"-9223372036854775807": {'b', math.MaxInt64},
	} {
		if got, err := ParseFrom(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "first", "1.5", "--1", "-9223372036854775808", "9223372036854775808", " 1"} {
		if got, err := ParseFrom(text); err == nil || !strings.Contains(err.Error(), "is no offset") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// FuzzMessage decodes any value: whatever it is, there is a message that JSON can
// hold, and what is no alert says why.
func FuzzMessage(f *testing.F) {
	wire := wires(f, 1)[0]
	f.Add(wire)
	f.Add(wire[:len(wire)/2])
	f.Add(wire[:7])
	f.Add([]byte("{}"))
	f.Add([]byte{})
	decoder := NewDecoder(testRegistry(f), WithAlert)
	f.Fuzz(func(t *testing.T, value []byte) {
		m := decoder.Message(t.Context(), &kgo.Record{Topic: "t", Key: value, Value: value})
		if (m.Malformed == "" && m.Unread == "") != (m.Alert != nil) {
			t.Errorf("%+v", m)
		}
		if _, err := json.Marshal(m); err != nil {
			t.Error(err)
		}
	})
}
