package registry

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrNotFound says that the registry answered and does not know the schema.
var ErrNotFound = errors.New("schema not found")

// ErrClosed is what writing to a closed registry returns.
var ErrClosed = errors.New("the schema registry is closed")

// errDeposed is what a write ends with that another leader's time overtook: it has
// not been applied, and that leader can be asked for it.
var errDeposed = errors.New("another schema registry leads the group")

// TopicError says why a topic cannot hold a registry's state.
type TopicError struct {
	Topic  string
	Reason string
	Err    error
}

func (e *TopicError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("schema registry topic %q: %s: %v", e.Topic, e.Reason, e.Err)
	}
	return fmt.Sprintf("schema registry topic %q: %s", e.Topic, e.Reason)
}

func (e *TopicError) Unwrap() error { return e.Err }

// ConflictError says that an entry cannot be synchronised because its place in
// the registry is taken: either its id belongs to other content, or its subject
// has another schema at this version.
type ConflictError struct {
	Subject string
	Version int
	ID      int
	// HeldID is the id that the registry has at Subject and Version; zero if
	// the conflict is about the id itself.
	HeldID int
	// HeldBy names a subject whose schema has the id; empty if unknown.
	HeldBy string
}

func (e *ConflictError) Error() string {
	switch {
	case e.HeldID == e.ID:
		return fmt.Sprintf("schema %d: subject %s has other content as version %d", e.ID, e.Subject, e.Version)
	case e.HeldID != 0:
		return fmt.Sprintf("schema %d: version %d of subject %s is taken by id %d", e.ID, e.Version, e.Subject, e.HeldID)
	case e.HeldBy != "":
		return fmt.Sprintf("schema %d of subject %s: the id belongs to other content of subject %s", e.ID, e.Subject, e.HeldBy)
	}
	return fmt.Sprintf("schema %d of subject %s: the id belongs to other content", e.ID, e.Subject)
}

// apiError is an answer in the registry's error form. Codes above 1000 are
// Confluent's: the HTTP status and two digits that tell causes apart.
type apiError struct {
	Status  int
	Code    int
	Message string
}

func (e *apiError) Error() string { return e.Message }

const (
	codeSubjectNotFound       = 40401
	codeVersionNotFound       = 40402
	codeSchemaNotFound        = 40403
	codeSubjectSoftDeleted    = 40404
	codeSubjectNotSoftDeleted = 40405
	codeVersionSoftDeleted    = 40406
	codeVersionNotSoftDeleted = 40407
	codeSubjectCompatibility  = 40408
	codeSubjectMode           = 40409
	codeIncompatible          = 409
	codeInvalidSchema         = 42201
	codeInvalidVersion        = 42202
	codeInvalidCompatibility  = 42203
	codeInvalidMode           = 42204
	codeOperationNotPermitted = 42205
	codeReferenceExists       = 42206
	codeInvalidSubject        = 42208
	codeSchemaTooLarge        = 42209
	codeInvalidRuleSet        = 42210
	codeStore                 = 50001
	codeTimeout               = 50002
	codeForwarding            = 50003
	codeNoLeader              = 50004
)

// fail makes an apiError whose HTTP status is the first three digits of code.
func fail(code int, format string, args ...any) *apiError {
	status := code
	for status > 999 {
		status /= 10
	}
	if http.StatusText(status) == "" {
		status = http.StatusInternalServerError
	}
	return &apiError{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func subjectNotFound(subject string) error {
	return fail(codeSubjectNotFound, "subject %q not found", subject)
}

func versionNotFound(version int) error {
	return fail(codeVersionNotFound, "version %d not found", version)
}

func schemaNotFound(id int) error { return fail(codeSchemaNotFound, "schema %d not found", id) }
