// Package stacks holds, as pure data, which components make a system, which
// implementation of each runs on which provider, and what each needs first.
//
// It is a leaf: it imports no component and no provider, and knows the
// implementations by name only.
package stacks
