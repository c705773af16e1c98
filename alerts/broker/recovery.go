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
// made up for here, before it loads: producers' sequence numbers, without which
// a retry after the crash is stored twice, and the end of partitions that
// retention has emptied, without which offsets start at zero again.

const windowsFile = "seq_windows.json"

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
	crashed := false
	if _, err := os.Stat(filepath.Join(dir, windowsFile)); errors.Is(err, fs.ErrNotExist) {
		crashed = true
	}
	windows := &sequenceWindows{Version: 1}
	for _, t := range list.Topics {
		for p := range t.Partitions {
			pdir := filepath.Join(dir, "partitions", fmt.Sprintf("%s-%d", url.PathEscape(t.Name), p))
			segments, err := segmentFiles(pdir)
			if err != nil {
				return fail(err)
			}
			if len(segments) == 0 {
				floor := mark{}
				if was := m[t.Name]; slices.Equal(was.ID[:], t.ID) {
					floor = was.Partitions[p]
				}
				if err := plant(pdir, floor); err != nil {
					return fail(err)
				}
				continue
			}
			if crashed {
				if err := windows.scan(t.Name, p, segments); err != nil {
					return fail(err)
				}
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
// be taken for current ones, and producers that live on refused.
func opened(dir string) error {
	if err := os.Remove(filepath.Join(dir, windowsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &DataDirError{dir, "marking it as in use", err}
	}
	return nil
}

// segmentFiles lists a partition's segments, oldest first.
func segmentFiles(pdir string) ([]string, error) {
	entries, err := os.ReadDir(pdir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	bases := make(map[string]int64)
	var files []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".dat")
		base, err := strconv.ParseInt(name, 10, 64)
		if !ok || err != nil {
			continue
		}
		path := filepath.Join(pdir, e.Name())
		bases[path] = base
		files = append(files, path)
	}
	slices.SortFunc(files, func(a, b string) int {
		return int(max(-1, min(1, bases[a]-bases[b])))
	})
	return files, nil
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
	binary.BigEndian.PutUint32(b[batchLength+4:], uint32(at.Epoch))
	b[batchMagic] = 2
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint64(b[batchFirstTime:], now)
	binary.BigEndian.PutUint64(b[batchMaxTime:], now)
	none := int64(-1)
	binary.BigEndian.PutUint64(b[batchProducer:], uint64(none))
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

// scan adds the batches of a partition, of which it reads only the headers. It
// stops at a torn one, as kfake does when it loads.
func (w *sequenceWindows) scan(topic string, part int32, segments []string) error {
	for _, path := range segments {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = eachHeader(f, func(h []byte) { w.add(topic, part, h) })
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func eachHeader(f *os.File, fn func([]byte)) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := make([]byte, batchHeader)
	for at := int64(0); ; {
		if _, err := f.ReadAt(h, at); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		at += batchLength + 4 + int64(binary.BigEndian.Uint32(h[batchLength:]))
		if at > info.Size() {
			return nil
		}
		fn(h)
	}
}

func (w *sequenceWindows) add(topic string, part int32, h []byte) {
	pid := int64(binary.BigEndian.Uint64(h[batchProducer:]))
	if pid < 0 || binary.BigEndian.Uint16(h[batchAttributes:])&attributeControl != 0 {
		return
	}
	epoch := int16(binary.BigEndian.Uint16(h[batchEpoch:]))
	first := int32(binary.BigEndian.Uint32(h[batchSequence:]))
	records := int64(binary.BigEndian.Uint32(h[batchLastDelta:])) + 1
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
	next := int32((int64(first) + records) % math.MaxInt32)
	window.Entries[window.At] = sequencedBatch{first, next, int64(binary.BigEndian.Uint64(h[batchOffset:]))}
	window.At = (window.At + 1) % uint8(len(window.Entries))
	window.Count = min(window.Count+1, uint8(len(window.Entries)))
	window.NextSeq = next
}
