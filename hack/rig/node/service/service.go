package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Times, all of them chosen here.
const (
	firstPause = 500 * time.Millisecond // before a program that ended is started again
	longPause  = 10 * time.Second       // the pause doubles up to this
	steady     = 30 * time.Second       // a program that ran so long begins with the first pause again
	grace      = 8 * time.Second        // from SIGTERM to SIGKILL; an engine gives a whole container 10
	gatePoll   = 100 * time.Millisecond // how often a gate is asked
)

// Unit is one program to keep up.
type Unit struct {
	Name string
	Log  string // file that its output is added to
	// Ready is asked before each start; while it says false the program is
	// not started and not taken for failed. Nil is always ready.
	Ready func() bool
	// Command makes the command of the next start. It must not be started.
	Command func(ctx context.Context) (*exec.Cmd, error)
}

// Manager keeps units up. Its methods may be called from any goroutine.
type Manager struct {
	log *slog.Logger

	mu    sync.Mutex
	units map[string]*unit
	done  sync.WaitGroup
}

type unit struct {
	Unit
	mu      sync.Mutex
	wanted  bool
	changed chan struct{} // closed and replaced whenever wanted or restart changed
	restart int           // number of restarts asked for
	running bool
	idle    chan struct{} // closed while no process runs
}

// New makes a manager without units.
func New(log *slog.Logger) *Manager { return &Manager{log: log, units: map[string]*unit{}} }

// Keep begins to keep a unit up, until ctx ends; then the program gets SIGTERM
// and, if need be, SIGKILL. Names must differ.
func (m *Manager) Keep(ctx context.Context, u Unit) {
	idle := make(chan struct{})
	close(idle)
	x := &unit{Unit: u, wanted: true, changed: make(chan struct{}), idle: idle}
	m.mu.Lock()
	m.units[u.Name] = x
	m.mu.Unlock()
	m.done.Go(func() { x.loop(ctx, m.log) })
}

// Wait returns when the context given to Keep has ended and every program has.
func (m *Manager) Wait() { m.done.Wait() }

// ErrUnknown is the answer for a name that no unit has.
var ErrUnknown = errors.New("no such service")

func (m *Manager) find(name string) (*unit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.units[name]; u != nil {
		return u, nil
	}
	return nil, fmt.Errorf("%q: %w", name, ErrUnknown)
}

// Start wants the program up and returns at once; the gate may hold it.
func (m *Manager) Start(name string) error {
	u, err := m.find(name)
	if err != nil {
		return err
	}
	u.change(func() { u.wanted = true })
	return nil
}

// Stop wants the program down and returns when it is.
func (m *Manager) Stop(ctx context.Context, name string) error {
	u, err := m.find(name)
	if err != nil {
		return err
	}
	u.change(func() { u.wanted = false })
	return u.wait(ctx)
}

// Restart ends the program, if it runs, and wants it up again. It returns when
// the old process has ended.
func (m *Manager) Restart(ctx context.Context, name string) error {
	u, err := m.find(name)
	if err != nil {
		return err
	}
	u.mu.Lock()
	old := u.idle
	u.mu.Unlock()
	u.change(func() { u.wanted = true; u.restart++ })
	select {
	case <-old:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Active tells whether the program's process runs.
func (m *Manager) Active(name string) (bool, error) {
	u, err := m.find(name)
	if err != nil {
		return false, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.running, nil
}

func (u *unit) change(f func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f()
	close(u.changed)
	u.changed = make(chan struct{})
}

func (u *unit) wait(ctx context.Context) error {
	u.mu.Lock()
	idle := u.idle
	u.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u *unit) state() (wanted bool, restart int, changed chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.wanted, u.restart, u.changed
}

func (u *unit) setRunning(on bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if on == u.running {
		return
	}
	u.running = on
	if on {
		u.idle = make(chan struct{})
	} else {
		close(u.idle)
	}
}

func (u *unit) loop(ctx context.Context, log *slog.Logger) {
	pause := firstPause
	for ctx.Err() == nil {
		wanted, restart, changed := u.state()
		if !wanted {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		if u.Ready != nil && !u.Ready() {
			sleep(ctx, gatePoll, changed)
			continue
		}
		began := time.Now()
		asked, err := u.once(ctx, restart)
		if ctx.Err() != nil {
			return
		}
		if asked {
			pause = firstPause
			continue
		}
		if time.Since(began) >= steady {
			pause = firstPause
		}
		log.Warn("a service ended and is started again", "service", u.Name, "reason", err, "pause", pause, "log", u.Log)
		_, _, changed = u.state()
		sleep(ctx, pause, changed)
		pause = min(2*pause, longPause)
	}
}

// once runs the program until it ends. It reports whether it ended because
// that was asked for; otherwise the reason.
func (u *unit) once(ctx context.Context, restart int) (asked bool, err error) {
	out, err := openLog(u.Log)
	if err != nil {
		return false, err
	}
	defer out.Close()
	// The program gets its signals below, not by the end of a context.
	cmd, err := u.Command(context.WithoutCancel(ctx))
	if err != nil {
		return false, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	// Signals that a terminal sends to the node's group are not for it.
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return false, err
	}
	u.setRunning(true)
	defer u.setRunning(false)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	for {
		wanted, now, changed := u.state()
		if !wanted || now != restart || ctx.Err() != nil {
			terminate(cmd.Process, ended)
			return true, nil
		}
		select {
		case err := <-ended:
			if err == nil {
				err = errors.New("it ended without an error")
			}
			fmt.Fprintf(out, "%s: %s ended: %v\n", time.Now().UTC().Format(time.RFC3339), u.Name, err)
			return false, err
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// terminate ends one process, not its group: what containerd and kubelet have
// started lives on while they are restarted.
func terminate(p *os.Process, ended <-chan error) {
	_ = p.Signal(syscall.SIGTERM) // it may have ended by itself
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		_ = p.Kill()
		<-ended
	}
}

func openLog(file string) (io.WriteCloser, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
}

// sleep ends early when something changed.
func sleep(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}
