package simulator

import (
	"context"
	"errors"
	"io"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/packet"
)

// stock is where the visits of one Run come from, always as records in the
// reservoir's form. A pass is one visit of it.
type stock interface {
	// look sees what there is to play now. It is asked shortly before each visit
	// and must not take long. Equal stamps (see sameStamp) are the same alerts.
	look(ctx context.Context) (stamp any, err error)
	// read begins to read what look saw.
	read(ctx context.Context, stamp any) *pass
	// name says what a record's index is counted in.
	name() string
}

// topicStock is a reservoir topic.
type topicStock struct {
	topic   string
	admin   *kadm.Client
	options []kgo.Opt
	ahead   int64
}

func (t topicStock) name() string { return t.topic }

func (t topicStock) look(ctx context.Context) (any, error) {
	c, err := observe(ctx, t.admin, t.topic)
	if err != nil {
		return nil, err
	}
	return seenContent{c}, nil
}

func (t topicStock) read(ctx context.Context, stamp any) *pass {
	c := stamp.(seenContent).content
	return startPass(ctx, t.ahead, topicReader{t.topic, c, t.options}.read)
}

// seenContent is the stamp of a topic.
type seenContent struct{ content }

// sameStamp compares what two looks saw.
func sameStamp(a, b any) bool {
	if x, ok := a.(seenContent); ok {
		y, ok := b.(seenContent)
		return ok && x.equal(y.content)
	}
	return a == b
}

// Input opens a visit to be played from its first alert on: its source, and the
// schema that the bodies were written with. A source that is an io.Closer is
// closed after the visit.
type Input func() (Source, *packet.Schema, error)

// fileStock is a visit that is opened anew each time.
type fileStock struct {
	title string
	open  Input
	ahead int64
}

func (f fileStock) name() string { return f.title }

func (f fileStock) look(context.Context) (any, error) { return true, nil }

func (f fileStock) read(ctx context.Context, _ any) *pass {
	return startPass(ctx, f.ahead, func(ctx context.Context, hand func(*kgo.Record) error) error {
		return Departures(ctx, f.open, hand)
	})
}

// Departures reads a visit and hands over its alerts as records of a reservoir: wire
// format, time offset in the header, the index as offset. Errors are open's,
// *SourceError, ErrEmptySource, or hand's.
func Departures(ctx context.Context, open Input, hand func(*kgo.Record) error) error {
	source, schema, err := open()
	if err != nil {
		return err
	}
	if c, ok := source.(io.Closer); ok {
		defer c.Close()
	}
	d := departures{schema: schema}
	for {
		body, err := source.Next(ctx)
		switch {
		case errors.Is(err, io.EOF) && d.n == 0:
			return ErrEmptySource
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &SourceError{d.n, err}
		}
		r, _, err := d.record(body)
		if err != nil {
			return err
		}
		if err := hand(r); err != nil {
			return err
		}
	}
}

// departures turns the bodies of one visit, in order, into reservoir records.
type departures struct {
	schema *packet.Schema
	id     *uint32 // in the wire header; nil for the schema's own
	n      int64
	origin float64 // midpoint of the first alert, MJD days TAI
}

// record gives the next body's record, whose offset is its index, and its alert's id.
func (d *departures) record(body []byte) (*kgo.Record, int64, error) {
	head, err := d.schema.Head(body)
	if err != nil {
		return nil, 0, &SourceError{d.n, err}
	}
	if d.n == 0 {
		d.origin = head.MidpointMjdTai
	}
	us, err := offsetMicros(d.origin, head.MidpointMjdTai)
	if err != nil {
		return nil, 0, &SourceError{d.n, err}
	}
	id := uint32(d.schema.ID())
	if d.id != nil {
		id = *d.id
	}
	r := &kgo.Record{
		Value:   packet.Frame(id, body),
		Headers: []kgo.RecordHeader{{Key: OffsetHeader, Value: []byte(formatMicros(us))}},
		Offset:  d.n,
	}
	d.n++
	return r, head.ID, nil
}
