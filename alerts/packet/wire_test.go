package packet_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
)

func TestFrame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id   uint32
		body string
		want string
	}{
		{704, "abc", "\x00\x00\x00\x02\xc0abc"},
		{1100, "", "\x00\x00\x00\x04\x4c"},
		{1, "\x00", "\x00\x00\x00\x00\x01\x00"},
		{math.MaxUint32, "x", "\x00\xff\xff\xff\xffx"},
	} {
		got := packet.Frame(c.id, []byte(c.body))
		if string(got) != c.want {
			t.Errorf("Frame(%d, %q) = %q, want %q", c.id, c.body, got, c.want)
		}
		if got := packet.AppendFrame([]byte("before"), c.id, []byte(c.body)); string(got) != "before"+c.want {
			t.Errorf("AppendFrame(%d, %q) = %q", c.id, c.body, got)
		}
		id, body, err := packet.Unframe(got)
		if err != nil || id != c.id || string(body) != c.body {
			t.Errorf("Unframe(%q) = %d, %q, %v", got, id, body, err)
		}
	}
}

func TestUnframeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want packet.WireError
		text string
	}{
		{"", packet.WireError{}, "confluent wire format: 0 bytes, the header takes 5"},
		{"\x00\x00\x02\xc0", packet.WireError{Len: 4}, "confluent wire format: 4 bytes, the header takes 5"},
		{"Obj\x01\x04", packet.WireError{Len: 5, Magic: 'O'}, "confluent wire format: first byte is 0x4f, not 0x00"},
	} {
		_, body, err := packet.Unframe([]byte(c.in))
		var got *packet.WireError
		if !errors.As(err, &got) || *got != c.want || err.Error() != c.text || body != nil {
			t.Errorf("Unframe(%q) = %v", c.in, err)
		}
	}
}

func FuzzUnframe(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x04\x4cbody"))
	f.Add([]byte("\x01\x00\x00\x00\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		id, body, err := packet.Unframe(b)
		if (err == nil) != (len(b) >= packet.HeaderSize && b[0] == 0) {
			t.Fatalf("%q: %v", b, err)
		}
		if err == nil && !bytes.Equal(packet.Frame(id, body), b) {
			t.Fatalf("%q framed again is %q", b, packet.Frame(id, body))
		}
	})
}
