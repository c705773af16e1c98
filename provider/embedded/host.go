package embedded

import (
	"log/slog"

	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/lab/state"
)

// Host is what an embedded lab gives to its twins.
type Host struct {
	Dir     state.Dir
	Secrets *secrets.Store
	// Log gives the log of a component, a file of its own.
	Log func(component string) *slog.Logger
	// Executable is this binary, for twins that must be processes of their own.
	Executable string
}
