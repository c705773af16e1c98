// Command tape makes the pictures of the terminal interface from the present program:
// it builds it, plays it in a window of tmux, and draws what is seen there, with its
// colours, as SVG.
//
//	go run ./hack/tape                # writes docs/pictures/*.svg
//	go run ./hack/tape -out DIRECTORY -only kafka
//
// It needs tmux. The lab that it brings up has a state directory of its own, and is
// deleted when it ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/alertlab/alertlab/hack/ending"
)

// The size of the window that is drawn, in cells, and of one that has room for all of
// an alert side by side.
const (
	columns, lines         = 110, 32
	wideColumns, wideLines = 156, 42
)

// patience bounds the wait for what is to be seen.
const patience = 90 * time.Second

// shot is one picture: keys, each with what must be seen before the next one is
// pressed, and then the picture is taken.
type shot struct {
	name  string
	wide  bool
	steps []step
}

type step struct {
	key   string // as tmux calls it; empty to wait only
	see   string // an expression
	again bool   // press the key once more while it is not seen
}

// shots are of a dashboard on its first page, one after the other.
var shots = []shot{
	{name: "lab", steps: []step{{key: "1", see: `COMPONENT`}, {see: `simulator .*published [1-9]`}}},
	{name: "kafka", steps: []step{{key: "2", see: `Kafka`}, {key: "t", see: `alerts-simulated .* [1-9][\d ]*/s`}}},
	{name: "alerts", steps: []step{{key: "3", see: `(?s)▸ +\d{6,}(.*\n +\d{6,}){5}`}}},
	// The oldest in the list is in the archive, or will be soon.
	{name: "light-curve", steps: []step{{key: "s", see: `stopped`}, {key: "End", see: `▸ +\d{6,}`}, {key: "Enter", see: `diaSource`},
		{key: "a", see: `equal byte for byte`, again: true}, {key: "l", see: `difference flux in nJy`}}},
	{name: "cutouts", steps: []step{{key: "c", see: `(?s)template.*65x65`}}},
	{name: "alert", wide: true, steps: []step{{key: "r", see: `(?s)FIELD.*difference flux in nJy.*65x65`}}},
	{name: "smoke", steps: []step{{key: "7", see: `CHECK`}, {key: "a", see: `\d+ passed, \d+ failed, \d+ skipped in`}}},
	// Visits come every twelve seconds; by now there are most of those that are drawn.
	{name: "visits", steps: []step{{key: "4", see: `(?s)next visit in (.*\d\d:\d\d:\d\d\.\d.*████████ all){6}`}}},
	{name: "database", steps: []step{{key: "5", see: `(?s)by nothing.*holds +\d.*LATEST ALERTS(.*\d{6,} +\d\d:\d\d:\d\d){8}`}, {key: "r", see: `holds +[1-9]`}}},
}

func main() {
	os.Exit(ending.Main(func(ctx context.Context) error { return run(ctx, os.Args[1:]) }))
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("tape", flag.ContinueOnError)
	out := flags.String("out", filepath.Join("docs", "pictures"), "folder of the pictures")
	only := flags.String("only", "", "make this picture only")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "tape-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(work, "alertlab"), "github.com/alertlab/alertlab")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, text)
	}
	w := &window{ctx: ctx, work: work}
	if err := w.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	wanted := func(name string) bool { return *only == "" || *only == name }
	take := func(name, screen string, width int) error {
		if !wanted(name) {
			return nil
		}
		path := filepath.Join(*out, name+".svg")
		fmt.Println(path)
		return os.WriteFile(path, []byte(draw(screen, width)), 0o644)
	}
	if err := w.bringUp(func(screen string) error { return take("bring-up", screen, columns) }); err != nil {
		return err
	}
	if err := w.line("clear; alertlab"); err != nil {
		return err
	}
	if _, err := w.see(`COMPONENT`); err != nil {
		return err
	}
	for _, s := range shots {
		width, height := columns, lines
		if s.wide {
			width, height = wideColumns, wideLines
		}
		if err := w.size(width, height); err != nil {
			return err
		}
		screen := ""
		for _, step := range s.steps {
			if screen, err = w.play(step); err != nil {
				return fmt.Errorf("picture %s: %w", s.name, err)
			}
		}
		if err := take(s.name, screen, width); err != nil {
			return err
		}
	}
	return w.keys("C-c")
}

// window is a window of tmux with a shell in it.
type window struct {
	ctx  context.Context
	work string
}

func (w *window) tmux(args ...string) (string, error) {
	cmd := exec.CommandContext(w.ctx, "tmux", append([]string{"-S", filepath.Join(w.work, "tmux")}, args...)...)
	cmd.Env = w.environ()
	text, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("tmux %s: %w: %s", args[0], err, strings.TrimSpace(string(text)))
	}
	return string(text), err
}

// environ is that of the shell: the program's own, without what the user has set for
// labs of their own.
func (w *window) environ() []string {
	var out []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ALERTLAB_") && !strings.HasPrefix(e, "TMUX") && !strings.HasPrefix(e, "NO_COLOR=") {
			out = append(out, e)
		}
	}
	return append(out, "PATH="+w.work+string(os.PathListSeparator)+os.Getenv("PATH"), "ALERTLAB_STATE_DIR="+filepath.Join(w.work, "state"), "LC_ALL=C.UTF-8", "COLORTERM=truecolor",
		"ALERTLAB_SIMULATOR_ALERTS=1000", "ALERTLAB_SIMULATOR_INTERVAL=12s", "PS1=$ ")
}

func (w *window) open() error {
	if _, err := exec.LookPath("tmux"); err != nil {
		return fmt.Errorf("%w: install tmux", err)
	}
	if _, err := w.tmux("-f", os.DevNull, "new-session", "-d", "-c", w.work, "-x", fmt.Sprint(columns), "-y", fmt.Sprint(lines), "sh"); err != nil {
		return err
	}
	for _, option := range [][]string{{"-g", "status", "off"}, {"-g", "default-terminal", "tmux-256color"}, {"-sa", "terminal-features", "*:RGB"}} {
		if _, err := w.tmux(append([]string{"set-option"}, option...)...); err != nil {
			return err
		}
	}
	if err := w.size(columns, lines); err != nil {
		return err
	}
	_, err := w.see(`[$#]`)
	return err
}

func (w *window) close() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), patience)
	defer cancel()
	down := exec.CommandContext(ctx, filepath.Join(w.work, "alertlab"), "down", "--purge", "--progress", "quiet")
	down.Env = w.environ()
	text, err := down.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("the lab cannot be deleted: %w: %s", err, text)
	}
	w.ctx = ctx
	_, gone := w.tmux("kill-server")
	return errors.Join(err, gone)
}

func (w *window) size(width, height int) error {
	_, err := w.tmux("resize-window", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height))
	return err
}

func (w *window) keys(keys ...string) error {
	_, err := w.tmux(append([]string{"send-keys"}, keys...)...)
	return err
}

func (w *window) line(text string) error {
	if _, err := w.tmux("send-keys", "-l", text); err != nil {
		return err
	}
	return w.keys("Enter")
}

// screen is what is seen, with its colours, also those of blanks at the end of a line.
func (w *window) screen() (string, error) { return w.tmux("capture-pane", "-p", "-e", "-N") }

// see waits until an expression matches the text on the screen.
func (w *window) see(expression string) (string, error) { return w.play(step{see: expression}) }

const (
	// still is how many looks must show the same before a screen counts as drawn: a
	// frame reaches the terminal in parts.
	still = 5
	// pressAgain is after how many looks a key is pressed once more.
	pressAgain = 200
)

// play presses a key and waits for what shall be seen then.
func (w *window) play(s step) (string, error) {
	re := regexp.MustCompile(s.see)
	screen, same, looks := "", 0, 0
	err := w.poll(func() (bool, error) {
		if s.key != "" && (looks == 0 || s.again && looks%pressAgain == 0) {
			if err := w.keys(s.key); err != nil {
				return false, err
			}
		}
		looks++
		now, err := w.screen()
		if same++; now != screen {
			screen, same = now, 0
		}
		return same >= still && re.MatchString(plain(screen)), err
	})
	if err != nil {
		err = fmt.Errorf("%s was not seen: %w; seen last:\n%s", s.see, err, plain(screen))
	}
	return screen, err
}

func (w *window) poll(is func() (bool, error)) error {
	deadline, look := time.NewTimer(patience), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer look.Stop()
	for {
		if ok, err := is(); ok || err != nil {
			return err
		}
		select {
		case <-w.ctx.Done():
			return w.ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("not within %s", patience)
		case <-look.C:
		}
	}
}

// bringUp brings a lab up that was up before, so that its progress is weighed, and
// takes the picture of the moment at which about half of the steps are done.
func (w *window) bringUp(take func(screen string) error) error {
	first := exec.CommandContext(w.ctx, filepath.Join(w.work, "alertlab"), "up", "--progress", "quiet")
	first.Env = w.environ()
	if text, err := first.CombinedOutput(); err != nil {
		return fmt.Errorf("up: %w: %s", err, text)
	}
	down := exec.CommandContext(w.ctx, filepath.Join(w.work, "alertlab"), "down", "--progress", "quiet")
	down.Env = w.environ()
	if text, err := down.CombinedOutput(); err != nil {
		return fmt.Errorf("down: %w: %s", err, text)
	}
	if err := w.line("clear; alertlab up"); err != nil {
		return err
	}
	best, distance := "", 1.0
	err := w.poll(func() (bool, error) {
		screen, err := w.screen()
		if err != nil {
			return false, err
		}
		text := plain(screen)
		var done, all float64
		if m := progress.FindStringSubmatch(text); m != nil {
			if _, err := fmt.Sscan(m[1]+" "+m[2], &done, &all); err == nil && all > 0 {
				if d := abs(done/all - 0.5); d < distance {
					best, distance = screen, d
				}
			}
		}
		return strings.Contains(text, "down           stop") || strings.Contains(text, "alertlab down "), nil
	})
	if err != nil {
		return err
	}
	if best == "" { // faster than anybody looks
		if best, err = w.screen(); err != nil {
			return err
		}
	}
	return take(best)
}

var progress = regexp.MustCompile(`(\d+) of (\d+) steps`)

func abs(v float64) float64 { return max(v, -v) }
