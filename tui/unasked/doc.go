// Package unasked keeps the terminal unasked. Bubble Tea, when it is
// initialised, asks for the terminal's background colour and waits up to five
// seconds for the answer; a terminal that gives none (a serial console, expect,
// some CI runners) would delay every command of the binary, even `version`, and
// what was typed ahead would be eaten.
//
// The answer is given here, before the question: Go initialises packages in
// the order of their import paths as soon as what they import is ready, and
// this path sorts before github.com/charmbracelet/bubbletea. So this package
// must import nothing but lipgloss. Package tui imports it for its effect; a
// test in tui looks at a terminal that never answers.
package unasked
