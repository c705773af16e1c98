package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kfake writes batches, commits, users, ACLs and topics before it answers, so a
// killed process loses none of them. What it writes only when it is closed is
// made up for here, before it loads, from the headers of the batches on disk:
//
//   - producers' sequence numbers, without which batches of producers that
//     outlive the crash are taken in any order, and retries are stored twice;
//   - a snapshot of each partition, without which kfake loads the whole log into
//     memory at once;
//   - the end of partitions that retention has emptied, without which their
//     offsets start at zero again. That one is missing after a clean stop too.

const (
	windowsFile  = "seq_windows.json"
	snapshotFile = "snapshot.json"
)

// topicList is kfake's file of topics, version 1, as far as we read it.
type topicList struct {
	Topics []struct {
		Name       string `json:"name"`
		ID         []byte `json:"id"` // 16 bytes
		Partitions int32  `json:"partitions"`
	} `json:"topics"`
}

// recoverData mends what a crash, or retention, left behind in dir.
func recoverData(dir string, log *slog.Logger) error {
	fail := func(err error) error { return &DataDirError{dir, "recovering", err} }
	var list topicList
	switch err := readJSON(filepath.Join(dir, "topics.json"), &list); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fail(err)
	}
	m, err := readMarks(dir)
	if err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(dir, windowsFile))
	crashed := errors.Is(err, fs.ErrNotExist)
	windows := &sequenceWindows{Version: 1}
	for _, t := range list.Topics {
		for p := range t.Partitions {
			var was mark
			if old := m[t.Name]; slices.Equal(old.ID[:], t.ID) {
				was = old.Partitions[p]
			}
			pdir := filepath.Join(dir, "partitions", fmt.Sprintf("%s-%d", url.PathEscape(t.Name), p))
			if err := recoverPartition(pdir, was, crashed, func(h header) { windows.add(t.Name, p, h) }); err != nil {
				return fail(err)
			}
		}
	}
	if !crashed {
		return nil
	}
	log.Warn("broker data was not closed; recovered", "dir", dir, "producers", len(windows.Windows))
	if err := writeJSON(filepath.Join(dir, windowsFile), windows); err != nil {
		return fail(err)
	}
	return nil
}

// opened forgets the sequence numbers that were loaded: after a crash they would
// be taken for current ones.
func opened(dir string) error {
	if err := os.Remove(filepath.Join(dir, windowsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &DataDirError{dir, "marking it as in use", err}
	}
	return nil
}

func recoverPartition(pdir string, was mark, crashed bool, each func(header)) error {
	bases, err := segments(pdir)
	if err != nil {
		return err
	}
	if !crashed && len(bases) > 0 {
		return nil
	}
	s := snapshot{Version: 1, Start: was.Start, Epoch: was.Epoch, Created: time.Now()}
	transactions := false
	for _, base := range bases {
		seg := snapshotSegment{Base: base}
		path := filepath.Join(pdir, strconv.FormatInt(base, 10)+".dat")
		seg.Size, err = walk(path, func(h header) {
			if s.End == 0 {
				s.Start = max(s.Start, h.offset())
				s.Created = time.UnixMilli(int64(binary.BigEndian.Uint64(h[batchFirstTime:])))
			}
			s.End = h.offset() + int64(h.lastDelta()) + 1
			s.Newest = max(s.Newest, int64(binary.BigEndian.Uint64(h[batchMaxTime:])))
			epoch := int32(binary.BigEndian.Uint32(h[batchLeaderEpoch:]))
			if seg.Least == 0 {
				seg.Least = epoch
			}
			seg.Most = max(seg.Most, epoch)
			s.Epoch = max(s.Epoch, epoch)
			transactions = transactions || h.attributes()&attributeTransaction != 0
			each(h)
		})
		if err != nil {
			return err
		}
		s.Segments = append(s.Segments, seg)
	}
	switch path := filepath.Join(pdir, snapshotFile); {
	case s.End == 0: // nothing, or nothing whole
		for _, base := range bases {
			if err := os.Remove(filepath.Join(pdir, strconv.FormatInt(base, 10)+".dat")); err != nil {
				return err
			}
		}
		return plant(pdir, was)
	case transactions: // kfake finds out by itself which were open
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	default:
		s.Stable = s.End
		s.Start = min(s.Start, s.End)
		return writeJSON(path, s)
	}
}

// segments lists the base offsets of a partition's segments, ascending.
func segments(pdir string) ([]int64, error) {
	entries, err := os.ReadDir(pdir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var bases []int64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".dat")
		if base, err := strconv.ParseInt(name, 10, 64); ok && err == nil {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	return bases, nil
}

// header is the start of a record batch.
type header []byte

func (h header) offset() int64      { return int64(binary.BigEndian.Uint64(h[batchOffset:])) }
func (h header) attributes() uint16 { return binary.BigEndian.Uint16(h[batchAttributes:]) }
func (h header) lastDelta() int32   { return int32(binary.BigEndian.Uint32(h[batchLastDelta:])) }

// walk reads the headers of a segment, cuts off a batch that was not written
// whole, and returns the segment's size in bytes.
func walk(path string, each func(header)) (int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	h := make(header, batchHeader)
	var at int64
	for {
		if _, err := f.ReadAt(h, at); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, err
		}
		size := batchLength + 4 + int64(binary.BigEndian.Uint32(h[batchLength:]))
		if size < batchHeader || at+size > info.Size() {
			break
		}
		at += size
		each(h)
	}
	if at < info.Size() {
		return at, f.Truncate(at)
	}
	return at, nil
}

// snapshot is kfake's file about one partition, version 1.
type snapshot struct {
	Version  int               `json:"version"`
	End      int64             `json:"high_watermark"`
	Stable   int64             `json:"last_stable_offset"`
	Start    int64             `json:"log_start_offset"`
	Epoch    int32             `json:"epoch"`
	Newest   int64             `json:"max_timestamp"`
	Created  time.Time         `json:"created_at"`
	Segments []snapshotSegment `json:"segments"`
}

type snapshotSegment struct {
	Base  int64 `json:"base_offset"`
	Size  int64 `json:"size"`
	Least int32 `json:"min_epoch"`
	Most  int32 `json:"max_epoch"`
}

// plant puts an empty batch, as compaction leaves them in Kafka, before the
// offset at which the partition ended, so that it goes on from there.
func plant(pdir string, at mark) error {
	if at.End == 0 {
		return nil
	}
	b := make([]byte, batchHeader)
	binary.BigEndian.PutUint64(b[batchOffset:], uint64(at.End-1))
	binary.BigEndian.PutUint32(b[batchLength:], batchHeader-batchLength-4)
	binary.BigEndian.PutUint32(b[batchLeaderEpoch:], uint32(at.Epoch))
	b[batchMagic] = 2
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint64(b[batchFirstTime:], now)
	binary.BigEndian.PutUint64(b[batchMaxTime:], now)
	binary.BigEndian.PutUint64(b[batchProducer:], math.MaxUint64) // -1: none
	binary.BigEndian.PutUint16(b[batchEpoch:], math.MaxUint16)
	binary.BigEndian.PutUint32(b[batchSequence:], math.MaxUint32)
	seal(b)
	if err := os.MkdirAll(pdir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(pdir, strconv.FormatInt(at.End-1, 10)+".dat"), b, 0o600)
}

// sequenceWindows is kfake's file of producers' last batches, version 1.
type sequenceWindows struct {
	Version int              `json:"version"`
	Windows []sequenceWindow `json:"windows"`

	last map[windowKey]int
}

type sequenceWindow struct {
	PID     int64             `json:"pid"`
	Topic   string            `json:"topic"`
	Part    int32             `json:"partition"`
	Entries [5]sequencedBatch `json:"entries"`
	Count   uint8             `json:"count"`
	At      uint8             `json:"at"` // where the next one goes
	Epoch   int16             `json:"epoch"`
	Seen    bool              `json:"seen"`
	NextSeq int32             `json:"next_seq"`
}

type sequencedBatch struct {
	FirstSeq int32 `json:"first_seq"`
	NextSeq  int32 `json:"next_seq"`
	Offset   int64 `json:"offset"`
}

type windowKey struct {
	pid   int64
	topic string
	part  int32
}

// add counts the next batch of a partition.
func (w *sequenceWindows) add(topic string, part int32, h header) {
	pid := int64(binary.BigEndian.Uint64(h[batchProducer:]))
	if pid < 0 || h.attributes()&attributeControl != 0 {
		return
	}
	epoch := int16(binary.BigEndian.Uint16(h[batchEpoch:]))
	first := int32(binary.BigEndian.Uint32(h[batchSequence:]))
	key := windowKey{pid, topic, part}
	i, ok := w.last[key]
	if !ok {
		if w.last == nil {
			w.last = make(map[windowKey]int)
		}
		i = len(w.Windows)
		w.last[key] = i
		w.Windows = append(w.Windows, sequenceWindow{PID: pid, Topic: topic, Part: part, Seen: true, Epoch: epoch})
	}
	window := &w.Windows[i]
	if window.Epoch != epoch { // sequences start again with an epoch
		*window = sequenceWindow{PID: pid, Topic: topic, Part: part, Seen: true, Epoch: epoch}
	}
	// Sequence numbers wrap as kfake counts them.
	next := int32((int64(first) + int64(h.lastDelta()) + 1) % math.MaxInt32)
	window.Entries[window.At] = sequencedBatch{first, next, h.offset()}
	window.At = (window.At + 1) % uint8(len(window.Entries))
	window.Count = min(window.Count+1, uint8(len(window.Entries)))
	window.NextSeq = next
}
