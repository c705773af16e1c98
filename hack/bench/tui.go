package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// idleFor is how long the dashboard is left alone while its CPU time is counted.
const idleFor = 10 * time.Second

// tui measures the dashboard: in a terminal from outside, and the drawing of frames by
// Go's benchmarks.
func (b *bench) tui(ctx context.Context, doc *document, round int) (err error) {
	fmt.Fprintf(b.say, "tui, round %d\n", round+1)
	l := b.newLab(fmt.Sprintf("tui%d", round))
	defer func() { err = errors.Join(err, l.purge(ctx)) }()
	if _, err := l.alertlab(ctx, "up", "--progress", "quiet"); err != nil {
		return err
	}
	if err := dashboard(ctx, l, doc); err != nil {
		return err
	}
	return frames(ctx, doc)
}

// dashboard opens the dashboard on a terminal of 80x24, and leaves it.
func dashboard(ctx context.Context, l *lab, doc *document) error {
	master, slave, err := openTerminal(80, 24)
	if err != nil {
		return err
	}
	defer master.Close()
	cmd := l.command(ctx, "tui")
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", "NO_COLOR=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	began := time.Now()
	err = cmd.Start()
	slave.Close()
	if err != nil {
		return err
	}
	painted, filled, over := make(chan time.Time, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		var seen bytes.Buffer
		part := make([]byte, 1<<16)
		first, last := true, true
		for {
			n, err := master.Read(part) // ends with EIO when the program is gone
			if err != nil {
				return
			}
			if !last {
				continue
			}
			seen.Write(part[:n])
			if first && bytes.Contains(seen.Bytes(), []byte("1 Lab")) || first && bytes.Contains(seen.Bytes(), []byte("Kafka")) {
				first = false
				painted <- time.Now()
			}
			if bytes.Contains(seen.Bytes(), []byte("alert-database-ingester")) {
				last = false
				close(filled)
			}
		}
	}()
	leave := func() error {
		_, err := master.Write([]byte("q"))
		err = errors.Join(err, cmd.Wait())
		<-over
		return err
	}
	select {
	case at := <-painted:
		doc.add("first paint after the start", "s", under(0.15), at.Sub(began).Seconds())
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the dashboard drew nothing"), leave())
	}
	select {
	case <-filled:
		doc.add("the first page is filled", "s", none, time.Since(began).Seconds())
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the dashboard's first page stays empty"), leave())
	}
	before, err := cpuTime(cmd.Process.Pid)
	if err != nil {
		return errors.Join(err, leave())
	}
	if err := sleep(ctx, idleFor); err != nil {
		return errors.Join(err, leave())
	}
	after, err := cpuTime(cmd.Process.Pid)
	if err != nil {
		return errors.Join(err, leave())
	}
	doc.add("CPU of the idle dashboard", "% of a core", under(2), 100*(after-before).Seconds()/idleFor.Seconds())
	return leave()
}

// frames runs the benchmarks of frames, and those of an hour of alerts.
func frames(ctx context.Context, doc *document) error {
	err := benchmarks(ctx, "^BenchmarkFrame", "200x", []string{"./tui/..."}, []string{"ns/op"}, func(name, _ string, nanoseconds float64) {
		_, name, _ = strings.Cut(name, "/")
		doc.add("a frame: "+strings.ReplaceAll(name, "_", " "), "ms", under(16), nanoseconds/1e6)
	})
	if err != nil {
		return err
	}
	err = benchmarks(ctx, "^BenchmarkTogether$", "1x", []string{"./tui/dash"}, []string{"ms-half", "ms-99th", "ms-worst"}, func(name, unit string, ms float64) {
		_, name, _ = strings.Cut(name, "/")
		name = strings.ReplaceAll(name, "_", " ")
		switch unit {
		case "ms-half":
			doc.add(name+": half of the frames", "ms", none, ms)
		case "ms-99th":
			doc.add(name+": 99 of 100 frames", "ms", under(16), ms)
		default:
			doc.add(name+": the slowest frame", "ms", none, ms)
		}
	})
	if err != nil {
		return err
	}
	// The two hold different things, and are measured one after the other.
	sum := 0.0
	err = benchmarks(ctx, "^BenchmarkHour$", "1x", []string{"./alerts/console", "./tui/dash"}, []string{"MB-grown"}, func(_, _ string, grown float64) { sum += grown })
	if err == nil {
		doc.add("memory that an hour of 300 alerts/s adds", "MB", under(50), sum)
	}
	return err
}

// benchmarks runs those of Go that an expression names, and takes the values of each in
// some units, with the benchmark's name.
func benchmarks(ctx context.Context, names, times string, packages, units []string, take func(name, unit string, value float64)) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-run", "^$", "-bench", names, "-benchtime", times}, packages...)...)
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("benchmarks %s: %w\n%s", names, err, text)
	}
	found := 0
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := f[0]
		if n := strings.LastIndexByte(name, '-'); n > 0 { // the number of processors
			name = name[:n]
		}
		for _, unit := range units {
			i := slices.Index(f, unit)
			if i < 3 {
				continue
			}
			value, err := strconv.ParseFloat(f[i-1], 64)
			if err != nil {
				return err
			}
			take(name, unit, value)
			found++
		}
	}
	if found == 0 {
		return fmt.Errorf("there are no benchmarks %s", names)
	}
	return nil
}

// tuiMarkdown is the section of the dashboard.
func (d *document) tuiMarkdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `## The terminal interface

Made by the command below; do not edit by hand.

    go run ./hack/bench -only tui

- date: %s, in %s
- machine: %s
- Go: %s

`, d.began.UTC().Format("2006-01-02 15:04 MST"), time.Since(d.began).Round(time.Minute), machine(), runtime.Version())
	d.table(&b)
	b.WriteString(`
What the figures are:

- *first paint*: from the start of the process until the terminal has the first frame;
  *filled*: until the components of the lab are on it.
- *idle*: the first page of a lab of the profile local, looked at every two seconds, on
  80x24; the time of the dashboard alone, without what the lab takes to answer.
- *a frame*: a key or news, and the drawing of the whole terminal; Kafka is six brokers,
  400 partitions and 40 groups. By Go's benchmarks, without a terminal.
- *Kafka and a peek together*: the dashboard runs with that Kafka while 300 alerts of
  80 kB a second are read and decoded in the same process, all of them, which is more
  than a peek decodes; twenty keys a second go through the views of both pages. A frame
  is from a message's arrival at the model until its text is drawn.
- *memory*: what the peek (alerts/console) and the dashboard (tui/dash) hold more than
  with their first frame, after an hour of 300 alerts of 80 kB a second and of looks at
  that Kafka, on a clock of the benchmark's own: the sum of both.
`)
	return b.String()
}

// openTerminal opens a pseudo-terminal of so many cells.
func openTerminal(columns, lines uint16) (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: columns}))
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	return master, slave, nil
}
