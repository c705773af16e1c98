package simulator

import (
	"errors"
	"fmt"
)

var (
	// ErrEmptyReservoir says that there was nothing to play.
	ErrEmptyReservoir = errors.New("the reservoir is empty")
	// ErrEmptySource says that a source ended before its first alert.
	ErrEmptySource = errors.New("the source holds no alerts")
)

// TopicError is a topic that is absent, or that cannot serve the purpose.
type TopicError struct {
	Topic string
	Err   error
}

func (e *TopicError) Error() string { return fmt.Sprintf("topic %s: %v", e.Topic, e.Err) }
func (e *TopicError) Unwrap() error { return e.Err }

// NotEmptyError refuses to load a second set of alerts behind one that is
// already in the reservoir: their time offsets would have two origins.
type NotEmptyError struct {
	Topic      string
	Start, End int64 // offsets, End exclusive
}

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("topic %s is not empty: it holds offsets %d to %d", e.Topic, e.Start, e.End-1)
}

// SourceError is an alert that could not be read from the source, or whose id
// and time could not be read from its body.
type SourceError struct {
	Index int64 // counted from 0
	Err   error
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("alert %d of the source: %v", e.Index, e.Err)
}
func (e *SourceError) Unwrap() error { return e.Err }

// RecordTooLargeError is an alert larger than its topic takes.
type RecordTooLargeError struct {
	Topic   string // the topic that refuses it
	AlertID int64  // 0 if the record's schema is not a published one
	Index   int64  // position in the source (Create), offset in the reservoir (Play)
	Size    int    // bytes of the record's value
	Limit   int    // bytes of a record batch: the topic's max.message.bytes, at most MaxMessageBytes
	Err     error
}

func (e *RecordTooLargeError) Error() string {
	return fmt.Sprintf("alert %d (number %d): %d bytes do not fit into a batch of topic %s, which takes %d bytes",
		e.AlertID, e.Index, e.Size, e.Topic, e.Limit)
}
func (e *RecordTooLargeError) Unwrap() error { return e.Err }

// OffsetHeaderError is a reservoir record without a usable time offset. Such
// a record is not played.
type OffsetHeaderError struct {
	Topic     string
	Partition int32
	Offset    int64
	Err       error
}

func (e *OffsetHeaderError) Error() string {
	return fmt.Sprintf("record %d of %s/%d: header %s: %v", e.Offset, e.Topic, e.Partition, OffsetHeader, e.Err)
}
func (e *OffsetHeaderError) Unwrap() error { return e.Err }

// ReservoirChangedError ends a visit whose records were deleted, or whose
// topic was created again, while it was being read.
type ReservoirChangedError struct {
	Topic string
	Err   error // what showed it; may be nil
}

func (e *ReservoirChangedError) Error() string {
	s := fmt.Sprintf("the reservoir %s was replaced while it was being played", e.Topic)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}
func (e *ReservoirChangedError) Unwrap() error { return e.Err }

// DeliveryError says how many alerts of a visit or a load were not
// acknowledged, and why the first of them was not.
type DeliveryError struct {
	Topic  string
	Failed int64
	Err    error
}

func (e *DeliveryError) Error() string {
	return fmt.Sprintf("%d alerts were not acknowledged by topic %s; the first: %v", e.Failed, e.Topic, e.Err)
}
func (e *DeliveryError) Unwrap() error { return e.Err }

// ForeignWriteError says that someone else wrote to the reservoir during a
// load, so that its offsets are not one run.
type ForeignWriteError struct {
	Topic              string
	Alerts             int64
	FirstOffset, Final int64 // Final is the offset of the last alert of the load
}

func (e *ForeignWriteError) Error() string {
	return fmt.Sprintf("topic %s was written to by others during the load: %d alerts lie between offsets %d and %d",
		e.Topic, e.Alerts, e.FirstOffset, e.Final)
}

// ManifestError says how a reservoir differs from its manifest.
type ManifestError struct {
	Topic     string
	Field     string // the manifest's field that does not hold: "offsets", "alerts", "bytes", "sha256", "schema id"
	Want, Got string
}

func (e *ManifestError) Error() string {
	return fmt.Sprintf("reservoir %s is not what its manifest says: %s is %s, not %s", e.Topic, e.Field, e.Got, e.Want)
}
