package broker

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// testBatch is a batch of n records (without bodies) of producer 7.
func testBatch(offset int64, n int, sequence int32, epoch int16, attributes uint16) []byte {
	b := make([]byte, batchHeader+10)
	binary.BigEndian.PutUint64(b[batchOffset:], uint64(offset))
	binary.BigEndian.PutUint32(b[batchLength:], uint32(len(b)-batchLength-4))
	binary.BigEndian.PutUint32(b[batchLeaderEpoch:], 5)
	b[batchMagic] = 2
	binary.BigEndian.PutUint16(b[batchAttributes:], attributes)
	binary.BigEndian.PutUint32(b[batchLastDelta:], uint32(n-1))
	binary.BigEndian.PutUint64(b[batchProducer:], 7)
	binary.BigEndian.PutUint16(b[batchEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(b[batchSequence:], uint32(sequence))
	seal(b)
	return b
}

func TestRecoverPartition(t *testing.T) {
	t.Parallel()
	whole := testBatch(10, 2, 0, 0, 0)
	next := testBatch(12, 3, 2, 0, 0)
	for name, test := range map[string]struct {
		files    map[string][]byte
		was      mark
		clean    bool
		sizes    map[string]int // what is there afterwards
		snapshot *snapshot
	}{
		"nothing": {sizes: map[string]int{}},
		"emptied": {was: mark{20, 20, 3}, sizes: map[string]int{"19.dat": batchHeader}},
		"emptied, closed": {was: mark{20, 20, 3}, clean: true,
			sizes: map[string]int{"19.dat": batchHeader}},
		"closed": {files: map[string][]byte{"10.dat": whole}, clean: true, sizes: map[string]int{"10.dat": len(whole)}},
		"whole": {files: map[string][]byte{"10.dat": whole, "12.dat": next}, was: mark{11, 12, 9},
			sizes:    map[string]int{"10.dat": len(whole), "12.dat": len(next)},
			snapshot: &snapshot{Start: 11, End: 15, Epoch: 9}},
		"torn": {files: map[string][]byte{"10.dat": append(slices.Clone(whole), next[:40]...)},
			sizes: map[string]int{"10.dat": len(whole)}, snapshot: &snapshot{Start: 10, End: 12, Epoch: 5}},
		"torn in the body": {files: map[string][]byte{"10.dat": append(slices.Clone(whole), next[:len(next)-1]...)},
			sizes: map[string]int{"10.dat": len(whole)}, snapshot: &snapshot{Start: 10, End: 12, Epoch: 5}},
		"torn at once": {files: map[string][]byte{"20.dat": whole[:50]}, was: mark{20, 20, 3},
			sizes: map[string]int{"19.dat": batchHeader}},
		"transactions": {files: map[string][]byte{"10.dat": testBatch(10, 2, 0, 0, attributeTransaction)},
			sizes: map[string]int{"10.dat": len(whole)}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, b := range test.files {
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := recoverPartition(dir, test.was, !test.clean, func(header) {}); err != nil {
				t.Fatal(err)
			}
			bases, err := segments(dir)
			if err != nil || len(bases) != len(test.sizes) {
				t.Errorf("segments %v, %v", bases, err)
			}
			for name, size := range test.sizes {
				if info, err := os.Stat(filepath.Join(dir, name)); err != nil || int(info.Size()) != size {
					t.Errorf("%s: %v, %v, want %d bytes", name, info, err, size)
				}
			}
			var got snapshot
			err = readJSON(filepath.Join(dir, snapshotFile), &got)
			if (err == nil) != (test.snapshot != nil) {
				t.Fatalf("snapshot: %v", err)
			}
			if w := test.snapshot; w != nil && (got.Start != w.Start || got.End != w.End || got.Stable != w.End || got.Epoch != w.Epoch) {
				t.Errorf("snapshot is %+v, want %+v", got, *w)
			}
		})
	}
}

func TestSequenceWindows(t *testing.T) {
	t.Parallel()
	w := &sequenceWindows{}
	add := func(offset int64, n int, sequence int32, epoch int16, attributes uint16) {
		w.add("alerts", 3, header(testBatch(offset, n, sequence, epoch, attributes)))
	}
	for i := range int32(7) {
		add(int64(2*i), 2, 2*i, 0, 0)
	}
	add(14, 1, 99, 0, attributeControl) // does not count
	got := w.Windows[0]
	// Seven batches on a ring of five: the oldest two are gone.
	want := sequenceWindow{PID: 7, Topic: "alerts", Part: 3, Count: 5, At: 2, Seen: true, NextSeq: 14,
		Entries: [5]sequencedBatch{{10, 12, 10}, {12, 14, 12}, {4, 6, 4}, {6, 8, 6}, {8, 10, 8}}}
	if len(w.Windows) != 1 || got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	add(15, 4, 0, 1, 0) // a new epoch begins at zero
	want = sequenceWindow{PID: 7, Topic: "alerts", Part: 3, Count: 1, At: 1, Seen: true, Epoch: 1, NextSeq: 4,
		Entries: [5]sequencedBatch{{0, 4, 15}}}
	if got := w.Windows[0]; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
