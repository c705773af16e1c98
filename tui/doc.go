// Package tui shows the events of a walk as a live view on a terminal: every
// step of the plan, what runs and for how long, what is waited for and what was
// seen last. It is drawn in line, below what is on the screen, and its last
// frame stays there. The line renderers of the same events are in package
// render.
//
// The model is pure: messages in, text out. What reads channels and clocks is
// in commands. The view starts and stops nothing itself; a Ctrl-C is handed to
// the caller.
package tui
