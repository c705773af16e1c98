package cmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/charmbracelet/bubbles/key"

	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/tui/dash"
	"github.com/alertlab/alertlab/tui/kit"
)

// DashboardKeys are the pages of the dashboard and the keys of each, as Markdown, from
// the key maps that the dashboard itself listens to. Nothing of this machine is in it.
func DashboardKeys() string {
	a := &app{getenv: func(string) string { return "" }, environ: func() []string { return nil }, lab: state.DefaultLab}
	b := newBoard(a, state.At("", state.DefaultLab))
	var theme kit.Theme
	var text strings.Builder
	section := func(title string, bindings []key.Binding) {
		fmt.Fprintf(&text, "### %s\n\n| key | what it does |\n|---|---|\n", title)
		for _, k := range bindings {
			fmt.Fprintf(&text, "| `%s` | %s |\n", k.Help().Key, k.Help().Desc)
		}
		text.WriteString("\n")
	}
	section("Everywhere", dash.Keys())
	section("Lists and texts", kit.MoveKeys())
	for _, e := range b.pages(context.Background(), theme) {
		section(fmt.Sprintf("%c %s", e.Digit, e.Page.Name()), e.Page.Keys())
	}
	return text.String()
}
