package unasked

import "github.com/charmbracelet/lipgloss"

func init() {
	// Nothing of ours depends on the value: all styles use the terminal's own
	// sixteen colours.
	lipgloss.SetHasDarkBackground(true)
}
