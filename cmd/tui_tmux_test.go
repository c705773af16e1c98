package cmd_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// terminal is a terminal with a shell in it, as a person has: a window of tmux with a
// server of its own.
type terminal struct {
	t      *testing.T
	socket string
}

// newTerminal opens a terminal of so many cells. The program is in its path, and the
// labs of the test are its own.
func newTerminal(t *testing.T, columns, lines string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("tmux is missing, and CI is set")
		}
		t.Skip("tmux is missing: apt-get install tmux, or your system's way")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A runner starts what it was started as: a link would lead back to the test.
	copyProgram(t, self, filepath.Join(bin, "alertlab"))
	// A socket's path must be short.
	sockets, err := os.MkdirTemp("", "tmux-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	x := &terminal{t, filepath.Join(sockets, "s")}
	cmd := exec.Command("tmux", "-S", x.socket, "-f", os.DevNull, "new-session", "-d", "-c", dir, "-x", columns, "-y", lines, "sh")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "ALERTLAB_STATE_DIR="+filepath.Join(dir, "state"), "ENV=", "NO_COLOR=", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
		"ALERTLAB_LAB=", "ALERTLAB_SIMULATOR_ALERTS=20", "ALERTLAB_SIMULATOR_INTERVAL=2s", "ALERTLAB_SIMULATOR_PACKET_SIZE=60kB")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		down := exec.CommandContext(ctx, filepath.Join(bin, "alertlab"), "down", "--purge", "--progress", "quiet")
		down.Env = cmd.Env
		if out, err := down.CombinedOutput(); err != nil {
			t.Errorf("the lab cannot be deleted: %v\n%s", err, out)
		}
		_ = exec.Command("tmux", "-S", x.socket, "kill-server").Run() // it may have ended with its shell
	})
	x.tmux("set-option", "-g", "status", "off")
	x.tmux("resize-window", "-x", columns, "-y", lines)
	x.match(`[$#]`) // the shell is there
	return x
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	if os.Link(from, to) == nil {
		return
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", x.socket}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %s: %v\n%s", args[0], err, out)
	}
	return string(out)
}

// keys presses keys, as tmux calls them: Enter, Down, q.
func (x *terminal) keys(keys ...string) {
	x.t.Helper()
	x.tmux(append([]string{"send-keys"}, keys...)...)
}

// line types a line.
func (x *terminal) line(text string) {
	x.t.Helper()
	x.tmux("send-keys", "-l", text)
	x.keys("Enter")
}

// screen is what is seen now.
func (x *terminal) screen() string { x.t.Helper(); return x.tmux("capture-pane", "-p") }

// until waits for a screen that is as wanted.
func (x *terminal) until(what string, is func(screen string) bool) string {
	x.t.Helper()
	return x.poll(what, x.screen, is)
}

// ended waits until the shell is there again.
func (x *terminal) ended() {
	x.t.Helper()
	x.poll("the end of the program", func() string { return x.tmux("display-message", "-p", "#{pane_current_command}") }, func(command string) bool {
		return strings.TrimSpace(command) != "alertlab"
	})
}

func (x *terminal) poll(what string, see func() string, is func(string) bool) string {
	x.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		screen := see()
		if is(screen) {
			return screen
		}
		select {
		case <-deadline.C:
			x.t.Fatalf("%s was not seen within %s; seen last:\n%s", what, patience, screen)
		case <-look.C:
		}
	}
}

// see waits until all of the texts are on the screen.
func (x *terminal) see(texts ...string) string {
	x.t.Helper()
	return x.until(strings.Join(texts, " and "), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// match waits until an expression matches the screen.
func (x *terminal) match(expression string) string {
	x.t.Helper()
	re := regexp.MustCompile(expression)
	return x.until(expression, re.MatchString)
}

// dashboardSteps are what a person does in the dashboard of a lab that is ready, one
// after the other, each from and to any page.
var dashboardSteps = []struct {
	name string
	do   func(*terminal)
}{
	{"lab", func(x *terminal) {
		x.keys("1")
		x.see("default › Lab", "COMPONENT", "alert-database-ingester", "simulator", "● ready")
		x.keys("e")
		x.see("Lab › endpoints", "bootstrap", "kafka-admin")
		x.keys("q")
		x.see("COMPONENT")
	}},
	{"kafka", func(x *terminal) {
		x.keys("2", "b")
		x.see("Kafka › brokers", "6 of 6 brokers live")
		x.keys("t")
		x.see("Kafka › topics", "alerts-simulated", "alerts-static")
		x.keys("g")
		x.see("Kafka › groups", "alertdb-ingester", "Stable")
		x.keys("Enter")
		x.see("COMMITTED")
		x.keys("q", "u")
		x.see("Kafka › users", "antares", "kafka-admin", "superuser")
	}},
	{"alerts", func(x *terminal) {
		x.keys("3")
		x.see("Alerts › alerts-simulated", "following", "alerts/s", "SCHEMA")
		x.match(`▸ +\d{6,}`)
		x.keys("Enter")
		x.see("diaSource", "wire 00 00 00 04 4c = id 1100", "deg")
		// The alert may be so new that it is not stored yet.
		x.until("the archived copy", func(screen string) bool {
			if strings.Contains(screen, "not archived") {
				x.keys("a")
			}
			return strings.Contains(screen, "archived, equal byte for byte")
		})
		x.keys("l")
		x.see("difference flux in nJy over MJD, TAI", "detected")
		x.match(`[●○■□◆◇▲△▼▽★☆]\d`)
		x.keys("c")
		x.see("science", "template", "difference", "▀▀▀▀▀▀▀▀", " nJy")
		x.keys("r", "q")
		x.see("SCHEMA")
		x.keys("s")
		x.see("stopped")
		x.keys("t")
		x.see("Follow which topic?", "alerts-static")
		x.keys("q")
	}},
	{"registry", func(x *terminal) {
		x.keys("6")
		x.see("Registry", "alert-packet", "COMPATIBILITY")
		x.keys("Enter")
		x.see("lsst.v11_0.alert", "lsst.v3_0.alert")
		x.keys("d")
		x.see("1000 › 1100", "diaSource.psfNdata", "null or int")
		x.keys("q", "Enter")
		x.see(`"name": "diaSourceId"`, "id 1100")
		x.keys("q", "q")
		x.see("COMPATIBILITY")
	}},
	{"visits", func(x *terminal) {
		x.keys("4")
		x.see("Visits", "next visit in")
		x.match(`▸ +\d+ .*████████ all`)
	}},
	{"alert database", func(x *terminal) {
		x.keys("5")
		x.see("Database", "ready", "alerts since it began", "LATEST ALERTS")
		x.match(`▸ +\d{6,}`)
		x.keys("Enter")
		x.see("Database › alert", "diaSource.ra")
		x.keys("q")
	}},
	{"smoke", func(x *terminal) {
		x.keys("7")
		x.see("Smoke", "every broker answers at its own address")
		x.keys("r")
		x.see("1 passed, 0 failed, 0 skipped in")
		x.keys("Enter")
		x.see("Smoke › brokers-answer", "evidence")
		x.keys("q")
	}},
	{"logs", func(x *terminal) {
		x.keys("8")
		x.see("Logs › all", "following", "visit played")
		x.keys("/")
		x.tmux("send-keys", "-l", "runner started")
		x.see("/runner started")
		x.until("only what was searched for", func(screen string) bool {
			return strings.Contains(screen, "runner started") && !strings.Contains(screen, "visit played")
		})
		x.keys("Enter", "Escape")
		x.see("visit played")
	}},
	{"a broker is killed and comes back", func(x *terminal) {
		x.keys("9")
		x.see("Actions", "▸ broker kill")
		x.keys("Enter")
		x.see("< 0 >")
		x.keys("Right")
		x.see("< 1 >")
		x.keys("Enter")
		x.see("the connections of broker 1 are cut", "y does this")
		x.keys("y")
		x.match(`broker 1 at \S+ is killed`)
		x.keys("Enter", "1")
		x.see("! kafka: broker 1 is killed")
		x.keys("2", "b")
		x.match(`1  \S+ +away`)
		x.keys("9")
		x.see("▸ broker kill")
		x.keys("Down", "Enter")
		x.see("< 0 >")
		x.keys("Right")
		x.see("< 1 >")
		x.keys("Enter")
		x.see("broker 1 is brought back")
		x.keys("y")
		x.match(`broker 1 answers at \S+`)
		x.keys("Enter", "2", "b")
		x.see("6 of 6 brokers live")
	}},
	{"a user is added", func(x *terminal) {
		x.keys("9")
		x.see("Nothing is done", "user add")
		x.keys("/")
		x.tmux("send-keys", "-l", "user add")
		x.see("▸ user add")
		x.keys("Enter", "Enter")
		x.see("its name")
		x.line("bob")
		x.keys("Enter")
		x.see("plan to bring up lab default", "y does this")
		x.keys("y")
		x.see("user bob reads alerts-simulated")
		x.keys("Enter", "Escape")
		x.see("broker kill")
		x.keys("2", "u")
		x.match(`bob +reader`)
	}},
	{"help, commands and sizes", func(x *terminal) {
		x.keys("?")
		x.see("Everywhere")
		x.keys("q")
		x.tmux("send-keys", "-l", ":vis")
		x.see(":vis")
		x.keys("Tab", "Enter")
		x.see("default › Visits")
		x.tmux("resize-window", "-x", "60", "-y", "20")
		x.see("needs 80 columns")
		x.tmux("resize-window", "-x", "200", "-y", "60")
		x.see("local on embedded", "default › Visits")
		x.tmux("resize-window", "-x", "80", "-y", "24")
		x.until("the page at its size before", func(s string) bool {
			return strings.Contains(s, "default › Visits") && !strings.Contains(s, "local on embedded")
		})
	}},
}

// TestDashboardInATerminal does what a person does: watches a lab come up, opens each
// page, kills a broker and brings it back, leaves; and has the terminal as it was.
func TestDashboardInATerminal(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, "80", "24")
	x.line("stty -g > before; clear")
	x.line("alertlab")
	x.see("Choose a profile", "▸ local", "plan to bring up lab default")
	x.keys("Enter")
	x.see("default › Lab", "● ready", "COMPONENT")
	for _, step := range dashboardSteps {
		t.Log(step.name)
		step.do(x)
	}
	x.keys("q")
	x.ended()
	x.line("stty -g | cmp - before && echo the same as before")
	x.match(`(?m)^([$#] )?the same as before`)
	if flags := x.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"); strings.TrimSpace(flags) != "0 1 0" {
		t.Errorf("the other screen, the cursor and the mouse are %s, want 0 1 0", flags)
	}

	// A lab that is stopped under the dashboard, and comes back.
	x.line("clear; alertlab tui")
	x.see("default › Lab", "COMPONENT")
	x.tmux("split-window", "-d", "alertlab down --progress quiet")
	x.see("lab default is stopped")
	x.keys("u")
	x.see("plan to bring up lab default")
	x.keys("Enter")
	x.see("● ready", "COMPONENT")

	// It is deleted from the page of actions, by its name.
	x.keys("9")
	x.see("down --purge")
	x.keys("End", "Enter")
	x.see("type default to do this")
	x.line("default")
	x.match(`no lab|lab default is deleted`)
	x.see("no lab")
	x.keys("C-c")
	x.ended()

	// In line, and without colours.
	x.tmux("resize-window", "-x", "100", "-y", "90")
	x.line("clear; NO_COLOR=1 alertlab up --profile ci")
	x.see("all done in", "├ ", "Next")
	if raw := x.tmux("capture-pane", "-p", "-e"); strings.Contains(raw, "\x1b[3") {
		t.Errorf("colours although NO_COLOR is set:\n%q", raw)
	}
}

// press sends bytes as a terminal does: of the mouse, or of what it says of itself.
func (x *terminal) press(bytes string) { x.t.Helper(); x.tmux("send-keys", "-l", bytes) }

// colourOf is a sequence that tmux writes of a cell with a colour of its own.
var colourOf = regexp.MustCompile("\x1b\\[(3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")

// otherTerminals are those that are not as most people's are, each with what must hold
// of every frame, as tmux captures it with its looks.
var otherTerminals = []struct {
	name, env, between string
	cutout             string // what stands in the picture of a cutout
	wrong              func(frame string) string
}{
	{"no colours", "NO_COLOR=1 TERM=xterm-256color", "›", "░", colourOf.FindString},
	{"ASCII alone", "LC_ALL=C TERM=xterm", ">", "==", func(frame string) string {
		if i := strings.IndexFunc(frame, func(r rune) bool { return r > '~' }); i >= 0 {
			return frame[i:min(i+20, len(frame))]
		}
		return ""
	}},
	{"sixteen colours", "TERM=xterm COLORTERM=", "›", "▀", regexp.MustCompile("\x1b\\[[34]8[;:]").FindString},
	{"a screen in a terminal", "TERM=screen COLORTERM=", "›", "▀", regexp.MustCompile("\x1b\\[[34]8[;:]").FindString},
	{"a light background", "TERM=xterm-256color COLORTERM= COLORFGBG='0;15'", "›", "▀", regexp.MustCompile("\x1b\\[3[1-6]m").FindString},
}

// TestDashboardOnOtherTerminals opens every page on terminals of all kinds, and does
// with the mouse what keys do elsewhere.
func TestDashboardOnOtherTerminals(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, "80", "24")
	x.line("alertlab up --progress quiet; clear; TERM=dumb alertlab tui; echo it ended with $?")
	x.see("the dashboard cannot be drawn", "it ended with 2")
	for _, c := range otherTerminals {
		t.Log(c.name)
		x.line("clear; " + c.env + " alertlab tui")
		for i, name := range []string{"Lab", "Kafka", "Alerts", "Visits", "Database", "Registry", "Smoke", "Logs", "Actions"} {
			x.see("default " + c.between + " Lab") // of the frame, or of the page before
			x.keys(strconv.Itoa(i + 1))
			x.see("default "+c.between+" "+name, "? help  q back")
			if name == "Alerts" {
				x.match(`[▸>] +\d{6,}`)
				x.keys("Enter", "c")
				x.see("template", " nJy", c.cutout)
			}
			if bad := c.wrong(x.tmux("capture-pane", "-p", "-e")); bad != "" {
				t.Errorf("%s: page %s has %q:\n%s", c.name, name, bad, x.screen())
			}
			x.keys("1")
		}
		x.keys("C-c")
		x.ended()
	}

	// The mouse: a tab, a row, the same row, the wheel; and ctrl-o, which lets go of it.
	x.line("clear; alertlab tui")
	x.see("COMPONENT", "▸ addresses")
	x.press("\x1b[<0;10;2M\x1b[<0;10;2m")
	x.match(`Kafka › topics[^▸]+▸ alerts-simulated`)
	x.press("\x1b[<0;5;8M\x1b[<0;5;8m")
	x.see("▸ alerts-static")
	x.press("\x1b[<65;5;8M")
	x.see("▸ registry-schemas")
	x.press("\x1b[<0;5;9M\x1b[<0;5;9m")
	x.see("Kafka › topic registry-schemas", "PARTITION")
	x.keys("C-o")
	x.see("the mouse is the terminal's")
	x.poll("the mouse let go of", func() string { return x.tmux("display-message", "-p", "#{mouse_any_flag}") }, func(flag string) bool { return strings.TrimSpace(flag) == "0" })
	// What the terminal says of itself is no command and no key.
	x.keys("1")
	x.see("COMPONENT")
	x.press("\x1b]11;rgb:2222/3333/4444\x1b\\")
	x.keys("Down")
	x.see("default › Lab", "▸ host-names", "? help  q back")
	x.keys("q")
	x.ended()
}
