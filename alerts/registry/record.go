package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Key types of Confluent's record format that this registry acts on. Others
// (ASSOC, CONTEXT and whatever comes) are left alone.
const (
	keySchema        = "SCHEMA"
	keyConfig        = "CONFIG"
	keyMode          = "MODE"
	keyDeleteSubject = "DELETE_SUBJECT"
	keyClearSubject  = "CLEAR_SUBJECT"
	keyNoop          = "NOOP"
)

// schemaMagic is the key format version of SCHEMA records; all others have 0.
const schemaMagic = 1

// recordKey is the JSON key of one record. Compaction compares keys byte by
// byte, so the order of the fields is part of the format.
type recordKey struct {
	KeyType string `json:"keytype"`
	// Subject is absent for what holds for the whole registry.
	Subject string `json:"subject,omitempty"`
	Version int    `json:"version,omitempty"`
	Magic   int    `json:"magic"`
}

// Reference names a schema that another one uses by name.
type Reference struct {
	// Name is the full name of the type within the referring schema.
	Name    string `json:"name"`
	Subject string `json:"subject"`
	// Version is the version in Subject, from 1; -1 means the latest.
	Version int `json:"version"`
}

// Metadata is what a schema's owner says about it. The registry hands it back
// and does nothing else with it.
type Metadata struct {
	// Tags are by path within the schema.
	Tags       map[string][]string `json:"tags,omitempty"`
	Properties map[string]string   `json:"properties,omitempty"`
	// Sensitive names properties that are not for everyone.
	Sensitive []string `json:"sensitive,omitempty"`
}

// schemaValue is the JSON value of a SCHEMA record, and at the same time what
// the registry knows of one version of one subject. Fields that only Confluent's
// registry writes are kept, so that rewriting a record loses nothing.
type schemaValue struct {
	Subject    string          `json:"subject"`
	Version    int             `json:"version"`
	ID         int             `json:"id"`
	MD5        string          `json:"md5,omitempty"`
	SchemaType string          `json:"schemaType,omitempty"`
	References []Reference     `json:"references,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	RuleSet    json.RawMessage `json:"ruleSet,omitempty"`
	Schema     string          `json:"schema"`
	Deleted    bool            `json:"deleted"`
}

type configValue struct {
	Subject            string `json:"subject,omitempty"`
	CompatibilityLevel string `json:"compatibilityLevel,omitempty"`
}

type modeValue struct {
	Subject string `json:"subject,omitempty"`
	Mode    Mode   `json:"mode,omitempty"`
}

type deleteSubjectValue struct {
	Subject string `json:"subject"`
	// Version is the highest version that the deletion covers.
	Version int `json:"version"`
}

type clearSubjectValue struct {
	Subject string `json:"subject,omitempty"`
}

// entry is one record to be appended; a nil Value is a tombstone.
type entry struct {
	Key   recordKey
	Value any
}

// noop changes nothing. Confluent's registry writes it, too, to learn where the
// topic ends.
var noop = entry{Key: recordKey{KeyType: keyNoop}}

func schemaKey(subject string, version int) recordKey {
	return recordKey{KeyType: keySchema, Subject: subject, Version: version, Magic: schemaMagic}
}

// encode gives the bytes of key and value; value is nil for a tombstone.
func (e entry) encode() (key, value []byte, err error) {
	if key, err = encodeJSON(e.Key); err != nil {
		return nil, nil, fmt.Errorf("key of %s record: %w", e.Key.KeyType, err)
	}
	if e.Value == nil {
		return key, nil, nil
	}
	if value, err = encodeJSON(e.Value); err != nil {
		return nil, nil, fmt.Errorf("value of %s record: %w", e.Key.KeyType, err)
	}
	return key, value, nil
}

// encodeJSON leaves <, > and & as they are, as every other writer of the topic
// does: escaped, an equal key would not be equal for compaction.
func encodeJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
