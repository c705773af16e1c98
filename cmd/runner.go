package cmd

import (
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
)

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
			if next == "" {
				next = noRoom(dir.Path())
			}
			return next
		},
		Open: func(desc state.Description) (runner.Lab, error) {
			return catalog.Open(dir, desc, executable, logs.logger)
		}}, nil
}

// littleRoom is free space, in bytes, below which a full disk is the likeliest cause
// of a failure that says nothing else: the brokers have a segment of 8 MiB open for
// each partition, and Kafka's protocol has no words for a full disk.
const littleRoom = 16 << 20

// noRoom gives the remedy for a lab whose disk is as good as full, else "".
func noRoom(path string) string {
	var disk unix.Statfs_t
	if unix.Statfs(path, &disk) != nil {
		return ""
	}
	free := disk.Bavail * uint64(disk.Bsize)
	if free >= littleRoom {
		return ""
	}
	return fmt.Sprintf("free disk space, then: alertlab up   # only %d kB are left under %s", free/1000, path)
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
