package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The words of the control socket: one line "VERB SERVICE", answered by one
// line, "ok", "active", "inactive", "unknown", or "error: REASON".
const (
	verbStart   = "start"
	verbStop    = "stop"
	verbRestart = "restart"
	verbActive  = "is-active"
)

const (
	readLine  = 5 * time.Second  // for a client that connects and says nothing
	serveTime = 20 * time.Second // longest time that stopping a program may take; grace is within
)

// Serve answers on a unix socket until ctx ends. A stale socket is replaced.
func (m *Manager) Serve(ctx context.Context, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	m.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				if ctx.Err() == nil {
					m.log.Error("the services cannot be controlled any more", "error", err)
				}
				return
			}
			go m.answer(ctx, c, m.log)
		}
	})
	return nil
}

func (m *Manager) answer(ctx context.Context, c net.Conn, log *slog.Logger) {
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(readLine))
	line, err := bufio.NewReader(io.LimitReader(c, 256)).ReadString('\n')
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, serveTime)
	defer cancel()
	said := m.do(ctx, strings.TrimSpace(line))
	log.Debug("a service was asked for", "words", strings.TrimSpace(line), "answer", said)
	_, _ = io.WriteString(c, said+"\n") // whoever asked may be gone
}

func (m *Manager) do(ctx context.Context, line string) string {
	verb, name, _ := strings.Cut(line, " ")
	var err error
	switch verb {
	case verbStart:
		err = m.Start(name)
	case verbStop:
		err = m.Stop(ctx, name)
	case verbRestart:
		err = m.Restart(ctx, name)
	case verbActive:
		var on bool
		if on, err = m.Active(name); err == nil {
			if on {
				return "active"
			}
			return "inactive"
		}
	default:
		err = fmt.Errorf("unknown verb %q", verb)
	}
	switch {
	case errors.Is(err, ErrUnknown):
		return "unknown"
	case err != nil:
		return "error: " + err.Error()
	}
	return "ok"
}

// Ask sends one verb for one service to the manager behind a socket and returns
// its answer.
func Ask(ctx context.Context, path, verb, name string) (string, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := fmt.Fprintf(c, "%s %s\n", verb, name); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the node's services did not answer: %w", err)
	}
	return strings.TrimSpace(answer), nil
}
