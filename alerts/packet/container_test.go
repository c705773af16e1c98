package packet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hamba/avro/v2/ocf"

	"github.com/alertlab/alertlab/alerts/packet"
)

var codecs = []string{"null", "deflate", "snappy", "zstandard"}

// container writes alerts of a visit with small blocks made by the Avro
// library's own writer settings where asked.
func container(t testing.TB, s *packet.Schema, codec string, bodies [][]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := packet.NewContainerWriter(&file, s, codec)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bodies {
		if err := w.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	if w.Len() != len(bodies) {
		t.Fatalf("Len is %d after %d datums", w.Len(), len(bodies))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func readAll(r io.Reader) (*packet.ContainerReader, [][]byte, error) {
	c, err := packet.NewContainerReader(r)
	if err != nil {
		return nil, nil, err
	}
	var out [][]byte
	for {
		b, err := c.Next()
		if err == io.EOF {
			return c, out, nil
		}
		if err != nil {
			return c, out, err
		}
		out = append(out, b)
	}
}

func TestContainerRoundTrip(t *testing.T) {
	t.Parallel()
	for _, codec := range codecs {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			s := published(t, "7.4")
			v := visit(t, packet.VisitConfig{Schema: s, Alerts: 40})
			var bodies [][]byte
			for i := range v.Len() {
				bodies = append(bodies, body(t, v, i))
			}
			file := container(t, s, codec, bodies)
			c, got, err := readAll(iotest.HalfReader(bytes.NewReader(file)))
			if err != nil {
				t.Fatal(err)
			}
			if c.Codec() != codec || c.Schema().Version() != s.Version() || c.Schema().Canonical() != s.Canonical() {
				t.Errorf("codec %s, schema %s", c.Codec(), c.Schema().Version())
			}
			wantSame(t, got, bodies)

			// The Avro library's reader agrees on what is in the file.
			dec, err := ocf.NewDecoder(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for dec.HasNext() {
				var a map[string]any
				if err := dec.Decode(&a); err != nil {
					t.Fatal(err)
				}
				n++
			}
			if dec.Error() != nil || n != len(bodies) {
				t.Errorf("the library reads %d alerts, %v", n, dec.Error())
			}

			// And a file that the library wrote, in blocks of seven, with
			// arrays in its own block form, gives back its bytes.
			var other bytes.Buffer
			enc, err := ocf.NewEncoder(s.Canonical(), &other, ocf.WithCodec(ocf.CodecName(codec)), ocf.WithBlockLength(7))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range bodies {
				if _, err := enc.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			if err := enc.Close(); err != nil {
				t.Fatal(err)
			}
			if _, got, err = readAll(&other); err != nil {
				t.Fatal(err)
			}
			wantSame(t, got, bodies)
		})
	}
}

func wantSame(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d datums, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("datum %d differs", i)
		}
	}
}

func TestContainerKeepsForeignBytes(t *testing.T) {
	t.Parallel()
	s := parse(t, everyType)
	// An array in two blocks, one with its size: encoding would not give this.
	datum := []byte("\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x02\x03\x04\x00\x00\x02\x00\x00\x00\x00")
	if again, err := s.Decode(datum); err != nil {
		t.Fatal(err, again)
	}
	_, got, err := readAll(bytes.NewReader(container(t, s, "snappy", [][]byte{datum, datum})))
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, [][]byte{datum, datum})
}

func TestEmptyContainer(t *testing.T) {
	t.Parallel()
	for _, codec := range codecs {
		c, got, err := readAll(bytes.NewReader(container(t, published(t, "11.0"), codec, nil)))
		if err != nil || len(got) != 0 || c.Schema().ID() != 1100 {
			t.Errorf("%s: %d datums, %v", codec, len(got), err)
		}
	}
}

func TestContainerWriterRefuses(t *testing.T) {
	t.Parallel()
	s := published(t, "11.0")
	if _, err := packet.NewContainerWriter(io.Discard, s, "bzip2"); !errors.Is(err, packet.ErrCodec) {
		t.Errorf("bzip2: %v", err)
	}
	w, err := packet.NewContainerWriter(io.Discard, s, "null")
	if err != nil {
		t.Fatal(err)
	}
	good := body(t, visit(t, packet.VisitConfig{Schema: s, Alerts: 1, PacketBytes: 3000}), 0)
	var datum *packet.DatumError
	for _, bad := range [][]byte{nil, good[:len(good)-1], append(bytes.Clone(good), 0), packet.Frame(1100, good)} {
		if err := w.Append(bad); !errors.As(err, &datum) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	if err := w.Append(good); err != nil || w.Len() != 1 {
		t.Errorf("a good one after bad ones: %v, %d", err, w.Len())
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if err := w.Append(good); err == nil {
		t.Error("appended to a closed file")
	}
	full := errors.New("disk full")
	if _, err := packet.NewContainerWriter(failing{full}, s, "null"); !errors.Is(err, full) {
		t.Errorf("a disk that is full: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestContainerReaderNamesTheDamage(t *testing.T) {
	t.Parallel()
	s := parse(t, `{"type":"record","name":"a","fields":[{"name":"flag","type":"boolean"},{"name":"text","type":"string"}]}`)
	var file bytes.Buffer
	enc, err := ocf.NewEncoder(s.Canonical(), &file, ocf.WithBlockLength(2), ocf.WithSyncBlock([16]byte{1, 2, 3}))
	if err != nil {
		t.Fatal(err)
	}
	header := file.Len()
	for i := range 4 {
		b, err := s.Encode(packet.Alert{"flag": i%2 == 0, "text": fmt.Sprint("datum", i)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := enc.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	whole := file.Bytes()
	const datum, block = 8, 2 + 16 + 16 // bytes; counts and sizes take one each
	if len(whole) != header+2*block {
		t.Fatalf("the file is %d bytes, not %d", len(whole), header+2*block)
	}
	second := header + block
	flip := func(at int, to byte) []byte {
		b := bytes.Clone(whole)
		b[at] = to
		return b
	}
	for _, c := range []struct {
		name string
		file []byte
		kind error
		text string // in the message
		read int    // datums before it
	}{
		{"nothing", nil, packet.ErrNotContainer, "header", 0},
		{"three bytes", whole[:3], packet.ErrNotContainer, "header", 0},
		{"text", []byte(`{"alertId":1}`), packet.ErrNotContainer, `begins with "{\"al"`, 0},
		{"cut in the metadata", whole[:20], packet.ErrTruncated, "header", 0},
		{"cut in the header's sync marker", whole[:header-1], packet.ErrTruncated, "header", 0},
		{"cut in a block", whole[:second+5], packet.ErrTruncated, "block 2", 2},
		{"cut in a sync marker", whole[:len(whole)-1], packet.ErrTruncated, "block 2", 2},
		{"a boolean of 9", flip(second+2, 9), packet.ErrCorrupt, "block 2, datum 1: the file is damaged: avro datum, field flag", 2},
		{"a string that is too long", flip(second+2+datum+1, 0x7e), packet.ErrCorrupt, "block 2, datum 2: the file is damaged: avro datum, field text", 3},
		{"a string that is too short", flip(second+2+datum+1, 0x0a), packet.ErrCorrupt, "block 2, datum 2: the file is damaged: 1 bytes after", 3},
		{"a sync marker", flip(len(whole)-1, 9), packet.ErrCorrupt, "block 2: the file is damaged: wrong sync", 2},
		{"a negative count", flip(second, 1), packet.ErrCorrupt, "block 2: the file is damaged: claims -1", 2},
		{"a count of none", flip(second, 0), packet.ErrCorrupt, "block 2", 2},
		{"a count of one", flip(second, 2), packet.ErrCorrupt, "block 2, datum 1: the file is damaged: 8 bytes after", 2},
		{"a count of three", flip(second, 6), packet.ErrCorrupt, "block 2, datum 3", 4},
		{"an endless number", append(bytes.Clone(whole), bytes.Repeat([]byte{0xff}, 20)...), packet.ErrCorrupt, "block 3", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, got, err := readAll(bytes.NewReader(c.file))
			var place *packet.ContainerError
			if !errors.As(err, &place) || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.text)
			}
			if len(got) != c.read {
				t.Errorf("%d datums before it, want %d", len(got), c.read)
			}
			if r != nil {
				if _, again := r.Next(); again != err {
					t.Errorf("then %v", again)
				}
			}
		})
	}
}

func TestContainerReaderPassesOnReadErrors(t *testing.T) {
	t.Parallel()
	s := published(t, "11.0")
	file := container(t, s, "deflate", [][]byte{body(t, visit(t, packet.VisitConfig{Schema: s, Alerts: 1}), 0)})
	gone := errors.New("connection lost")
	for _, at := range []int{0, 2, 100, len(file) - 30} {
		r := io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(gone))
		if _, _, err := readAll(r); !errors.Is(err, gone) || errors.Is(err, packet.ErrTruncated) || errors.Is(err, packet.ErrCorrupt) {
			t.Errorf("after %d bytes: %v", at, err)
		}
	}
}

func TestContainerReaderBadCompression(t *testing.T) {
	t.Parallel()
	s := published(t, "11.0")
	alert := body(t, visit(t, packet.VisitConfig{Schema: s, Alerts: 1, PacketBytes: 3000}), 0)
	for _, codec := range codecs[1:] {
		file := container(t, s, codec, [][]byte{alert})
		for _, at := range []int{len(file) - 20, len(file) - 40, len(file) - 500} { // the block's end and inside
			bad := bytes.Clone(file)
			bad[at] ^= 0x55
			_, got, err := readAll(bytes.NewReader(bad))
			// Deflate has no checksum: a flip may pass as another alert.
			if codec == "deflate" && err == nil {
				continue
			}
			if !errors.Is(err, packet.ErrCorrupt) || len(got) > 0 {
				t.Errorf("%s, byte %d: %d datums, %v", codec, at, len(got), err)
			}
		}
	}
	file := container(t, s, "snappy", [][]byte{alert})
	other := bytes.Replace(file, []byte("snappy"), []byte("brotli"), 1)
	if _, _, err := readAll(bytes.NewReader(other)); !errors.Is(err, packet.ErrCodec) || !strings.Contains(err.Error(), `"brotli"`) {
		t.Errorf("brotli: %v", err)
	}
}

// TestPublishedSamples reads the sample alerts of the alert_packet package,
// which are not part of this project.
func TestPublishedSamples(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("ALERTLAB_SAMPLES")
	if dir == "" {
		t.Skip("ALERTLAB_SAMPLES names no folder with the alert_packet package's sample alerts (sample-alert-v*.avro)")
	}
	files, err := filepath.Glob(filepath.Join(dir, "sample-alert-v*.avro"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample-alert-v*.avro in %s (%v)", dir, err)
	}
	for _, file := range files {
		version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "sample-alert-v"), ".avro")
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, bodies, err := readAll(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			s := published(t, version)
			if c.Schema().Version() != s.Version() || c.Schema().Canonical() != s.Canonical() {
				t.Errorf("the header's schema %s is not the published one", c.Schema().Version())
			}
			if len(bodies) != 1 || !bytes.Contains(raw, bodies[0]) {
				t.Fatalf("%d datums", len(bodies))
			}
			h, err := s.Head(bodies[0])
			if err != nil || h.ID != 1231321321 {
				t.Errorf("head %v, %v", h, err)
			}
			a, err := c.Schema().Decode(bodies[0])
			if err != nil {
				t.Fatal(err)
			}
			again, err := s.Encode(a)
			if err != nil || !bytes.Equal(again, bodies[0]) {
				t.Errorf("encoded again: %d bytes for %d (%v)", len(again), len(bodies[0]), err)
			}
			t.Logf("%v, %d bytes", h, len(bodies[0]))
		})
	}
}

func FuzzContainerReader(f *testing.F) {
	s := parse(f, everyType)
	datum := []byte("\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x02\x03\x04\x00\x00\x02\x00\x00\x00\x00")
	for _, codec := range codecs {
		f.Add(container(f, s, codec, [][]byte{datum, datum}))
	}
	f.Add([]byte("Obj\x01"))
	f.Fuzz(func(t *testing.T, file []byte) {
		c, bodies, err := readAll(bytes.NewReader(file))
		var place *packet.ContainerError
		var schemaErr *packet.SchemaError
		if err != nil && !errors.As(err, &place) && !errors.As(err, &schemaErr) {
			t.Fatalf("%T: %v", err, err)
		}
		for _, b := range bodies {
			if _, err := c.Schema().Decode(b); err != nil {
				t.Fatalf("a datum from the file: %v", err)
			}
		}
	})
}
