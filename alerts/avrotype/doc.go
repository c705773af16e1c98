// Package avrotype reads an Avro schema's text as a graph of types, with what people
// are shown of it: names without namespaces, words, defaults as they were written.
//
// It is for views, not for data: it takes what the Avro library refuses (a name that no
// type has, a default of the wrong kind) and keeps what that library changes (how a
// default is written). It imports nothing of alertlab.
package avrotype
