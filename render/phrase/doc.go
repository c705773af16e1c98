// Package phrase puts measures and foreign text into words for people: how
// long, how fast, how much is left, and a problem with its remedy. The line
// renderers and the live view share it, so that both say the same thing.
//
// It is pure: no clock, no writer, no colour.
package phrase
