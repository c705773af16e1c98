package registry

import (
	"encoding/json"
	"math"
	"slices"
)

// latestVersion asks for the highest version of a subject.
const latestVersion = -1

// schemaRequest is the body of every request that carries a schema.
type schemaRequest struct {
	Schema     string          `json:"schema"`
	SchemaType string          `json:"schemaType"`
	References []Reference     `json:"references"`
	Metadata   *Metadata       `json:"metadata"`
	RuleSet    json.RawMessage `json:"ruleSet"`
	// ID and Version are set only by imports; nil, 0 and -1 leave the choice to
	// the registry.
	ID      *int `json:"id"`
	Version *int `json:"version"`
}

func (q schemaRequest) id() int { return positive(q.ID) }

func (q schemaRequest) version() int { return positive(q.Version) }

func positive(n *int) int {
	if n == nil || *n < 0 {
		return 0
	}
	return *n
}

func (q schemaRequest) check() error {
	if q.SchemaType != "" && q.SchemaType != schemaTypeAvro {
		return fail(codeInvalidSchema, "schema type %q is not supported, only %s", q.SchemaType, schemaTypeAvro)
	}
	if len(q.RuleSet) > 0 && string(q.RuleSet) != "null" {
		return fail(codeInvalidRuleSet, "rule sets are not supported")
	}
	if q.id() > math.MaxInt32 || q.version() > math.MaxInt32 {
		return fail(codeInvalidSchema, "id and version must be 32 bit numbers")
	}
	return nil
}

// content resolves what the request refers to. Latest versions are pinned, as a
// stored schema must not change its meaning when another one gets a version.
func (r *Registry) content(q schemaRequest) (content, error) {
	if err := q.check(); err != nil {
		return content{}, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	references := slices.Clone(q.References)
	for i, ref := range references {
		if ref.Version != latestVersion {
			continue
		}
		v, err := r.state.version(ref.Subject, latestVersion, false)
		if err != nil {
			return content{}, fail(codeInvalidSchema, "invalid schema: reference %q: %v", ref.Name, err)
		}
		references[i].Version = v.Version
	}
	c, err := r.state.content(q.Schema, references)
	if err != nil {
		return content{}, fail(codeInvalidSchema, "invalid schema: %v", err)
	}
	return c, nil
}

// candidate is a stored schema that new content is compared with.
type candidate struct {
	stored  *schemaValue
	content content
}

// candidates prepares stored versions for comparison. Versions of other schema
// types and those whose references are gone cannot be equal to anything posted.
func (r *Registry) candidates(stored []*schemaValue) []candidate {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]candidate, 0, len(stored))
	for _, v := range stored {
		if v.SchemaType != "" && v.SchemaType != schemaTypeAvro {
			continue
		}
		if c, err := r.state.content(v.Schema, v.References); err == nil {
			out = append(out, candidate{stored: v, content: c})
		}
	}
	return out
}

// equal finds the first candidate with this content. Most posts repeat a text
// that is known byte for byte; only the others are parsed. The error says that
// the content is no schema.
func (r *Registry) equal(c content, among []candidate) (*schemaValue, error) {
	for _, other := range among {
		if other.content.Text == c.Text && slices.Equal(other.content.References, c.References) &&
			slices.Equal(other.content.Dependencies, c.Dependencies) {
			return other.stored, nil
		}
	}
	form, err := r.forms.of(c)
	if err != nil {
		return nil, fail(codeInvalidSchema, "invalid schema: %v", err)
	}
	for _, other := range among {
		if known, err := r.forms.of(other.content); err == nil && known == form {
			return other.stored, nil
		}
	}
	return nil, nil
}

// subjectVersions gives a subject's versions, ascending.
func (r *Registry) subjectVersions(subject string, deleted bool) []*schemaValue {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.versions(subject, deleted)
}

// holders gives one version for every id, in ascending order of ids: the ids of
// schema versions are below those that a registry assigns, so that content with
// both is found under its schema version.
func (r *Registry) holders() []*schemaValue {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*schemaValue, 0, len(r.state.ids))
	for _, versions := range r.state.ids {
		out = append(out, versions[0])
	}
	slices.SortFunc(out, func(a, b *schemaValue) int { return a.ID - b.ID })
	return out
}

// register stores a schema, unless the subject has it already, and returns the
// version under which the subject has it.
func (r *Registry) register(subject string, q schemaRequest) (*schemaValue, error) {
	if subject == "" {
		return nil, fail(codeInvalidSubject, "a subject must have a name")
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	c, err := r.content(q)
	if err != nil {
		return nil, err
	}
	all := r.subjectVersions(subject, true)
	live := slices.DeleteFunc(slices.Clone(all), func(v *schemaValue) bool { return v.Deleted })

	// What is there already is no write, so the mode does not matter to it.
	repeated, err := r.equal(c, r.candidates(matching(live, q)))
	if err != nil || repeated != nil {
		return repeated, err
	}
	r.mu.RLock()
	mode, level := r.state.mode(subject), r.state.level(subject, r.cfg.Compatibility)
	r.mu.RUnlock()
	if q.id() != 0 && mode != ModeImport {
		return nil, fail(codeOperationNotPermitted, "subject %q is in mode %s; an explicit id needs %s", subject, mode, ModeImport)
	}
	if q.id() == 0 && mode != ModeReadWrite {
		return nil, fail(codeOperationNotPermitted, "subject %q is in mode %s; registering without an id needs %s", subject, mode, ModeReadWrite)
	}

	next := 1
	if len(all) > 0 {
		next = all[len(all)-1].Version + 1
	}
	version := q.version()
	switch {
	case version == 0:
		version = next
	case mode != ModeImport && version != next:
		return nil, fail(codeInvalidSchema, "version %d of subject %q is not the next one, which is %d", version, subject, next)
	}
	if slices.ContainsFunc(live, func(v *schemaValue) bool { return v.Version == version }) {
		return nil, fail(codeOperationNotPermitted, "version %d of subject %q has other content", version, subject)
	}
	id, err := r.idFor(c, q.id())
	if err != nil {
		return nil, err
	}
	if mode != ModeImport {
		if err := r.mayFollow(c, level, live); err != nil {
			return nil, err
		}
	}

	stored := &schemaValue{
		Subject:    subject,
		Version:    version,
		ID:         id,
		SchemaType: schemaTypeAvro,
		References: c.References,
		Schema:     q.Schema,
	}
	if q.Metadata != nil {
		if stored.Metadata, err = encodeJSON(q.Metadata); err != nil {
			return nil, err
		}
	}
	var entries []entry
	for _, v := range all {
		// A schema that comes back gets a new version; its deleted one is done
		// with, unless something refers to it by its number.
		if v.Deleted && v.ID == id && v.Version < version && !r.referred(subject, v.Version, true) {
			entries = append(entries, entry{Key: schemaKey(subject, v.Version)})
		}
	}
	entries = append(entries, entry{Key: schemaKey(subject, version), Value: stored})
	return stored, r.write(entries...)
}

// matching leaves those versions that a request would be content with, were
// their schema the posted one.
func matching(versions []*schemaValue, q schemaRequest) []*schemaValue {
	return slices.DeleteFunc(slices.Clone(versions), func(v *schemaValue) bool {
		return q.id() != 0 && q.id() != v.ID || q.version() != 0 && q.version() != v.Version
	})
}

// idFor gives the id of new content of a subject: the wanted one if nothing else
// has it, the one that the content has already, or a new one.
func (r *Registry) idFor(c content, wanted int) (int, error) {
	if wanted != 0 {
		r.mu.RLock()
		held := slices.Clone(r.state.ids[wanted])
		r.mu.RUnlock()
		if len(held) == 0 {
			// Nothing to compare with, but what is stored must be a schema.
			_, err := r.equal(c, nil)
			return wanted, err
		}
		same, err := r.equal(c, r.candidates(held[:1]))
		if err != nil {
			return 0, err
		}
		if same == nil {
			return 0, fail(codeOperationNotPermitted, "id %d belongs to other content, of version %d of subject %q", wanted, held[0].Version, held[0].Subject)
		}
		return wanted, nil
	}
	same, err := r.equal(c, r.candidates(r.holders()))
	if err != nil {
		return 0, err
	}
	if same != nil {
		return same.ID, nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	id := max(r.cfg.FirstID, r.state.maxID+1)
	if id > math.MaxInt32 {
		return 0, fail(codeStore, "no id is left: the highest that fits the wire format is taken")
	}
	return id, nil
}

// mayFollow checks new content against the versions of its subject.
func (r *Registry) mayFollow(c content, level string, live []*schemaValue) error {
	reasons, err := r.compare(c, level, live)
	if err != nil {
		return err
	}
	if len(reasons) > 0 {
		return fail(codeIncompatible, "the schema is incompatible with an earlier one: %s", reasons)
	}
	return nil
}

// compare gives the reasons why content may not follow the given versions.
func (r *Registry) compare(c content, level string, live []*schemaValue) ([]string, error) {
	if level == CompatibilityNone || len(live) == 0 {
		return nil, nil
	}
	schema, err := c.parse()
	if err != nil {
		return nil, fail(codeInvalidSchema, "invalid schema: %v", err)
	}
	var earlier []previous
	for _, other := range r.candidates(live) {
		earlier = append(earlier, previous{Version: other.stored.Version, Content: other.content})
	}
	return checkCompatible(level, schema, earlier), nil
}

// compatibility answers whether a schema could follow one version, or all live
// ones if version is zero. A subject without versions takes any schema.
func (r *Registry) compatibility(subject string, version int, q schemaRequest) ([]string, error) {
	c, err := r.content(q)
	if err != nil {
		return nil, err
	}
	// At some levels nothing is compared, but what is asked about must be a schema.
	if _, err := r.equal(c, nil); err != nil {
		return nil, err
	}
	live := r.subjectVersions(subject, false)
	r.mu.RLock()
	level := r.state.level(subject, r.cfg.Compatibility)
	v, err := r.state.version(subject, version, false)
	r.mu.RUnlock()
	switch {
	case version == 0 || version == latestVersion && len(live) == 0:
	case err != nil:
		return nil, err
	default:
		live = []*schemaValue{v}
	}
	return r.compare(c, level, live)
}

// lookup finds the version of a subject that has this content.
func (r *Registry) lookup(subject string, q schemaRequest, deleted bool) (*schemaValue, error) {
	versions := r.subjectVersions(subject, deleted)
	if len(versions) == 0 {
		return nil, subjectNotFound(subject)
	}
	c, err := r.content(q)
	if err != nil {
		return nil, err
	}
	found, err := r.equal(c, r.candidates(versions))
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fail(codeSchemaNotFound, "subject %q does not have this schema", subject)
	}
	return found, nil
}

// referred reports whether a schema of any subject refers to a version.
func (r *Registry) referred(subject string, version int, deleted bool) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.state.referrers(subject, version, deleted)) > 0
}

// writable refuses changes to a subject that is not to be changed. Modes that
// only Confluent's registry knows are ways of not being writable.
func (r *Registry) writable(subject string) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if mode := r.state.mode(subject); mode != ModeReadWrite && mode != ModeImport {
		return fail(codeOperationNotPermitted, "subject %q is in mode %s", subject, mode)
	}
	return nil
}

// deleteSubject deletes all versions: softly those that are live, so that their
// ids can still be read, or permanently those that were deleted softly before.
func (r *Registry) deleteSubject(subject string, permanent bool) ([]int, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	all, live := r.subjectVersions(subject, true), r.subjectVersions(subject, false)
	switch {
	case len(all) == 0:
		return nil, subjectNotFound(subject)
	case !permanent && len(live) == 0:
		return nil, fail(codeSubjectSoftDeleted, "subject %q is deleted already; permanent=true deletes it for good", subject)
	case permanent && len(live) > 0:
		return nil, fail(codeSubjectNotSoftDeleted, "subject %q must be deleted softly before it can be deleted permanently", subject)
	}
	if err := r.writable(subject); err != nil {
		return nil, err
	}
	doomed := live
	if permanent {
		doomed = all
	}
	versions := make([]int, 0, len(doomed))
	for _, v := range doomed {
		r.mu.RLock()
		referrers := r.state.referrers(subject, v.Version, permanent)
		r.mu.RUnlock()
		if i := slices.IndexFunc(referrers, func(other *schemaValue) bool { return other.Subject != subject }); i >= 0 {
			return nil, fail(codeReferenceExists, "version %d of subject %q is referred to by subject %q", v.Version, subject, referrers[i].Subject)
		}
		versions = append(versions, v.Version)
	}
	if !permanent {
		return versions, r.write(entry{
			Key:   recordKey{KeyType: keyDeleteSubject, Subject: subject},
			Value: deleteSubjectValue{Subject: subject, Version: versions[len(versions)-1]},
		})
	}
	entries := make([]entry, 0, len(versions)+2)
	for _, version := range slices.Backward(versions) {
		entries = append(entries, entry{Key: schemaKey(subject, version)})
	}
	return versions, r.write(append(entries, r.forget(subject)...)...)
}

// forget makes the tombstones of what is configured for a subject.
func (r *Registry) forget(subject string) []entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var entries []entry
	if _, ok := r.state.modes[subject]; ok {
		entries = append(entries, entry{Key: recordKey{KeyType: keyMode, Subject: subject}})
	}
	if _, ok := r.state.levels[subject]; ok {
		entries = append(entries, entry{Key: recordKey{KeyType: keyConfig, Subject: subject}})
	}
	return entries
}

// deleteVersion deletes one version and returns its number.
func (r *Registry) deleteVersion(subject string, number int, permanent bool) (int, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if number == latestVersion && !permanent && len(r.subjectVersions(subject, false)) > 0 {
		live := r.subjectVersions(subject, false)
		number = live[len(live)-1].Version
	}
	r.mu.RLock()
	v, err := r.state.version(subject, number, true)
	r.mu.RUnlock()
	switch {
	case err != nil:
		return 0, err
	case !permanent && v.Deleted:
		return 0, fail(codeVersionSoftDeleted, "version %d of subject %q is deleted already; permanent=true deletes it for good", v.Version, subject)
	case permanent && !v.Deleted:
		return 0, fail(codeVersionNotSoftDeleted, "version %d of subject %q must be deleted softly before it can be deleted permanently", v.Version, subject)
	}
	if err := r.writable(subject); err != nil {
		return 0, err
	}
	if r.referred(subject, v.Version, permanent) {
		return 0, fail(codeReferenceExists, "version %d of subject %q is referred to by another schema", v.Version, subject)
	}
	if !permanent {
		deleted := *v
		deleted.Deleted = true
		return v.Version, r.write(entry{Key: schemaKey(subject, v.Version), Value: &deleted})
	}
	entries := []entry{{Key: schemaKey(subject, v.Version)}}
	if len(r.subjectVersions(subject, true)) == 1 {
		entries = append(entries, r.forget(subject)...)
	}
	return v.Version, r.write(entries...)
}

// setMode changes the mode of a subject or, with an empty subject, of the whole
// registry. Without force, IMPORT wants that there is nothing to be overwritten,
// and removes what was deleted softly.
func (r *Registry) setMode(subject string, mode Mode, force bool) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	var entries []entry
	r.mu.RLock()
	current := r.state.mode(subject)
	names := []string{subject}
	if subject == "" {
		names = r.state.names("", true)
	}
	r.mu.RUnlock()
	if mode == ModeImport && current != ModeImport && !force {
		for _, name := range names {
			for _, v := range r.subjectVersions(name, true) {
				if !v.Deleted {
					return fail(codeOperationNotPermitted, "mode %s needs a subject without schemas, and %q has some; force=true sets it all the same", ModeImport, name)
				}
				if r.referred(name, v.Version, true) {
					return fail(codeReferenceExists, "version %d of subject %q is referred to by another schema", v.Version, name)
				}
				entries = append(entries, entry{Key: schemaKey(name, v.Version)})
			}
		}
		entries = append(entries, entry{
			Key:   recordKey{KeyType: keyClearSubject, Subject: subject},
			Value: clearSubjectValue{Subject: subject},
		})
	}
	return r.write(append(entries, entry{
		Key:   recordKey{KeyType: keyMode, Subject: subject},
		Value: modeValue{Subject: subject, Mode: mode},
	})...)
}

// deleteMode returns a subject to the registry's mode, or the registry to
// READWRITE, and gives the mode that was set.
func (r *Registry) deleteMode(subject string) (Mode, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	mode, ok := r.state.modes[subject]
	r.mu.RUnlock()
	switch {
	case !ok && subject != "":
		return "", subjectNotFound(subject)
	case !ok:
		return ModeReadWrite, nil
	}
	return mode, r.write(entry{Key: recordKey{KeyType: keyMode, Subject: subject}})
}

// setLevel changes the compatibility level of a subject or, with an empty
// subject, of the whole registry.
func (r *Registry) setLevel(subject, level string) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.writable(subject); err != nil {
		return err
	}
	return r.write(entry{
		Key:   recordKey{KeyType: keyConfig, Subject: subject},
		Value: configValue{Subject: subject, CompatibilityLevel: level},
	})
}

// deleteLevel returns a subject to the registry's level, or the registry to its
// default, and gives the level that was set.
func (r *Registry) deleteLevel(subject string) (string, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.writable(subject); err != nil {
		return "", err
	}
	r.mu.RLock()
	level, ok := r.state.levels[subject]
	r.mu.RUnlock()
	switch {
	case !ok && subject != "":
		return "", subjectNotFound(subject)
	case !ok:
		return r.cfg.Compatibility, nil
	}
	return level, r.write(entry{Key: recordKey{KeyType: keyConfig, Subject: subject}})
}
