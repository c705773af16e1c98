package labtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/inprocess"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/embedded"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
)

// name is what the lab of a test is called. Each lies in a directory of its own.
const name = "test"

// patience bounds the bring-up, which takes about a second.
const patience = 3 * time.Minute

// Start brings an embedded lab up in this process. When it returns, every part answers;
// visits come as the profile says. The lab ends with the test, and with it everything
// that it stored. Several labs may run at once.
//
// What goes wrong fails the test at once. A test that fails for whatever reason has the
// warnings of the lab's parts in its log.
func Start(tb testing.TB, options ...Option) *Lab {
	tb.Helper()
	lab, err := start(tb, settingsOf(options))
	if err != nil {
		tb.Fatalf("labtest: %s", fault.Text(err))
	}
	return lab
}

func start(tb testing.TB, s settings) (*Lab, error) {
	p, err := s.load()
	if err != nil {
		return nil, err
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// Not tb.TempDir, whose path may be too long for what lies in it.
	root, err := os.MkdirTemp("", "labtest-")
	if err != nil {
		return nil, err
	}
	dir, logs := state.At(root, name), &warnings{}
	desc := state.Description{Name: name, Provider: inprocess.Provider, Stack: p.Stack, Profile: p.Name, Created: time.Now().UTC().Truncate(time.Second), Resolved: string(p.Source())}
	if s.profile != p.Name { // a file
		if desc.Profile, err = filepath.Abs(s.profile); err != nil {
			return nil, err
		}
	}
	server := &runner.Server{Dir: dir, Log: logs.logger("runner"), Open: func(desc state.Description) (runner.Lab, error) {
		return inprocess.Open(&embedded.Host{Dir: dir, Secrets: &secrets.Store{}, Log: logs.logger, Executable: executable}, desc)
	}}
	serving, stop := context.WithCancel(context.Background())
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- server.Serve(serving, func() { close(listening) }) }()
	lab := &Lab{}
	tb.Cleanup(func() {
		lab.close()
		if tb.Failed() {
			for _, line := range logs.lines() {
				tb.Log(line)
			}
		}
		entries, err := run.ReadJournal(dir.Journal())
		stop() // which takes the lab down
		err = errors.Join(err, <-ended, os.RemoveAll(root))
		left, unclean := loopback.CleanUp(context.Background(), run.Outputs(entries)["addresses"])
		if err = errors.Join(err, unclean); err != nil || len(left) > 0 {
			tb.Errorf("labtest: ending the lab: %v; left: %v", err, left)
		}
	})
	select {
	case err := <-ended:
		ended <- err
		return nil, err
	case <-listening:
	}
	bound, cancel := context.WithTimeoutCause(tb.Context(), patience, fmt.Errorf("the lab was not up after %s", patience))
	defer cancel()
	client, err := runner.Dial(bound, dir)
	if err != nil {
		return nil, err
	}
	if err := client.Up(bound, desc, func(event.Event) {}); err != nil {
		return nil, errors.Join(err, context.Cause(bound))
	}
	if lab.Endpoints, err = dir.Endpoints(); err != nil {
		return nil, err
	}
	if lab.Credentials, err = dir.Credentials(); err != nil {
		return nil, err
	}
	lab.Endpoints.Handles.Brokers, err = client.BrokerControl(bound)
	return lab, err
}

// warnings keeps the last lines that the lab's parts have written of what is not as it
// should be.
type warnings struct {
	mu   sync.Mutex
	kept []string
}

// most is how many lines are kept.
const most = 40

func (w *warnings) logger(component string) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn})).With("part", component)
}

// Write implements io.Writer; the handler writes whole lines.
func (w *warnings) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kept = append(w.kept, strings.TrimRight(string(b), "\n")); len(w.kept) > most {
		w.kept = w.kept[1:]
	}
	return len(b), nil
}

func (w *warnings) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kept
}
