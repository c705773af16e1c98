// Package state is the directory that a lab lives in: its description,
// credentials, connection card, journal, logs and data, and the lock that says
// which process owns it.
//
// It is a leaf apart from endpoints and profiles, which are data: it knows where things lie, not what they
// mean. Files with secrets are written with mode 0600 in directories of mode
// 0700, and every file is replaced at once, never rewritten in place.
package state
