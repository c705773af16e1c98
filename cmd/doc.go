// Package cmd is the command line: one file for each verb and its sub-verbs, flags in, a renderer
// chosen, and the table of remedies for typed errors. What a verb does is done by
// other packages; nothing here decides.
package cmd
