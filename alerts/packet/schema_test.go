package packet_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hamba/avro/v2/pkg/crc64"

	"github.com/alertlab/alertlab/alerts/packet"
)

// fingerprints are of the canonical forms of the alert_packet package's own
// schemas, as computed by fastavro.
var fingerprints = []struct {
	version string
	bytes   int
	crc64   string
	sha256  string
}{
	{"3.0", 28940, "6db92f15648adf83", "9ea71fef888c25abcefc5e2f894d3ff22e4aac935ef9c5b6e2d0308d18e18065"},
	{"4.0", 37862, "6d0b177940a9765a", "92e94d7055bcd4d7fc6d762d240110a26dd27006247cc4f9e57661ef8935246c"},
	{"5.0", 38436, "a121004cce82fe23", "dfd5fff93cbb80583a136295b9d6baa8898272c60b68a303abfe8e6d01d4223f"},
	{"6.0", 12702, "c383c6e723673409", "a5b16e22aaba7bbdc361b62815958ff6c955db99694898bece3bb7267b1c841f"},
	{"6.1", 12751, "83c6d13edac40097", "60ffbf56607987de26368a4b2926a09cb57c8c7cae1c93cdc7c8b6706b43e213"},
	{"7.0", 14541, "671d865c97f47ef2", "c176fef6a8a0962304c5cd0bdb990a0451dbf50bd673386ae59acca7bc2fdf3f"},
	{"7.1", 14528, "fe20977f0345ce65", "247bb62dc5e546e3e6170facbc39cc166fd31d0f765aa1f0835d45ecb2b90435"},
	{"7.2", 14584, "2e95242e115aca4d", "015124e9970354e918dac1a38d959916dc2110df2afe8b21c49e6d0747d7fbb9"},
	{"7.3", 14633, "179f19c59d4d2a6f", "0611d6b945c5e9c26a348f30f900f7e6537c341b1a9ad7366d04fc9e62a0d2cd"},
	{"7.4", 14749, "09d18cd50ac902bb", "fd177231a19c203122617572a34a405aaba64ed03dfb8777d0143af5c6646e10"},
	{"8.0", 11912, "3dd4d51c4ef2a53a", "264a45e5ef1920023fa3fb5e26607d5fddb8e370e0eba2b08245ca8d37e67ac6"},
	{"9.0", 12046, "488ff07630c1d890", "017239c3ff79ae5156cc4125ab1b12df955c1075e353a283627f590fed625b92"},
	{"10.0", 14494, "3abbbadf0d05eed0", "2c47c696524bdb8c19ea2b6e3947c55f642aa7eacc184e38c4b56a8380b03969"},
	{"11.0", 14404, "efe464e649354e2b", "9c2dfb211e03b51c3b64fe4105b6dd02aaa9c630ce788656c8cc9a155d468314"},
}

func TestPublishedSchemasAreTheReferenceOnes(t *testing.T) {
	t.Parallel()
	versions := packet.Versions()
	if len(versions) != len(fingerprints) {
		t.Fatalf("%d versions, want %d", len(versions), len(fingerprints))
	}
	for i, want := range fingerprints {
		t.Run(want.version, func(t *testing.T) {
			t.Parallel()
			if got := versions[i].String(); got != want.version {
				t.Errorf("version %s, want %s", got, want.version)
			}
			s := published(t, want.version)
			text := s.Canonical()
			if len(text) != want.bytes {
				t.Errorf("%d bytes, want %d", len(text), want.bytes)
			}
			if sum := sha256.Sum256([]byte(text)); hex.EncodeToString(sum[:]) != want.sha256 {
				t.Errorf("SHA-256 %x, want %s", sum, want.sha256)
			}
			// fastavro prints the bytes little-endian, the library gives them
			// big-endian.
			sum := crc64.Sum([]byte(text))
			slices.Reverse(sum[:])
			if hex.EncodeToString(sum[:]) != want.crc64 {
				t.Errorf("CRC-64-AVRO %x, want %s", sum, want.crc64)
			}
			// What a client gets back from a registry means the same.
			parsed, err := packet.ParseSchema(text)
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Canonical() != text {
				t.Error("the canonical form of the canonical form differs")
			}
			if parsed.Version() != s.Version() || parsed.ID() != s.ID() {
				t.Errorf("parsed as version %s, id %d", parsed.Version(), parsed.ID())
			}
		})
	}
}

func TestPublishedIsBuiltOnce(t *testing.T) {
	t.Parallel()
	a, b := published(t, "7.4"), published(t, "7.4")
	if a != b {
		t.Error("two schemas for one version")
	}
	_, err := packet.Published(packet.Version{Major: 2, Minor: 1})
	var unknown *packet.UnknownVersionError
	if !errors.As(err, &unknown) || unknown.Version.String() != "2.1" {
		t.Errorf("2.1: %v", err)
	}
}

func TestParseSchemaDropsWhatIsNotInTheBytes(t *testing.T) {
	t.Parallel()
	text := `{"type": "record", "name": "alert", "namespace": "lsst.v12_3", "doc": "An \"alert\"", "confluent:version": 1203,
		"fields": [
			{"name": "alertId", "type": {"type": "long"}, "doc": "id"},
			{"name": "made", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": null},
			{"name": "cost", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}},
			{"name": "sub", "type": {"type": "record", "name": "diaSource", "fields": [{"name": "type", "type": "string", "default": "logicalType"}]}},
			{"name": "subs", "type": {"type": "array", "items": "diaSource"}, "aliases": ["children"]}
		]}`
	want := `{"name":"lsst.v12_3.alert","type":"record","fields":[{"name":"alertId","type":"long"},` +
		`{"name":"made","type":["null","long"]},{"name":"cost","type":"bytes"},` +
		`{"name":"sub","type":{"name":"lsst.v12_3.diaSource","type":"record","fields":[{"name":"type","type":"string"}]}},` +
		`{"name":"subs","type":{"type":"array","items":"lsst.v12_3.diaSource"}}]}`
	s, err := packet.ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	if s.Canonical() != want {
		t.Errorf("canonical form\n%s\nwant\n%s", s.Canonical(), want)
	}
	if s.Version() != (packet.Version{Major: 12, Minor: 3}) || s.ID() != 1203 {
		t.Errorf("version %s, id %d", s.Version(), s.ID())
	}
	body, err := s.Encode(packet.Alert{"alertId": 1, "made": int64(1_700_000_000_000_000), "cost": []byte{1},
		"sub": map[string]any{"type": "a"}, "subs": []any{map[string]any{"type": "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	if a["made"] != int64(1_700_000_000_000_000) {
		t.Errorf("made is %v (%T), want a plain long", a["made"], a["made"])
	}
}

func TestParseSchemaRefuses(t *testing.T) {
	t.Parallel()
	// Each record holds the one before it twice: 2^40 fields in one datum.
	bomb := `{"type":"record","name":"r0","fields":[]}`
	for i := range 40 {
		n := string(rune('A'+i/26)) + string(rune('a'+i%26))
		prev := "r0"
		if i > 0 {
			prev = string(rune('A'+(i-1)/26)) + string(rune('a'+(i-1)%26))
		}
		bomb = `{"type":"record","name":"` + n + `","fields":[{"name":"a","type":` + bomb + `},{"name":"b","type":"` + prev + `"}]}`
	}
	for name, text := range map[string]string{
		"empty":         ``,
		"not json":      `{"type":`,
		"two values":    `"long" "long"`,
		"primitive":     `"long"`,
		"union":         `["null","long"]`,
		"no fields":     `{"type":"record","name":"a"}`,
		"no name":       `{"type":"record","fields":[]}`,
		"dangling name": `{"type":"record","name":"a","fields":[{"name":"b","type":"lsst.v7_4.diaSource"}]}`,
		"contains self": `{"type":"record","name":"a","fields":[{"name":"b","type":["null","a"]}]}`,
		"bomb":          bomb,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := packet.ParseSchema(text)
			var schemaErr *packet.SchemaError
			if !errors.As(err, &schemaErr) {
				t.Errorf("got %v, want a *SchemaError", err)
			}
		})
	}
}

func TestVersionForms(t *testing.T) {
	t.Parallel()
	for text, id := range map[string]int{"3.0": 300, "6.1": 601, "7.4": 704, "10.0": 1000, "11.0": 1100, "11.12": 1112} {
		v, err := packet.ParseVersion(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		ns := "lsst.v" + strings.Replace(text, ".", "_", 1)
		if v.String() != text || v.ID() != id || v.Namespace() != ns {
			t.Errorf("%s: String %s, ID %d, Namespace %s", text, v, v.ID(), v.Namespace())
		}
		if packet.VersionFromID(id) != v {
			t.Errorf("%d is %s, want %s", id, packet.VersionFromID(id), v)
		}
		if fromNS, err := packet.VersionFromNamespace(ns); err != nil || fromNS != v {
			t.Errorf("%s is %s, %v", ns, fromNS, err)
		}
	}
	for _, text := range []string{"", "7", "7.", ".4", "v7.4", "7.04", "07.4", "+7.4", "7.4.0", "7.-1", "7.100", "0.1", "7_4"} {
		var bad *packet.VersionError
		if v, err := packet.ParseVersion(text); !errors.As(err, &bad) || bad.Text != text {
			t.Errorf("ParseVersion(%q) = %v, %v", text, v, err)
		}
	}
	for _, ns := range []string{"", "lsst", "lsst.v7", "lsst.v7.4", "lsst.v7_4.alert", "lsst.v07_4"} {
		if v, err := packet.VersionFromNamespace(ns); err == nil {
			t.Errorf("VersionFromNamespace(%q) = %v", ns, v)
		}
	}
	if v, w := (packet.Version{Major: 7, Minor: 4}), (packet.Version{Major: 10}); v.Compare(w) >= 0 || w.Compare(v) <= 0 || v.Compare(v) != 0 {
		t.Error("7.4 does not come before 10.0")
	}
}

func published(t testing.TB, version string) *packet.Schema {
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
