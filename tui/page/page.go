// Package page says what a page of the dashboard is, so that pages and the frame
// around them do not know each other. It may import nothing of ours.
package page

import (
	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"
)

// Page is one page of the dashboard. It is a model: messages in, text out. Whatever
// reads a lab, a clock or a file is in the commands that it returns.
type Page interface {
	// Name is the page's name in the title, in the `:` command and in the documents.
	Name() string
	// Show is called when the page comes into view; what it follows begins.
	Show() tea.Cmd
	// Hide is called when it goes out of view; what it follows ends.
	Hide()
	// Update takes a message: the page's own, and keys while it is in view.
	Update(tea.Msg) tea.Cmd
	// View draws the page in exactly the size that SetSize gave.
	View() string
	// SetSize gives the size of the page in cells.
	SetSize(width, height int)
	// Filter narrows what is listed to rows that hold the text; empty ends that.
	Filter(text string)
	// Keys are the page's own keys, for the help and the documents.
	Keys() []key.Binding
	// Typing says whether the page takes every key as text just now, so that the
	// frame leaves digits and letters to it.
	Typing() bool
	// Back leaves the innermost view of the page (a record, a dialog), and says
	// whether there was one; else the frame goes back.
	Back() bool
}
