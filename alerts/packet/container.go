package packet

import (
	"errors"
	"fmt"
)

// Codec names of Avro object container files.
const (
	codecNull      = "null"
	codecDeflate   = "deflate"
	codecSnappy    = "snappy"
	codecZstandard = "zstandard"
)

var (
	// ErrNotContainer: the input does not begin as an Avro object container
	// file does.
	ErrNotContainer = errors.New("not an Avro object container file")
	// ErrTruncated: the input ends inside the header or a block.
	ErrTruncated = errors.New("the file ends early")
	// ErrCorrupt: a length, a compressed block, a datum or a sync marker is
	// not as the format has it.
	ErrCorrupt = errors.New("the file is damaged")
	// ErrCodec: the codec is not null, deflate, snappy or zstandard.
	ErrCodec = errors.New("unknown codec")
)

// ContainerError says where in a container file something is wrong and what.
// errors.Is finds one of ErrNotContainer, ErrTruncated, ErrCorrupt or ErrCodec
// in it, or the error of the reader beneath; errors.As a *DatumError when a
// datum does not fit the file's schema.
type ContainerError struct {
	Block int // counted from 1; 0 is the header
	Datum int // in the block, counted from 1; 0 is the block itself
	Kind  error
	Err   error // may be nil
}

func (e *ContainerError) Error() string {
	where := "header"
	switch {
	case e.Datum > 0:
		where = fmt.Sprintf("block %d, datum %d", e.Block, e.Datum)
	case e.Block > 0:
		where = fmt.Sprintf("block %d", e.Block)
	}
	if e.Err == nil {
		return fmt.Sprintf("avro container, %s: %s", where, e.Kind)
	}
	return fmt.Sprintf("avro container, %s: %s: %s", where, e.Kind, e.Err)
}

func (e *ContainerError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
