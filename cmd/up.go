package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/render"
)

func (a *app) up() *cobra.Command {
	var ch choice
	var foreground bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Bring the lab up, or bring it to what the profile says now",
		Long: `up plans what is missing and does it: a new lab is created, one that was stopped
goes on with its data, one that was killed is healed, and a lab that is as it
should be is left alone. It returns when everything is ready; the lab stays in
the background. Ctrl-C cancels and stops what was started.

The lab remembers its profile and the values that the environment gave, until
--profile is named again:
` + variables(),
		Example: `  alertlab up
  alertlab up --profile my-profile.yaml --lab mine
  ALERTLAB_SIMULATOR_ALERTS=10000 alertlab up    # full visits
  alertlab up -o json 2>/dev/null | jq .kafka.bootstrap
  alertlab up --foreground                       # until Ctrl-C, e.g. in a container`,
		Args: cobra.NoArgs,
	}
	ch.flags(c)
	c.Flags().BoolVar(&foreground, "foreground", false, "run the lab in this process, until Ctrl-C")
	progress := progressFlag(c)
	output := outputFlag(c, "card", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := a.dir()
		if err != nil {
			return err
		}
		desc, err := a.describe(dir, ch)
		if err != nil {
			return err
		}
		// What is wrong with the wish itself is found before anything starts.
		if _, err := catalog.Wanted(desc); err != nil {
			return err
		}
		if _, err := a.renderer(*progress); err != nil {
			return err
		}
		if err := dir.Create(); err != nil {
			return fault.Wrap(fault.BadInput, "there is no place for the lab's state", err, "export ALERTLAB_STATE_DIR=DIRECTORY   # one that you may write to")
		}
		if foreground {
			return a.inForeground(c.Context(), dir, desc, *progress, *output)
		}
		err = a.follow(c.Context(), *progress, func(ctx context.Context, sink event.Sink) error {
			client, err := a.ensureRunner(ctx, dir)
			if err != nil {
				return err
			}
			return client.Up(ctx, desc, sink)
		})
		if errors.Is(err, errDetached) {
			return nil
		}
		if err != nil {
			return err
		}
		return a.printCard(dir, *output)
	}
	return c
}

// ensureRunner finds the lab's runner or starts one.
func (a *app) ensureRunner(ctx context.Context, dir state.Dir) (*runner.Client, error) {
	client, err := runner.Dial(ctx, dir)
	if !errors.Is(err, runner.ErrNotRunning) {
		return client, err
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	environ := append(a.environ(), "ALERTLAB_STATE_DIR="+dir.Root())
	client, err = runner.Spawn(ctx, dir, executable, []string{"runner", "--lab", dir.Lab()}, environ)
	return client, fault.Wrap(fault.StepFailed, "the lab's runner did not start", err, "alertlab logs runner --lab "+dir.Lab())
}

// inForeground is the runner and its follower in one process.
func (a *app) inForeground(ctx context.Context, dir state.Dir, desc state.Description, progress, output string) error {
	if _, err := runner.Dial(ctx, dir); err == nil {
		return fault.New(fault.StepFailed, "lab "+dir.Lab()+" runs already", "its runner is a process of its own",
			"alertlab down --lab "+dir.Lab()+"   # then again")
	}
	server, err := a.server(dir)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- server.Serve(serving, func() { close(listening) }) }()
	select {
	case err := <-ended:
		return err
	case <-listening:
	}
	err = a.follow(ctx, progress, func(ctx context.Context, sink event.Sink) error {
		client, err := runner.Dial(ctx, dir)
		if err != nil {
			return err
		}
		return client.Up(ctx, desc, sink)
	})
	if err == nil {
		err = a.printCard(dir, output)
	}
	if err != nil && !errors.Is(err, errDetached) {
		stop()
		<-ended
		return err
	}
	return <-ended // Ctrl-C, or alertlab down from elsewhere
}

func (a *app) printCard(dir state.Dir, output string) error {
	card, err := dir.Endpoints()
	if err != nil {
		return err
	}
	if output == "json" {
		return a.printJSON(card)
	}
	suffix := ""
	if dir.Lab() != state.DefaultLab {
		suffix = " --lab " + dir.Lab()
	}
	return render.Card(a.out, card, "alertlab env --user NAME"+suffix,
		render.Command{Line: "alertlab smoke" + suffix, Does: "check that everything works"},
		render.Command{Line: `eval "$(alertlab env` + suffix + `)"`, Does: "addresses and credentials for your own client"},
		render.Command{Line: "alertlab status" + suffix, Does: "what runs, and how it fares"},
		render.Command{Line: "alertlab down" + suffix, Does: "stop, and keep the data"})
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// runner is the hidden verb of the background process.
func (a *app) runner() *cobra.Command {
	return &cobra.Command{
		Use: "runner", Hidden: true, Args: cobra.NoArgs,
		Short: "Own a lab in the background (started by up)",
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := a.dir()
			if err != nil {
				return err
			}
			server, err := a.server(dir)
			if err == nil {
				err = server.Serve(c.Context(), func() { runner.Ready(nil) })
			}
			if err != nil {
				runner.Ready(err)
			}
			return err
		},
	}
}

// server makes a runner's server for the lab.
func (a *app) server(dir state.Dir) (*runner.Server, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	logs := &logFiles{dir: dir, open: map[string]*slog.Logger{}}
	return &runner.Server{Dir: dir, Log: logs.logger("runner"), Recorder: a.hooks.Recorder,
		Remedy: func(err error) string {
			next, _ := remedy(err)
			return next
		},
		Open: func(desc state.Description) (runner.Lab, error) {
			return catalog.Open(dir, desc, executable, logs.logger)
		}}, nil
}

// logFiles gives each component a log file of its own.
type logFiles struct {
	dir  state.Dir
	mu   sync.Mutex
	open map[string]*slog.Logger
}

func (l *logFiles) logger(component string) *slog.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if log := l.open[component]; log != nil {
		return log
	}
	log := slog.New(slog.NewTextHandler(&logFile{dir: l.dir, component: component}, nil))
	l.open[component] = log
	return log
}

// logFile opens its file with the first line, because the lab's directory may
// not be there before.
type logFile struct {
	dir       state.Dir
	component string

	mu   sync.Mutex
	file *os.File
}

func (f *logFile) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		file, err := os.OpenFile(f.dir.Log(f.component), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		f.file = file
	}
	return f.file.Write(b)
}

// needLab gives the lab's directory, or says that there is no such lab.
func (a *app) needLab() (state.Dir, error) {
	dir, err := a.dir()
	if err != nil {
		return dir, err
	}
	if _, err := dir.Describe(); err != nil {
		why := "nothing is kept under this name"
		if others, err := state.Labs(dir.Root()); err == nil && len(others) > 0 {
			why = "there are: " + strings.Join(others, ", ")
		}
		return dir, fault.New(fault.NoLab, fmt.Sprintf("there is no lab %q", dir.Lab()), why, "alertlab up --lab "+dir.Lab())
	}
	return dir, nil
}

// needRunning gives a client of the lab's runner, or says that it does not run.
func (a *app) needRunning(ctx context.Context) (state.Dir, *runner.Client, error) {
	dir, err := a.needLab()
	if err != nil {
		return dir, nil, err
	}
	client, err := runner.Dial(ctx, dir)
	if errors.Is(err, runner.ErrNotRunning) {
		return dir, nil, &fault.Fault{What: fmt.Sprintf("lab %q does not run", dir.Lab()), Why: "its data is kept in " + dir.Path(),
			Next: "alertlab up --lab " + dir.Lab(), Code: fault.NoLab, Err: err}
	}
	return dir, client, err
}
