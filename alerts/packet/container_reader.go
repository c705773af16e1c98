package packet

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

var containerMagic = [4]byte{'O', 'b', 'j', 1}

const (
	syncSize = 16
	// maxMetadata bounds the header. A schema with all its documentation is
	// some tens of kilobytes.
	maxMetadata = 16 << 20
	// maxBlock bounds one block, compressed or not: it is held in memory, and
	// a few compressed bytes can claim to be any number.
	maxBlock = 1 << 29
)

// ContainerReader reads the datums of an Avro object container file one by
// one as the bytes they are in the file. The Avro library's reader gives only
// decoded values, and encoding them again need not give the same bytes.
type ContainerReader struct {
	source *source
	r      *bufio.Reader
	schema *Schema
	text   string // of the schema, as the header has it
	layout *layout
	codec  string
	sync   [syncSize]byte
	block  int    // number of the current block
	datum  int    // number of the last datum given out
	left   int64  // datums left in the block
	data   []byte // the block, decompressed
	at     int
	err    error // sticky
}

// NewContainerReader reads the header. Codecs are null, deflate, snappy and
// zstandard. Errors are *ContainerError, or *SchemaError for the header's
// schema.
func NewContainerReader(r io.Reader) (*ContainerReader, error) {
	src := &source{Reader: r}
	c := &ContainerReader{source: src, r: bufio.NewReader(src)}
	var m [4]byte
	if _, err := io.ReadFull(c.r, m[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &ContainerError{Kind: ErrNotContainer, Err: errors.New("shorter than the four bytes of its magic")}
		}
		return nil, c.broken(err)
	}
	if m != containerMagic {
		return nil, &ContainerError{Kind: ErrNotContainer, Err: fmt.Errorf("begins with %q, not %q", m[:], containerMagic[:])}
	}
	meta, err := c.metadata()
	if err != nil {
		return nil, c.broken(err)
	}
	if _, err := io.ReadFull(c.r, c.sync[:]); err != nil {
		return nil, c.broken(err)
	}
	c.codec = string(meta["avro.codec"])
	switch c.codec {
	case "":
		c.codec = codecNull
	case codecNull, codecDeflate, codecSnappy, codecZstandard:
	default:
		return nil, &ContainerError{Kind: ErrCodec, Err: fmt.Errorf("%q", c.codec)}
	}
	text, ok := meta["avro.schema"]
	if !ok {
		return nil, &ContainerError{Kind: ErrCorrupt, Err: errors.New("no avro.schema")}
	}
	c.text = string(text)
	if c.schema, err = ParseSchema(c.text); err != nil {
		return nil, err
	}
	compiled, err := c.schema.compiled()
	if err != nil {
		return nil, err
	}
	c.layout = compiled.layout
	return c, nil
}

// Schema is the writer's schema from the header, its version told by the
// namespace.
func (c *ContainerReader) Schema() *Schema { return c.schema }

// Text is that schema as the header has it, with what Schema leaves out: words on
// the fields, defaults, logical types.
func (c *ContainerReader) Text() string { return c.text }

// Codec is the name of the compression codec in the header.
func (c *ContainerReader) Codec() string { return c.codec }

// Next returns the next datum's bytes as they are in the file, or io.EOF
// after the last. The slice stays valid: the caller may keep it, at the cost
// of keeping its block. Other errors are *ContainerError and final.
func (c *ContainerReader) Next() ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	body, err := c.next()
	if err != nil {
		c.err = err
	}
	return body, err
}

func (c *ContainerReader) next() ([]byte, error) {
	for c.left == 0 {
		if err := c.readBlock(); err != nil {
			return nil, err
		}
	}
	c.datum++
	end, err := c.layout.skip(c.data, c.at)
	if err != nil {
		return nil, &ContainerError{Block: c.block, Datum: c.datum, Kind: ErrCorrupt, Err: err}
	}
	body := c.data[c.at:end:end]
	c.at = end
	c.left--
	if c.left == 0 && c.at != len(c.data) {
		return nil, &ContainerError{Block: c.block, Datum: c.datum, Kind: ErrCorrupt,
			Err: fmt.Errorf("%d bytes after the last datum of the block", len(c.data)-c.at)}
	}
	return body, nil
}

func (c *ContainerReader) readBlock() error {
	if _, err := c.r.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return c.broken(err)
	}
	c.block++
	c.datum, c.at = 0, 0
	count, err := binary.ReadVarint(c.r)
	if err != nil {
		return c.broken(err)
	}
	size, err := binary.ReadVarint(c.r)
	if err != nil {
		return c.broken(err)
	}
	if count < 0 || size < 0 || size > maxBlock {
		return &ContainerError{Block: c.block, Kind: ErrCorrupt,
			Err: fmt.Errorf("claims %d datums in %d bytes", count, size)}
	}
	packed, err := readClaimed(c.r, size)
	if err != nil {
		return c.broken(err)
	}
	var sync [syncSize]byte
	if _, err := io.ReadFull(c.r, sync[:]); err != nil {
		return c.broken(err)
	}
	if sync != c.sync {
		return &ContainerError{Block: c.block, Kind: ErrCorrupt, Err: errors.New("wrong sync marker after the block")}
	}
	if c.data, err = decompress(c.codec, packed); err != nil {
		return &ContainerError{Block: c.block, Kind: ErrCorrupt, Err: fmt.Errorf("%s: %w", c.codec, err)}
	}
	if count == 0 && len(c.data) > 0 {
		return &ContainerError{Block: c.block, Kind: ErrCorrupt, Err: fmt.Errorf("%d bytes in a block of no datums", len(c.data))}
	}
	if c.layout.least == 0 && count > maxEmptyItems {
		return &ContainerError{Block: c.block, Kind: ErrCorrupt, Err: errItems}
	}
	c.left = count
	return nil
}

// metadata reads the header's map of strings to bytes.
func (c *ContainerReader) metadata() (map[string][]byte, error) {
	meta := make(map[string][]byte)
	room := int64(maxMetadata)
	text := func() ([]byte, error) {
		n, err := binary.ReadVarint(c.r)
		if err != nil {
			return nil, err
		}
		// Each string costs a byte at least, so that empty ones end as well.
		if n < 0 || n >= room {
			return nil, fmt.Errorf("a length of %d in the metadata", n)
		}
		room -= n + 1
		return readClaimed(c.r, n)
	}
	for {
		count, err := binary.ReadVarint(c.r)
		if err != nil {
			return nil, err
		}
		if count == 0 {
			return meta, nil
		}
		if count < 0 {
			count = -count
			if _, err := binary.ReadVarint(c.r); err != nil { // size in bytes, not needed
				return nil, err
			}
		}
		if count < 0 || count > room {
			return nil, fmt.Errorf("%d entries of metadata", count)
		}
		for range count {
			key, err := text()
			if err != nil {
				return nil, err
			}
			if meta[string(key)], err = text(); err != nil {
				return nil, err
			}
		}
	}
}

// broken sorts an error met while reading by its cause: the end of the input,
// the reader beneath, or else what was read.
func (c *ContainerReader) broken(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &ContainerError{Block: c.block, Kind: ErrTruncated}
	case c.source.err != nil:
		return &ContainerError{Block: c.block, Kind: errRead, Err: c.source.err}
	}
	return &ContainerError{Block: c.block, Kind: ErrCorrupt, Err: err}
}

// source remembers how reading failed, to tell it from bad content.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

var errRead = errors.New("reading")

// readClaimed reads n bytes without believing n: memory grows with what
// arrives.
func readClaimed(r io.Reader, n int64) ([]byte, error) {
	const trusted = 1 << 20
	if n <= trusted {
		b := make([]byte, n)
		_, err := io.ReadFull(r, b)
		return b, err
	}
	var buf bytes.Buffer
	buf.Grow(trusted)
	if _, err := io.CopyN(&buf, r, n); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func decompress(codec string, b []byte) ([]byte, error) {
	switch codec {
	case codecDeflate:
		r := flate.NewReader(bytes.NewReader(b))
		defer r.Close()
		return readBounded(r)
	case codecSnappy:
		return unsnappy(b)
	case codecZstandard:
		r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return readBounded(r)
	}
	return b, nil
}

func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBlock+1))
	if err == nil && len(b) > maxBlock {
		err = fmt.Errorf("more than %d bytes when decompressed", maxBlock)
	}
	return b, err
}

// unsnappy reads Avro's use of snappy: one block in snappy's raw format, then
// the CRC-32 of the decompressed bytes, big-endian.
func unsnappy(b []byte) ([]byte, error) {
	if len(b) < crc32.Size {
		return nil, io.ErrUnexpectedEOF
	}
	b, sum := b[:len(b)-crc32.Size], binary.BigEndian.Uint32(b[len(b)-crc32.Size:])
	n, err := snappy.DecodedLen(b)
	if err != nil {
		return nil, err
	}
	// Snappy packs at most about 64 bytes into three.
	if n > maxBlock || n > 32*len(b)+64 {
		return nil, fmt.Errorf("%d bytes claim to be %d", len(b), n)
	}
	out, err := snappy.Decode(nil, b)
	if err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(out) != sum {
		return nil, errors.New("checksum mismatch")
	}
	return out, nil
}
