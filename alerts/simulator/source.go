package simulator

import (
	"context"
	"io"
	"runtime"

	"github.com/alertlab/alertlab/alerts/packet"
)

// Source yields alert bodies (Avro, without a wire header) in the order in
// which they are to be played. It ends with io.EOF. A body is read before the
// next call and not changed, so a source may use its buffer again.
type Source interface {
	Next(ctx context.Context) (body []byte, err error)
}

// Container reads alerts from an Avro object container file, unchanged. Load
// it with the reader's own Schema.
func Container(r *packet.ContainerReader) Source { return containerSource{r} }

type containerSource struct{ reader *packet.ContainerReader }

func (s containerSource) Next(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.reader.Next()
}

// Visit makes the alerts of a synthetic visit, some ahead of the reader and
// side by side, and yields them in order. At most ahead bodies exist that
// nobody has asked for yet; 0 means twice the number of processors.
func Visit(v *packet.Visit, ahead int) Source {
	if ahead <= 0 {
		ahead = 2 * runtime.GOMAXPROCS(0)
	}
	return &visitSource{visit: v, slots: make([]chan made, ahead)}
}

// visitSource keeps a ring of promises, one goroutine each. A goroutine ends
// when its one body is made, whether or not anyone comes for it, so that an
// abandoned source needs no Close.
type visitSource struct {
	visit   *packet.Visit
	slots   []chan made
	begun   int // bodies whose making has begun
	yielded int
}

type made struct {
	body []byte
	err  error
}

func (s *visitSource) Next(ctx context.Context) ([]byte, error) {
	for s.begun < s.visit.Len() && s.begun < s.yielded+len(s.slots) {
		slot := make(chan made, 1)
		s.slots[s.begun%len(s.slots)] = slot
		go func(i int) {
			body, err := s.visit.Body(i)
			slot <- made{body, err}
		}(s.begun)
		s.begun++
	}
	if s.yielded == s.visit.Len() {
		return nil, io.EOF
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case m := <-s.slots[s.yielded%len(s.slots)]:
		s.yielded++
		return m.body, m.err
	}
}

// Converted yields the alerts of a source written anew with another schema.
func Converted(s Source, c *packet.Converter) Source { return convertedSource{s, c} }

type convertedSource struct {
	source    Source
	converter *packet.Converter
}

func (s convertedSource) Next(ctx context.Context) ([]byte, error) {
	body, err := s.source.Next(ctx)
	if err != nil {
		return nil, err
	}
	return s.converter.Convert(body)
}

// Close closes the source beneath, if it can be closed.
func (s convertedSource) Close() error {
	if c, ok := s.source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
