package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Mode is what a subject, or the whole registry, accepts.
type Mode string

// Modes. In IMPORT, schemas are registered only with explicit ids and without a
// check of compatibility; in READWRITE only without ids.
const (
	ModeReadWrite Mode = "READWRITE"
	ModeReadOnly  Mode = "READONLY"
	ModeImport    Mode = "IMPORT"
)

// state is what the records read so far add up to. It is changed only by apply,
// in the order of the topic, and decides nothing. Subject "" of levels and modes
// stands for the whole registry. Stored values are never changed in place, so
// that they can be handed out.
type state struct {
	subjects map[string]map[int]*schemaValue
	// ids holds the versions with an id, soft-deleted ones too, in the order in
	// which they came.
	ids    map[int][]*schemaValue
	levels map[string]string
	modes  map[string]Mode
	// settings are the records behind levels and modes as they came, by key:
	// Confluent's have fields that mean nothing here.
	settings map[string][]byte
	// maxID is the highest id ever seen, so that ids are not used twice.
	maxID int
}

func newState() *state {
	return &state{
		subjects: make(map[string]map[int]*schemaValue),
		ids:      make(map[int][]*schemaValue),
		levels:   make(map[string]string),
		modes:    make(map[string]Mode),
		settings: make(map[string][]byte),
	}
}

// apply takes one record. An error says that the record could not be understood
// and has been passed over; nothing is wrong with the state then.
func (s *state) apply(key, value []byte) error {
	var k recordKey
	if err := json.Unmarshal(key, &k); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	tombstone := len(value) == 0 || bytes.Equal(bytes.TrimSpace(value), []byte("null"))
	decode := func(into any) error {
		if err := json.Unmarshal(value, into); err != nil {
			return fmt.Errorf("value of %s record: %w", k.KeyType, err)
		}
		return nil
	}
	if k.KeyType == keyConfig || k.KeyType == keyMode {
		delete(s.settings, string(key))
		if !tombstone && json.Valid(value) {
			s.settings[string(key)] = value
		}
	}
	switch k.KeyType {
	case keySchema:
		if k.Subject == "" || k.Version < 1 {
			return fmt.Errorf("%s record of subject %q, version %d", k.KeyType, k.Subject, k.Version)
		}
		if tombstone {
			s.remove(k.Subject, k.Version)
			return nil
		}
		v := &schemaValue{}
		if err := decode(v); err != nil {
			return err
		}
		v.Subject, v.Version = k.Subject, k.Version
		s.put(v)
	case keyConfig:
		if tombstone {
			delete(s.levels, k.Subject)
			return nil
		}
		var v configValue
		if err := decode(&v); err != nil {
			return err
		}
		if v.CompatibilityLevel == "" {
			// Confluent's has settings of other kinds in the same record.
			delete(s.levels, k.Subject)
			return nil
		}
		level, err := parseCompatibility(v.CompatibilityLevel)
		if err != nil {
			return err
		}
		s.levels[k.Subject] = level
	case keyMode:
		if tombstone {
			delete(s.modes, k.Subject)
			return nil
		}
		var v modeValue
		if err := decode(&v); err != nil {
			return err
		}
		s.modes[k.Subject] = v.Mode
	case keyDeleteSubject:
		if tombstone {
			return nil
		}
		var v deleteSubjectValue
		if err := decode(&v); err != nil {
			return err
		}
		for _, version := range s.versions(k.Subject, false) {
			if version.Version <= v.Version {
				deleted := *version
				deleted.Deleted = true
				s.put(&deleted)
			}
		}
	case keyClearSubject:
		if tombstone {
			return nil
		}
		for subject := range s.subjects {
			if k.Subject != "" && subject != k.Subject {
				continue
			}
			for _, version := range s.versions(subject, true) {
				if version.Deleted {
					s.remove(subject, version.Version)
				}
			}
		}
	}
	return nil
}

func (s *state) put(v *schemaValue) {
	if held := s.ids[v.ID]; len(held) > 0 && held[0].Schema == v.Schema {
		// One copy of the text for all subjects that share the id.
		v.Schema = held[0].Schema
	}
	versions := s.subjects[v.Subject]
	if versions == nil {
		versions = make(map[int]*schemaValue)
		s.subjects[v.Subject] = versions
	}
	old := versions[v.Version]
	versions[v.Version] = v
	s.maxID = max(s.maxID, v.ID)
	if old != nil && old.ID == v.ID {
		s.ids[v.ID][slices.Index(s.ids[v.ID], old)] = v
		return
	}
	if old != nil {
		s.release(old)
	}
	s.ids[v.ID] = append(s.ids[v.ID], v)
}

func (s *state) remove(subject string, version int) {
	old := s.subjects[subject][version]
	if old == nil {
		return
	}
	s.release(old)
	delete(s.subjects[subject], version)
	if len(s.subjects[subject]) == 0 {
		delete(s.subjects, subject)
	}
}

// release takes a version out of those that hold its id.
func (s *state) release(v *schemaValue) {
	rest := slices.DeleteFunc(s.ids[v.ID], func(holder *schemaValue) bool { return holder == v })
	if len(rest) == 0 {
		delete(s.ids, v.ID)
		return
	}
	s.ids[v.ID] = rest
}

// versions gives the versions of a subject in ascending order.
func (s *state) versions(subject string, deleted bool) []*schemaValue {
	var out []*schemaValue
	for _, number := range slices.Sorted(maps.Keys(s.subjects[subject])) {
		if v := s.subjects[subject][number]; deleted || !v.Deleted {
			out = append(out, v)
		}
	}
	return out
}

// names gives the subjects with a prefix that have versions, in order.
func (s *state) names(prefix string, deleted bool) []string {
	names := []string{}
	for subject := range s.subjects {
		if strings.HasPrefix(subject, prefix) && s.has(subject, deleted) {
			names = append(names, subject)
		}
	}
	slices.Sort(names)
	return names
}

func (s *state) has(subject string, deleted bool) bool {
	for _, v := range s.subjects[subject] {
		if deleted || !v.Deleted {
			return true
		}
	}
	return false
}

// version gives one version of a subject, latest being the highest.
func (s *state) version(subject string, number int, deleted bool) (*schemaValue, error) {
	if !s.has(subject, deleted) {
		return nil, subjectNotFound(subject)
	}
	if number == latestVersion {
		all := s.versions(subject, deleted)
		return all[len(all)-1], nil
	}
	v := s.subjects[subject][number]
	if v == nil || v.Deleted && !deleted {
		return nil, versionNotFound(number)
	}
	return v, nil
}

// level is the compatibility level in force for a subject.
func (s *state) level(subject, otherwise string) string {
	if level, ok := s.levels[subject]; ok {
		return level
	}
	if level, ok := s.levels[""]; ok {
		return level
	}
	return otherwise
}

// mode is the mode in force for a subject.
func (s *state) mode(subject string) Mode {
	if mode, ok := s.modes[subject]; ok {
		return mode
	}
	if mode, ok := s.modes[""]; ok {
		return mode
	}
	return ModeReadWrite
}

// referrers gives the versions that refer to one version of a subject.
func (s *state) referrers(subject string, version int, deleted bool) []*schemaValue {
	var out []*schemaValue
	for _, name := range s.names("", deleted) {
		for _, v := range s.versions(name, deleted) {
			if slices.ContainsFunc(v.References, func(ref Reference) bool {
				return ref.Subject == subject && ref.Version == version
			}) {
				out = append(out, v)
			}
		}
	}
	return out
}

// content gives a schema together with the texts that it refers to. Deleted
// versions can still be referred to: what was registered with them must parse.
func (s *state) content(text string, references []Reference) (content, error) {
	c := content{Text: text, References: references}
	seen := make(map[Reference]bool)
	var follow func(refs []Reference) error
	follow = func(refs []Reference) error {
		for _, ref := range refs {
			at := Reference{Subject: ref.Subject, Version: ref.Version}
			if seen[at] {
				continue
			}
			seen[at] = true
			v, err := s.version(ref.Subject, ref.Version, true)
			if err != nil {
				return fmt.Errorf("reference %q to version %d of subject %q: %w", ref.Name, ref.Version, ref.Subject, err)
			}
			if err := follow(v.References); err != nil {
				return err
			}
			c.Dependencies = append(c.Dependencies, v.Schema)
		}
		return nil
	}
	return c, follow(references)
}
