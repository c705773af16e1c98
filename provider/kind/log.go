package kind

import (
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	"sigs.k8s.io/kind/pkg/log"
)

// logger hands kind's lines on; the talkative levels are dropped.
type logger struct{ to *slog.Logger }

func (l logger) Warn(m string)             { l.to.Warn("kind: " + plain(m)) }
func (l logger) Warnf(f string, a ...any)  { l.Warn(fmt.Sprintf(f, a...)) }
func (l logger) Error(m string)            { l.to.Error("kind: " + plain(m)) }
func (l logger) Errorf(f string, a ...any) { l.Error(fmt.Sprintf(f, a...)) }

// V implements kind's interface.
func (l logger) V(level log.Level) log.InfoLogger {
	if level > 0 {
		return log.NoopInfoLogger{}
	}
	return info(l)
}

type info struct{ to *slog.Logger }

func (info) Enabled() bool { return true }
func (i info) Info(m string) {
	if m = plain(m); m != "" {
		i.to.Info("kind: " + m)
	}
}
func (i info) Infof(f string, a ...any) { i.Info(fmt.Sprintf(f, a...)) }

// plain takes the pictures out of a line.
func plain(m string) string {
	m = strings.Map(func(r rune) rune {
		if r > unicode.MaxLatin1 {
			return -1
		}
		return r
	}, m)
	return strings.Join(strings.Fields(m), " ")
}
