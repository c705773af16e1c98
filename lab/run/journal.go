package run

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/alertlab/alertlab/lab/plan"
)

// Entry is one finished step, or one that began. It holds all that a later plan needs to know of
// it, and no secret: inputs name users, never passwords.
type Entry struct {
	Time     time.Time         `json:"time"`
	Plan     string            `json:"plan"` // digest of the plan that the step belongs to
	Step     string            `json:"step"`
	Action   plan.Action       `json:"action"`
	Input    json.RawMessage   `json:"input,omitempty"`    // references unresolved, as planned
	Resolved json.RawMessage   `json:"resolved,omitempty"` // references resolved, as applied
	Outputs  map[string]string `json:"outputs,omitempty"`
	Elapsed  time.Duration     `json:"elapsed"` // nanoseconds
	// Gates are those of a finished step, each with the time at which it was seen open.
	Gates []Opening `json:"gates,omitempty"`
	// Begun marks a step that began. It counts until the same part's next entry:
	// a step whose end is not written down has done nobody knows what.
	Begun bool `json:"begun,omitempty"`
	// Holds are what the part stores, of a finished step, as planned.
	Holds []plan.Hold `json:"holds,omitempty"`
	// Destroys is what a step that began was allowed to destroy.
	Destroys []string `json:"destroys,omitempty"`
}

// Opening is a gate that opened.
type Opening struct {
	Gate string    `json:"gate"`
	Time time.Time `json:"time"`
}

// Journal is the file of a lab's steps, one JSON object a line. Safe
// for use by many goroutines.
type Journal struct {
	path string

	mu      sync.Mutex
	file    *os.File
	size    int64 // bytes of whole lines in file
	entries []Entry
}

// OpenJournal reads the journal at path, or begins one. Of every part only the
// last entry counts, and the last of a finished step, so older ones are dropped here; a last line that was cut
// short by a crash is dropped too, since its step was never reported as done.
func OpenJournal(path string) (*Journal, error) {
	j := &Journal{path: path}
	entries, err := readJournal(path)
	if err != nil {
		return nil, err
	}
	j.entries = latest(entries)
	if err := j.rewrite(); err != nil {
		return nil, err
	}
	if j.file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	info, err := j.file.Stat()
	if err != nil {
		return nil, errors.Join(err, j.file.Close())
	}
	j.size = info.Size()
	return j, nil
}

// ReadJournal reads what Journal.Entries gives without opening the journal for
// writing, for a process that does not own it.
func ReadJournal(path string) ([]Entry, error) {
	entries, err := readJournal(path)
	return latest(entries), err
}

func readJournal(path string) ([]Entry, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var entries []Entry
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	n := 1
	for ; lines.Scan(); n++ {
		e, err := parseEntry(lines.Bytes())
		if err != nil {
			if !lines.Scan() && lines.Err() == nil {
				return entries, nil // the line that a crash cut short
			}
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", path, n, err)
	}
	return entries, nil
}

func parseEntry(line []byte) (Entry, error) {
	var e Entry
	err := json.Unmarshal(line, &e)
	if err == nil && e.Step == "" {
		err = errors.New("the entry names no step")
	}
	return e, err
}

// latest keeps the last finished step of each part, and those that began after it,
// in order. Of several that began alike the last one counts. A removed part has none.
func latest(entries []Entry) []Entry {
	var out []Entry
	for i, e := range entries {
		later := slices.ContainsFunc(entries[i+1:], func(o Entry) bool {
			return o.Step == e.Step && (!o.Begun || e.Begun && bytes.Equal(o.Resolved, e.Resolved) && slices.Equal(o.Destroys, e.Destroys))
		})
		if !later && e.Action != plan.Remove {
			out = append(out, e)
		}
	}
	return out
}

// rewrite replaces the file by the entries in memory, at once.
func (j *Journal) rewrite() error {
	tmp, err := os.CreateTemp(filepath.Dir(j.path), ".journal-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	enc := json.NewEncoder(tmp)
	for _, e := range j.entries {
		if err := enc.Encode(e); err != nil {
			tmp.Close()
			return err
		}
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), j.path)
}

// Begin adds a step whose work is about to begin.
func (j *Journal) Begin(e Entry) error {
	e.Begun = true
	return j.Append(e)
}

// Append adds a finished step. When it returns, the entry survives the death of
// the process (not that of the machine).
func (j *Journal) Append(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	n, err := j.file.Write(append(line, '\n'))
	if err != nil {
		// Half a line (a full disk) would spoil the one after it.
		return errors.Join(fmt.Errorf("writing the journal: %w", err), j.file.Truncate(j.size))
	}
	j.size += int64(n)
	j.entries = latest(append(j.entries, e))
	return nil
}

// Entries gives the last finished step of every part, and those that began since.
func (j *Journal) Entries() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

// Close closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}

// Last gives the last finished step of a part, empty when there is none, and the
// steps that began since.
func Last(entries []Entry, part string) (finished Entry, begun []Entry) {
	for _, e := range entries {
		switch {
		case e.Step != part:
		case e.Begun:
			begun = append(begun, e)
		default:
			finished, begun = e, nil
		}
	}
	return finished, begun
}

// Outputs gathers the last outputs of every part, by part and name.
func Outputs(entries []Entry) map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, e := range entries {
		if len(e.Outputs) > 0 && !e.Begun {
			out[e.Step] = e.Outputs
		}
	}
	return out
}
