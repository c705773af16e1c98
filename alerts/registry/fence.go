package registry

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Leadership of a group cannot keep a process from writing that was frozen while
// it led and goes on after another one took over; nor can the broker, short of
// transactions, for which the registry's user has no rights. So the fence is in
// the topic itself. Every record of a leader names its reign, and whoever reads
// the topic passes over records of a reign that was over at that point. All
// readers see the same order, so all of them come to the same state.
//
//   - A reign begins with the first record that names a higher number than any
//     before: the NOOP by which a new leader takes over. Of two that name the
//     same number, the first counts.
//   - A record that names no reign (Confluent's registry, older topics) counts.
//   - A leader answers a request only once it has read its records back and they
//     counted.
//   - A reign's number is the time at which it began, in milliseconds, or one more
//     than the last one's, whichever is higher. The last one's alone would not do:
//     a NOOP has no value, so compaction removes it, and a reign in which nothing
//     else was written is forgotten by the topic, but not by those who have read it.
//   - Compaction keeps the last record of a key, which may be one that does not
//     count. Therefore the leader writes what holds for such a key again, and a
//     new leader does so for all that it has met.

// reignHeader is the record header that names the writer's reign: its number in
// decimal, a space, and what tells the writer from others.
const reignHeader = "alertlab-reign"

// reign is one writer's time.
type reign struct {
	number uint64
	writer string
}

func (r reign) String() string { return strconv.FormatUint(r.number, 10) + " " + r.writer }

func (r reign) headers() []kgo.RecordHeader {
	if r == (reign{}) {
		return nil
	}
	return []kgo.RecordHeader{{Key: reignHeader, Value: []byte(r.String())}}
}

// reignOf reads the reign that a record names; ok is false if it names none. The
// error says that it names one that cannot be understood.
func reignOf(record *kgo.Record) (r reign, ok bool, err error) {
	for _, h := range record.Headers {
		if h.Key == reignHeader {
			r, err = parseReign(string(h.Value))
			return r, true, err
		}
	}
	return reign{}, false, nil
}

func parseReign(text string) (reign, error) {
	number, writer, ok := strings.Cut(text, " ")
	n, err := strconv.ParseUint(number, 10, 63)
	if !ok || err != nil || n == 0 || writer == "" || number[0] == '0' || number[0] == '+' {
		return reign{}, fmt.Errorf("header %s: %.40q is no number and writer", reignHeader, text)
	}
	return reign{number: n, writer: writer}, nil
}

// fence is what the records read so far say about writers.
type fence struct {
	// current is the reign that holds; zero before any.
	current reign
	// late are the offsets of records that did not count.
	late map[int64]bool
	// spoilt are their keys, each until a record of it counts again.
	spoilt map[string]bool
}

// following is the reign that a writer begins now.
func (f *fence) following(now time.Time, writer string) reign {
	number := f.current.number + 1
	if millis := now.UnixMilli(); millis > 0 {
		number = max(number, uint64(millis))
	}
	return reign{number: number, writer: writer}
}

// admit decides whether a record counts. It must see every record, in order.
func (f *fence) admit(record *kgo.Record) bool {
	r, named, err := reignOf(record)
	switch {
	case err != nil:
		// Whoever wrote it meant to be fenced.
	case !named, r == f.current:
		delete(f.spoilt, string(record.Key))
		return true
	case r.number > f.current.number:
		f.current = r
		delete(f.spoilt, string(record.Key))
		return true
	}
	if f.late == nil {
		f.late, f.spoilt = make(map[int64]bool), make(map[string]bool)
	}
	f.late[record.Offset] = true
	f.spoilt[string(record.Key)] = true
	return false
}
