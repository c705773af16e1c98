package packet

import (
	"encoding/binary"
	"fmt"
)

// HeaderSize is the length of the Confluent wire format header in bytes: a
// zero byte, then the schema's registry ID as 32 bits, big-endian, unsigned.
// The Avro datum follows without a length.
const HeaderSize = 5

const magic = 0x00

// WireError reports bytes that do not begin with a Confluent wire format
// header.
type WireError struct {
	Len   int  // bytes there are; too short if less than HeaderSize
	Magic byte // first byte, if there is one; 0 in a good header
}

func (e *WireError) Error() string {
	if e.Len < HeaderSize {
		return fmt.Sprintf("confluent wire format: %d bytes, the header takes %d", e.Len, HeaderSize)
	}
	return fmt.Sprintf("confluent wire format: first byte is 0x%02x, not 0x%02x", e.Magic, magic)
}

// Frame puts the header before an Avro datum.
func Frame(id uint32, body []byte) []byte {
	return AppendFrame(make([]byte, 0, HeaderSize+len(body)), id, body)
}

// AppendFrame appends header and datum to dst.
func AppendFrame(dst []byte, id uint32, body []byte) []byte {
	dst = append(dst, magic)
	dst = binary.BigEndian.AppendUint32(dst, id)
	return append(dst, body...)
}

// Unframe splits a message into the schema's ID and the datum, which aliases
// b. A message of just the header is well framed; its datum is empty. The
// error is a *WireError.
func Unframe(b []byte) (id uint32, body []byte, err error) {
	if len(b) < HeaderSize {
		e := &WireError{Len: len(b)}
		if len(b) > 0 {
			e.Magic = b[0]
		}
		return 0, nil, e
	}
	if b[0] != magic {
		return 0, nil, &WireError{Len: len(b), Magic: b[0]}
	}
	return binary.BigEndian.Uint32(b[1:]), b[HeaderSize:], nil
}
