// Package schemadiff compares two Avro schemas field by field: what was added,
// removed, or changed in its type, default, words or order, by the path of the
// field.
//
// It is text in, values out: it imports nothing of alertlab but the reading of
// schemas, and knows no registry.
package schemadiff
