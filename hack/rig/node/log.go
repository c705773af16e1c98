package node

import (
	"io"
	"log/slog"
	"strings"
)

// levelFatal is the level of the last line before the node ends in failure;
// k3d looks for "level=fatal" there.
const levelFatal = slog.LevelError + 4

// NewLog writes lines like those of k3s: time="..." level=info msg="...".
func NewLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && len(groups) == 0 {
			name := strings.ToLower(level.String())
			if level == levelFatal {
				name = "fatal"
			}
			a.Value = slog.StringValue(name)
		}
		return a
	}}))
}
