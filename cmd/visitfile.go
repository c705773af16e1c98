package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/content/schemas"
	"github.com/alertlab/alertlab/lab/fault"
)

// visitFile is an Avro object container file that was read once from its beginning to
// its end, so that it can be used without surprises.
type visitFile struct {
	path   string
	from   *packet.Schema // of the file
	to     *packet.Schema // in which its alerts are written; from, or another one
	alerts int64
	losses []packet.Loss // when to is another one than from
}

// longCheck is the size of a file, in bytes, from which on reading it takes long
// enough to be shown.
const longCheck = 256 << 20

// checkVisit reads the whole file. version is the schema in which its alerts are to be
// written, "" for the file's own.
func (a *app) checkVisit(ctx context.Context, path, version string, quiet bool) (*visitFile, error) {
	v := &visitFile{path: path}
	if version != "" {
		var err error
		if v.to, err = a.namedSchema(version); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.Wrap(fault.BadInput, "the file cannot be read", err, "alertlab simulator generate "+path)
	}
	check := func(_ context.Context, progress func(done, total int64, unit string)) error {
		return v.check(ctx, func(read int64) { progress(read>>20, info.Size()>>20, "MiB") })
	}
	if info.Size() < longCheck {
		err = check(ctx, func(int64, int64, string) {})
	} else {
		err = a.showing(ctx, quiet, "check", "read "+path+" once to its end", check)
	}
	var f *fault.Fault
	if err != nil && !errors.As(err, &f) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return v, err
}

func (v *visitFile) check(ctx context.Context, progress func(read int64)) error {
	f, err := os.Open(v.path)
	if err != nil {
		return fault.Wrap(fault.BadInput, "the file cannot be read", err, "alertlab simulator generate "+v.path)
	}
	defer f.Close()
	container, err := packet.NewContainerReader(f)
	if err != nil {
		return err
	}
	v.from = container.Schema()
	if v.to == nil {
		v.to = v.from
	}
	if v.to.Version() == (packet.Version{}) {
		return fault.New(fault.BadInput, v.path+" is not of the alert schema series", "the namespace of its schema tells no version, so its messages would have no schema id",
			"have its alerts written in a published schema: --schema 11.0")
	}
	var source = simulator.Container(container)
	converter, err := v.converter()
	if err != nil {
		return err
	}
	if converter != nil {
		source = simulator.Converted(source, converter)
	}
	for {
		body, err := source.Next(ctx)
		switch {
		case errors.Is(err, io.EOF) && v.alerts == 0:
			return simulator.ErrEmptySource
		case errors.Is(err, io.EOF):
			if converter != nil {
				v.losses = converter.Losses()
			}
			return nil
		case err != nil:
			return err
		}
		if _, err := v.to.Head(body); err != nil {
			return &simulator.SourceError{Index: v.alerts, Err: err}
		}
		if v.alerts++; v.alerts%64 == 0 {
			if at, err := f.Seek(0, io.SeekCurrent); err == nil {
				progress(at)
			}
		}
	}
}

// converter gives what writes the file's alerts anew, nil when nothing does.
func (v *visitFile) converter() (*packet.Converter, error) {
	if v.to == v.from || v.to.Canonical() == v.from.Canonical() {
		return nil, nil
	}
	return packet.NewConverter(v.from, v.to)
}

// open is a simulator.Input: the file's alerts from the first one on.
func (v *visitFile) open() (simulator.Source, *packet.Schema, error) {
	raw, _, err := v.raw()
	if err != nil {
		return nil, nil, err
	}
	converter, err := v.converter()
	if err != nil {
		raw.Close()
		return nil, nil, err
	}
	if converter != nil {
		return simulator.Converted(raw, converter), v.to, nil
	}
	return raw, v.to, nil
}

// raw opens the file as it is.
func (v *visitFile) raw() (closingSource, *packet.Schema, error) {
	f, err := os.Open(v.path)
	if err != nil {
		return closingSource{}, nil, fault.Wrap(fault.BadInput, "the file cannot be read", err, "alertlab simulator generate "+v.path)
	}
	container, err := packet.NewContainerReader(f)
	if err != nil {
		f.Close()
		return closingSource{}, nil, fmt.Errorf("%s: %w", v.path, err)
	}
	return closingSource{simulator.Container(container), f}, container.Schema(), nil
}

// closingSource closes its file.
type closingSource struct {
	simulator.Source
	io.Closer
}

// namedSchema gives the schema of a version that a user named, which may be a draft of
// the lab.
func (a *app) namedSchema(text string) (*packet.Schema, error) {
	schema, err := a.schemaOf(text)
	if err == nil {
		return schema, nil
	}
	known := strings.Join(append(schemas.Versions(), a.draftVersions()...), ", ")
	return nil, fault.Wrap(fault.BadInput, "the schema cannot be used", fmt.Errorf("%w (there are %s)", err, known), "name one of these: --schema 11.0")
}

// lossLines lists losses for people, by record and kind, in lines of at most width
// characters.
func lossLines(losses []packet.Loss, alerts int64, width int) []string {
	var lines []string
	for _, dropped := range []bool{true, false} {
		var records []string
		fields := map[string][]string{}
		n := 0
		for _, l := range losses {
			if l.Dropped != dropped {
				continue
			}
			n++
			record, name := "", l.Field
			if i := strings.LastIndexByte(l.Field, '.'); i >= 0 {
				record, name = l.Field[:i], l.Field[i+1:]
			}
			if l.Default != "" && l.Default != "null" {
				name += " (" + l.Default + ")"
			}
			if l.Alerts < alerts {
				name += fmt.Sprintf(" in %d", l.Alerts)
			}
			record = first(record, "alert")
			if !slices.Contains(records, record) {
				records = append(records, record)
			}
			fields[record] = append(fields[record], name)
		}
		if n == 0 {
			continue
		}
		if dropped {
			lines = append(lines, fmt.Sprintf("dropped, because the new schema has no place for them: %d fields", n))
		} else {
			lines = append(lines, fmt.Sprintf("not in the old schema, null where nothing else is said: %d fields", n))
		}
		// Sources of today and of the past usually lose the same.
		titles := map[string]string{}
		for i, record := range records {
			titles[record] = record
			for _, before := range records[:i] {
				if titles[before] != "" && slices.Equal(fields[before], fields[record]) {
					titles[before], titles[record] = titles[before]+", "+record, ""
				}
			}
		}
		for _, record := range records {
			if titles[record] == "" {
				continue
			}
			line := "  " + titles[record] + ":"
			names := numbered(fields[record])
			for i, name := range names {
				if i < len(names)-1 {
					name += ","
				}
				if len(line)+1+len(name) > width {
					lines = append(lines, line)
					line = "   "
				}
				line += " " + name
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// numbered writes three or more names that differ in a number at their end only, and
// count up one after another, as the first "to" the last number: the past's 192
// coefficients of periodic light curves are six such runs.
func numbered(names []string) []string {
	split := func(name string) (stem string, n int, ok bool) {
		stem = strings.TrimRight(name, "0123456789")
		n, err := strconv.Atoi(name[len(stem):])
		return stem, n, err == nil
	}
	var out []string
	for i := 0; i < len(names); {
		end := i + 1
		if stem, n, ok := split(names[i]); ok {
			for end < len(names) {
				next, m, ok := split(names[end])
				if !ok || next != stem || m != n+end-i {
					break
				}
				end++
			}
			if end-i >= 3 {
				out = append(out, names[i]+" to "+names[end-1][len(stem):])
				i = end
				continue
			}
		}
		out = append(out, names[i])
		i++
	}
	return out
}
