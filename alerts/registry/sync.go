package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// Entry is one schema that a registry should hold: this content, as this
// version of this subject, under this id.
type Entry struct {
	ID      int
	Version int
	Schema  string
	Subject string
}

// SyncReport counts what Sync found and did.
type SyncReport struct {
	// Present is how many entries were there before.
	Present int
	// Added is how many were posted.
	Added int
}

const (
	// versionProperty is the metadata property in which the alert stream's
	// subjects carry their schema version's id (alert_packet, 2026-05).
	versionProperty = "confluent:version"
	// pageSize is how many schemas one request lists. Confluent's registry cuts
	// longer lists at a thousand without saying so.
	pageSize = 500
	// restoreTimeout bounds the way back to READWRITE, which must be tried even
	// if the caller's context has ended.
	restoreTimeout = 10 * time.Second
	restoreAgain   = 250 * time.Millisecond
)

// Sync makes a registry hold the entries, whichever implementation it is. If all
// are there it costs one request and changes nothing. Otherwise it puts each
// subject that lacks something into mode IMPORT, posts what is missing, and
// returns the subject to READWRITE, also on failure. It deletes nothing, so the
// registry can be read all the while, and may be repeated at any time.
//
// An entry whose id or place is taken by other content is a *ConflictError; if
// that shows in the registry's list, nothing has been changed then. The report
// is valid along with an error, too.
func Sync(ctx context.Context, client *sr.Client, entries []Entry) (SyncReport, error) {
	held, err := List(ctx, client)
	if err != nil {
		return SyncReport{}, err
	}
	missing, err := compareEntries(entries, held)
	if err != nil {
		return SyncReport{}, err
	}
	report := SyncReport{Present: len(entries)}
	var subjects []string
	bySubject := make(map[string][]Entry)
	for _, e := range missing {
		if bySubject[e.Subject] == nil {
			subjects = append(subjects, e.Subject)
		}
		bySubject[e.Subject] = append(bySubject[e.Subject], e)
		report.Present--
	}
	for _, subject := range subjects {
		added, err := importSubject(ctx, client, subject, bySubject[subject])
		report.Added += added
		if err != nil {
			return report, err
		}
	}
	return report, nil
}

// List gives all live schemas of a registry.
func List(ctx context.Context, client *sr.Client) ([]sr.SubjectSchema, error) {
	var all []sr.SubjectSchema
	for {
		got, err := client.AllSchemas(sr.WithParams(ctx, sr.Offset(len(all)), sr.Limit(pageSize)))
		if err != nil {
			return nil, fmt.Errorf("list the registry's schemas: %w", err)
		}
		all = append(all, got...)
		// More than was asked for comes from a registry that does not page.
		if len(got) != pageSize {
			return all, nil
		}
	}
}

// compareEntries gives the entries that a registry with the held schemas lacks.
func compareEntries(entries []Entry, held []sr.SubjectSchema) ([]Entry, error) {
	type place struct {
		subject string
		version int
	}
	at := make(map[place]sr.SubjectSchema, len(held))
	byID := make(map[int]sr.SubjectSchema, len(held))
	for _, s := range held {
		at[place{s.Subject, s.Version}] = s
		byID[s.ID] = s
	}
	var missing []Entry
	var forms normalForms
	for _, e := range entries {
		if e.Subject == "" || e.Schema == "" || e.ID < 1 || e.Version < 1 {
			return nil, fmt.Errorf("entry of subject %q, version %d, id %d: all of them and the schema must be given", e.Subject, e.Version, e.ID)
		}
		if s, ok := at[place{e.Subject, e.Version}]; ok {
			if s.ID != e.ID || !forms.same(s.Schema.Schema, e.Schema) {
				return nil, &ConflictError{Subject: e.Subject, Version: e.Version, ID: e.ID, HeldID: s.ID}
			}
			continue
		}
		if s, ok := byID[e.ID]; ok && !forms.same(s.Schema.Schema, e.Schema) {
			return nil, &ConflictError{Subject: e.Subject, Version: e.Version, ID: e.ID, HeldBy: s.Subject}
		}
		// From here on the entry counts as held, so that two entries of one call
		// cannot contradict each other either.
		s := sr.SubjectSchema{Subject: e.Subject, Version: e.Version, ID: e.ID, Schema: sr.Schema{Schema: e.Schema}}
		at[place{e.Subject, e.Version}], byID[e.ID] = s, s
		missing = append(missing, e)
	}
	return missing, nil
}

// importSubject posts the missing entries of one subject and says how many the
// registry took.
func importSubject(ctx context.Context, client *sr.Client, subject string, missing []Entry) (added int, err error) {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
		defer cancel()
		if back := restore(ctx, client, subject); back != nil {
			err = errors.Join(err, fmt.Errorf("return subject %s to mode %s: %w", subject, sr.ModeReadWrite, back))
		}
	}()
	// A subject that has versions already can only be forced into IMPORT.
	if err := client.SetMode(sr.WithParams(ctx, sr.Force), sr.ModeImport, subject)[0].Err; err != nil {
		return 0, fmt.Errorf("set subject %s to mode %s: %w", subject, sr.ModeImport, err)
	}
	for _, e := range missing {
		schema := sr.Schema{
			Schema:         e.Schema,
			SchemaMetadata: &sr.SchemaMetadata{Properties: map[string]string{versionProperty: strconv.Itoa(e.ID)}},
		}
		id, err := client.RegisterSchema(ctx, subject, schema, e.ID, e.Version)
		if err != nil {
			return added, importError(ctx, client, e, err)
		}
		if id != e.ID {
			return added, &ConflictError{Subject: subject, Version: e.Version, ID: e.ID, HeldID: id}
		}
		added++
	}
	return added, nil
}

// restore returns a subject to READWRITE, and does not give up at once when the
// registry, which may be why the rest failed, does not do it.
func restore(ctx context.Context, client *sr.Client, subject string) error {
	for {
		err := client.SetMode(ctx, sr.ModeReadWrite, subject)[0].Err
		var answer *sr.ResponseError
		if err == nil || errors.As(err, &answer) && answer.StatusCode < 500 {
			return err
		}
		pause := time.NewTimer(restoreAgain)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// importError finds out whether the registry refused an entry because its id is
// held by a schema that lists do not show, which is one that was deleted softly.
func importError(ctx context.Context, client *sr.Client, e Entry, cause error) error {
	var answer *sr.ResponseError
	if errors.As(cause, &answer) && answer.ErrorCode == codeOperationNotPermitted {
		if s, err := client.SchemaByID(ctx, e.ID); err == nil && !new(normalForms).same(s.Schema, e.Schema) {
			return &ConflictError{Subject: e.Subject, Version: e.Version, ID: e.ID}
		}
	}
	return fmt.Errorf("register schema %d as version %d of subject %s: %w", e.ID, e.Version, e.Subject, cause)
}

// Settle returns the entries' subjects that were left in mode IMPORT, by a Sync
// that was killed or by the observatory's program, to READWRITE, and names them.
func Settle(ctx context.Context, client *sr.Client, entries []Entry) ([]string, error) {
	var subjects []string
	for _, e := range entries {
		if !slices.Contains(subjects, e.Subject) {
			subjects = append(subjects, e.Subject)
		}
	}
	var left []string
	var errs []error
	for _, result := range client.Mode(ctx, subjects...) {
		var answer *sr.ResponseError
		switch {
		case errors.As(result.Err, &answer) && (answer.ErrorCode == codeSubjectMode || answer.ErrorCode == codeSubjectNotFound):
		case result.Err != nil:
			errs = append(errs, fmt.Errorf("mode of subject %s: %w", result.Subject, result.Err))
		case result.Mode == sr.ModeImport:
			left = append(left, result.Subject)
		}
	}
	for _, subject := range left {
		if err := client.SetMode(ctx, sr.ModeReadWrite, subject)[0].Err; err != nil {
			errs = append(errs, fmt.Errorf("return subject %s to mode %s: %w", subject, sr.ModeReadWrite, err))
		}
	}
	return left, errors.Join(errs...)
}

// Remove deletes versions of subjects for good; one that is not there is no error.
func Remove(ctx context.Context, client *sr.Client, entries ...Entry) error {
	for _, e := range entries {
		for _, how := range []sr.DeleteHow{sr.SoftDelete, sr.HardDelete} {
			err := client.DeleteSchema(ctx, e.Subject, e.Version, how)
			var answer *sr.ResponseError
			if errors.As(err, &answer) && (answer.ErrorCode == codeSubjectNotFound || answer.ErrorCode == codeVersionNotFound ||
				answer.ErrorCode == codeVersionSoftDeleted && how == sr.SoftDelete) {
				err = nil
			}
			if err != nil {
				return fmt.Errorf("delete version %d of subject %s: %w", e.Version, e.Subject, err)
			}
		}
	}
	return nil
}
