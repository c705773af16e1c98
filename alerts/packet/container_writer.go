package packet

import (
	"errors"
	"fmt"
	"io"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// writeBlockSize is when a block is full, in bytes before compression: a
// dozen alerts, so that a reader need not hold much.
const writeBlockSize = 1 << 20

// ContainerWriter writes datums that are encoded already into an Avro object
// container file. Not safe for concurrent use.
type ContainerWriter struct {
	enc    *ocf.Encoder
	layout *layout
	count  int
	closed bool
}

// NewContainerWriter writes the header, with the schema in canonical form.
// codec is null, deflate, snappy or zstandard; any other is a *ContainerError
// with ErrCodec.
func NewContainerWriter(w io.Writer, s *Schema, codec string) (*ContainerWriter, error) {
	opts := []ocf.EncoderFunc{
		ocf.WithBlockLength(0), // blocks end by size
		ocf.WithBlockSize(writeBlockSize),
		ocf.WithSchemaMarshaler(func(avro.Schema) ([]byte, error) { return []byte(s.Canonical()), nil }),
		ocf.WithCodec(ocf.CodecName(codec)),
	}
	switch codec {
	case codecDeflate:
		opts = append(opts, ocf.WithCompressionLevel(flate.BestSpeed))
	case codecZstandard:
		opts = append(opts, ocf.WithZStandardEncoderOptions(zstd.WithEncoderConcurrency(1)))
	case codecNull, codecSnappy:
	default:
		return nil, &ContainerError{Kind: ErrCodec, Err: fmt.Errorf("%q", codec)}
	}
	c, err := s.compiled()
	if err != nil {
		return nil, err
	}
	// Handed an *os.File that is not empty, the library would append to it
	// under the schema that it finds there.
	enc, err := ocf.NewEncoderWithSchema(c.schema, onlyWriter{w}, opts...)
	if err != nil {
		return nil, &ContainerError{Kind: errWrite, Err: err}
	}
	return &ContainerWriter{enc: enc, layout: c.layout}, nil
}

type onlyWriter struct{ io.Writer }

var (
	errWrite  = errors.New("writing")
	errClosed = errors.New("closed already")
)

// Append adds one datum, which must be exactly one of the writer's schema:
// else a *DatumError, and the file is as before.
func (w *ContainerWriter) Append(body []byte) error {
	if w.closed {
		return &ContainerError{Kind: errWrite, Err: errClosed}
	}
	if err := w.layout.whole(body); err != nil {
		return err
	}
	w.count++
	if _, err := w.enc.Write(body); err != nil {
		return &ContainerError{Kind: errWrite, Err: err}
	}
	return nil
}

// Len is the number of datums appended.
func (w *ContainerWriter) Len() int { return w.count }

// Close writes what is left. It does not close the io.Writer beneath.
func (w *ContainerWriter) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if err := w.enc.Close(); err != nil {
		return &ContainerError{Kind: errWrite, Err: err}
	}
	return nil
}
