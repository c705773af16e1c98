package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
)

// textLimit bounds the text of a value that is no alert, in bytes.
const textLimit = 4096

// Message is a record as a reader understands it.
type Message struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time,omitzero"`
	Key       string    `json:"key,omitempty"` // text, or base64 after "base64:"
	Headers   []Header  `json:"headers,omitempty"`
	Bytes     int       `json:"bytes"` // of the value
	Schema    *Schema   `json:"schema,omitempty"`
	// ID is the top-level alertId or diaSourceId, by the schema.
	ID      *int64   `json:"id,omitempty"`
	Summary *Summary `json:"summary,omitempty"`
	// Alert is the whole alert, when it was asked for; see Decoder.
	Alert any `json:"alert,omitempty"`
	// Malformed says why the value is no alert: it tells of the message.
	Malformed string `json:"malformed,omitempty"`
	// Unread says why the value could not be decoded although it may be sound:
	// it tells of the registry.
	Unread string `json:"unread,omitempty"`
	// Text is a value that is no alert and is text, at most 4096 bytes of it.
	Text string `json:"text,omitempty"`
}

// Header is a record's header; Value is text, or base64 after "base64:".
type Header struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Schema is the writer schema that a message's header names.
type Schema struct {
	ID      int    `json:"id"`
	Version string `json:"version,omitempty"` // of the alert schema, e.g. "11.0"
	// Subjects are those under which the registry has it.
	Subjects []SubjectVersion `json:"subjects,omitempty"`
}

// SubjectVersion is a version of a registry's subject.
type SubjectVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// Summary is what one wants to see of an alert at once. Fields that its schema
// does not have, that are null or that are no number are nil.
type Summary struct {
	MJD     *float64 `json:"mjd,omitempty"` // mid-exposure time, days TAI
	RA      *float64 `json:"ra,omitempty"`  // degrees
	Dec     *float64 `json:"dec,omitempty"` // degrees
	Band    string   `json:"band,omitempty"`
	SNR     *float64 `json:"snr,omitempty"`
	Flux    *float64 `json:"flux,omitempty"`    // difference flux of a point source, nJy
	FluxErr *float64 `json:"fluxErr,omitempty"` // nJy
	// Sources, Forced count the history: prvDiaSources, prvDiaForcedSources.
	Sources int `json:"prvDiaSources"`
	Forced  int `json:"prvDiaForcedSources"`
	// Cutouts are their sizes in bytes, by field.
	Cutouts     map[string]int `json:"cutouts,omitempty"`
	SolarSystem bool           `json:"solarSystem,omitempty"` // it has an ssSource or ssObject
}

// How much of an alert a Decoder gives beside the summary.
const (
	SummaryOnly = iota
	WithAlert   // and Alert, bytes being {"bytes": their number}
	Full        // and Alert, bytes in base64
)

// Decoder turns records into Messages, with the schemas of a registry, each of
// which it asks for once; without a registry with the published alert schemas. It is
// not safe for use by several goroutines.
type Decoder struct {
	registry *registry.Client
	depth    int
	known    map[uint32]*writer
}

// writer is a schema as far as it could be had.
type writer struct {
	about     Schema
	schema    *packet.Schema
	malformed string // there is no such schema
	unread    string // it could not be had, or not be used
}

// NewDecoder makes a decoder; depth is SummaryOnly, WithAlert or Full, schemas may be
// nil.
func NewDecoder(schemas *registry.Client, depth int) *Decoder {
	return &Decoder{registry: schemas, depth: depth, known: map[uint32]*writer{}}
}

// Know has the decoder use this schema for its id, whatever a registry says.
func (d *Decoder) Know(schema *packet.Schema) {
	w := &writer{about: Schema{ID: schema.ID()}, schema: schema}
	if v := schema.Version(); v != (packet.Version{}) {
		w.about.Version = v.String()
	}
	d.known[uint32(schema.ID())] = w
}

// ID gives a record's alert id, and false when it has none. It decodes no more
// than it must, for going through many records.
func (d *Decoder) ID(ctx context.Context, r *kgo.Record) (int64, bool) {
	id, body, err := packet.Unframe(r.Value)
	if err != nil {
		return 0, false
	}
	w := d.writer(ctx, id)
	if w.schema == nil {
		return 0, false
	}
	head, err := w.schema.Head(body)
	return head.ID, err == nil
}

// Message decodes a record. Whatever is wrong with it stands in the result.
func (d *Decoder) Message(ctx context.Context, r *kgo.Record) Message {
	m := Message{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UTC(), Key: text(r.Key), Bytes: len(r.Value)}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, Header{h.Key, text(h.Value)})
	}
	id, body, err := packet.Unframe(r.Value)
	if err != nil {
		m.Malformed = err.Error()
		if r.Value == nil {
			m.Malformed = "no value: the key is deleted in a compacted topic"
		}
		if readable(r.Value) {
			m.Text = string(r.Value[:min(len(r.Value), textLimit)])
			for !utf8.ValidString(m.Text) {
				m.Text = m.Text[:len(m.Text)-1] // cut inside a character
			}
		}
		return m
	}
	w := d.writer(ctx, id)
	about := w.about
	m.Schema, m.Malformed, m.Unread = &about, w.malformed, w.unread
	if w.schema == nil {
		return m
	}
	alert, err := w.schema.Decode(body)
	if err != nil {
		m.Malformed = err.Error()
		return m
	}
	if head, err := w.schema.Head(body); err == nil {
		m.ID = &head.ID
		m.Summary = summary(alert, head)
	}
	// What is no alert by its schema is shown whole, since there is no summary.
	if d.depth > SummaryOnly {
		m.Alert = plain(alert, d.depth == Full)
	}
	return m
}

func (d *Decoder) writer(ctx context.Context, id uint32) *writer {
	if w := d.known[id]; w != nil {
		return w
	}
	if d.registry == nil {
		if s, err := packet.Published(packet.VersionFromID(int(id))); err == nil {
			d.Know(s)
		} else {
			d.known[id] = &writer{about: Schema{ID: int(id)}, unread: fmt.Sprintf("no published alert schema has id %d, and no registry is asked", id)}
		}
		return d.known[id]
	}
	w := &writer{about: Schema{ID: int(id)}}
	schema, err := d.registry.SchemaByID(ctx, int(id))
	switch {
	case ctx.Err() != nil:
		w.unread = ctx.Err().Error()
		return w // not to be remembered
	case errors.Is(err, registry.ErrNotFound):
		w.malformed = fmt.Sprintf("the registry has no schema with id %d", id)
	case err != nil:
		w.unread = err.Error()
	default:
		if w.schema, err = packet.ParseSchema(schema); err != nil {
			w.schema, w.unread = nil, err.Error()
			break
		}
		if v := w.schema.Version(); v != (packet.Version{}) {
			w.about.Version = v.String()
		}
		// Without the subjects a message can still be read.
		versions, _ := d.registry.API().SchemaVersionsByID(ctx, int(id))
		for _, v := range versions {
			w.about.Subjects = append(w.about.Subjects, SubjectVersion{v.Subject, v.Version})
		}
		slices.SortFunc(w.about.Subjects, func(a, b SubjectVersion) int {
			if a.Subject < b.Subject {
				return -1
			}
			return 1
		})
	}
	d.known[id] = w
	return w
}

// summary picks what one looks at first; names changed over the versions.
func summary(alert packet.Alert, head packet.Head) *Summary {
	s := &Summary{MJD: number(head.MidpointMjdTai), Cutouts: map[string]int{}}
	source, _ := alert["diaSource"].(map[string]any)
	find := func(names ...string) *float64 {
		for _, name := range names {
			if v := number(source[name]); v != nil {
				return v
			}
		}
		return nil
	}
	s.RA, s.Dec, s.SNR = find("ra"), find("dec", "decl"), find("snr")
	s.Flux, s.FluxErr = find("psfFlux", "psFlux"), find("psfFluxErr", "psFluxErr")
	for _, name := range []string{"band", "filterName"} {
		if band, ok := source[name].(string); ok && s.Band == "" {
			s.Band = band
		}
	}
	sources, _ := alert["prvDiaSources"].([]any)
	forced, _ := alert["prvDiaForcedSources"].([]any)
	s.Sources, s.Forced = len(sources), len(forced)
	for _, name := range []string{"cutoutDifference", "cutoutScience", "cutoutTemplate"} {
		if stamp, ok := alert[name].([]byte); ok {
			s.Cutouts[name] = len(stamp)
		}
	}
	s.SolarSystem = alert["ssSource"] != nil || alert["ssObject"] != nil
	return s
}

func number(v any) *float64 {
	var f float64
	switch v := v.(type) {
	case float64:
		f = v
	case float32:
		f = float64(v)
	default:
		return nil
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return &f
}

// plain makes of a value what JSON can hold: bytes become their number or base64,
// numbers that are none become the text that Avro's JSON encoding has for them.
func plain(v any, full bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plain(e, full)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e, full)
		}
		return out
	case []byte:
		if full {
			return base64.StdEncoding.EncodeToString(v)
		}
		return map[string]int{"bytes": len(v)}
	case float32:
		if number(v) == nil {
			return fmt.Sprint(v)
		}
	case float64:
		if number(v) == nil {
			return fmt.Sprint(v)
		}
	}
	return v
}

// text gives bytes as text, or base64 where they are none.
func text(b []byte) string {
	if len(b) == 0 || readable(b) {
		return string(b)
	}
	return "base64:" + base64.StdEncoding.EncodeToString(b)
}

// readable says whether bytes are text that a person would want to see.
func readable(b []byte) bool {
	return len(b) > 0 && utf8.Valid(b) && bytes.IndexFunc(b, func(r rune) bool { return !unicode.IsGraphic(r) && !unicode.IsSpace(r) }) < 0
}
