package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
)

const (
	// archiveDeadline bounds the wait for the ingester, so that a lab that is
	// stuck becomes an error.
	archiveDeadline = 5 * time.Minute
	// lagPoll is how exactly the end of archiving is seen.
	lagPoll = 50 * time.Millisecond
	// meterPeriod is how often memory is looked at. Each look walks the page
	// tables of the processes, which costs them a little.
	meterPeriod = 200 * time.Millisecond
	// purgeDeadline bounds taking a lab away.
	purgeDeadline = time.Minute
	// clockTick is the unit of CPU times in /proc on Linux.
	clockTick = 10 * time.Millisecond
)

// lab is a lab of ours in a state directory of its own.
type lab struct {
	binary, dir string
	environ     []string

	// What connect finds.
	runner   int    // process id
	topic    string // that visits are played to
	alerts   int64  // of a visit
	database string // URL of the alert database's API
	admin    *kadm.Client
}

func (b *bench) newLab(name string, overrides ...string) *lab {
	l := &lab{binary: b.binary, dir: filepath.Join(b.work, name)}
	// What the user has set for labs of their own must not change ours.
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "ALERTLAB_") {
			l.environ = append(l.environ, entry)
		}
	}
	l.environ = append(append(l.environ, "ALERTLAB_STATE_DIR="+l.dir), overrides...)
	return l
}

// finished is a command that succeeded.
type finished struct {
	out       []byte
	took, cpu time.Duration
}

func (l *lab) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.binary, args...)
	cmd.Env = l.environ
	// In a process group of its own, so that Ctrl-C reaches it once, from us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// alertlab runs one command to its end.
func (l *lab) alertlab(ctx context.Context, args ...string) (finished, error) {
	return execute(l.command(ctx, args...), nil)
}

// execute runs a command and tells started its process id.
func execute(cmd *exec.Cmd, started func(pid int)) (finished, error) {
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	err := cmd.Start()
	if err == nil {
		if started != nil {
			started(cmd.Process.Pid)
		}
		err = cmd.Wait()
	}
	took := time.Since(began)
	if err != nil {
		return finished{}, fmt.Errorf("alertlab %s: %w\n%s", strings.Join(cmd.Args[1:], " "), err, said.Bytes())
	}
	return finished{out.Bytes(), took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

func (l *lab) alertlabJSON(ctx context.Context, into any, args ...string) error {
	done, err := l.alertlab(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal(done.out, into)
}

// connect finds the lab's processes and logs in as its superuser.
func (l *lab) connect(ctx context.Context) error {
	var status struct {
		PID       int                 `json:"pid"`
		Endpoints endpoints.Endpoints `json:"endpoints"`
	}
	var env map[string]string
	if err := errors.Join(l.alertlabJSON(ctx, &status, "status"), l.alertlabJSON(ctx, &env, "env")); err != nil {
		return err
	}
	client, err := kafka.NewClient(kafka.Login{
		Bootstrap: []string{env["KAFKA_BOOTSTRAP_SERVERS"]}, User: env["KAFKA_USERNAME"], Password: env["KAFKA_PASSWORD"],
	})
	if err != nil {
		return err
	}
	l.runner, l.topic, l.alerts, l.admin = status.PID, status.Endpoints.Simulator.Topic, int64(status.Endpoints.Simulator.Alerts), kadm.NewClient(client)
	l.database = status.Endpoints.AlertDB.URL + "/v1"
	return nil
}

// purge deletes the lab, also when ctx has ended.
func (l *lab) purge(ctx context.Context) error {
	if l.admin != nil {
		l.admin.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), purgeDeadline)
	defer cancel()
	_, err := l.alertlab(ctx, "down", "--purge", "--progress", "quiet")
	return err
}

// createTopicLike creates a topic as the lab's own one is.
func (l *lab) createTopicLike(ctx context.Context, name, like string) error {
	topics, err := l.admin.ListTopics(ctx, like)
	if err != nil {
		return err
	}
	answers, err := l.admin.DescribeTopicConfigs(ctx, like)
	if err != nil {
		return err
	}
	set := map[string]*string{}
	for _, config := range answers {
		for _, entry := range config.Configs {
			if entry.Source == kmsg.ConfigSourceDynamicTopicConfig {
				set[entry.Key] = entry.Value
			}
		}
	}
	_, err = l.admin.CreateTopic(ctx, int32(len(topics[like].Partitions)), 1, set, name)
	return err
}

// played is the account of one visit.
type played struct {
	started   time.Time // just before its first alert was sent
	took, cpu time.Duration
}

// play plays one full visit, as fast as it goes, and tells started its process id.
func (l *lab) play(ctx context.Context, started func(pid int), args ...string) (played, error) {
	done, err := execute(l.command(ctx, append([]string{"simulator", "play", "-o", "json"}, args...)...), started)
	if err != nil {
		return played{}, err
	}
	var visit struct {
		Started time.Time          `json:"started"`
		Took    endpoints.Duration `json:"took"`
		Alerts  int64              `json:"alerts"`
	}
	if err := json.Unmarshal(done.out, &visit); err != nil {
		return played{}, err
	}
	if visit.Alerts != l.alerts {
		return played{}, fmt.Errorf("%d of %d alerts were acknowledged", visit.Alerts, l.alerts)
	}
	return played{visit.Started, time.Duration(visit.Took), done.cpu}, nil
}

// awaitVisit waits until the lab's topic holds one visit and it is archived.
func (l *lab) awaitVisit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, archiveDeadline)
	defer cancel()
	for {
		ends, err := l.ends(ctx)
		if err != nil {
			return err
		}
		var published int64
		ends.Each(func(o kadm.ListedOffset) { published += o.Offset })
		if published >= l.alerts {
			return l.awaitArchived(ctx)
		}
		if err := sleep(ctx, lagPoll); err != nil {
			return fmt.Errorf("%d of %d alerts were published: %w", published, l.alerts, err)
		}
	}
}

// awaitArchived waits until the ingester has committed everything that the
// lab's topic holds now.
func (l *lab) awaitArchived(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, archiveDeadline)
	defer cancel()
	ends, err := l.ends(ctx)
	if err != nil {
		return err
	}
	for {
		committed, err := l.admin.FetchOffsets(ctx, archive.DefaultGroup)
		if err == nil {
			err = committed.Error()
		}
		if err != nil {
			return err
		}
		var lag int64
		ends.Each(func(end kadm.ListedOffset) {
			at, _ := committed.Lookup(end.Topic, end.Partition) // absent: nothing yet
			lag += end.Offset - max(0, at.At)
		})
		if lag <= 0 {
			return nil
		}
		if err := sleep(ctx, lagPoll); err != nil {
			return fmt.Errorf("group %s still lacks %d alerts: %w", archive.DefaultGroup, lag, err)
		}
	}
}

func (l *lab) ends(ctx context.Context) (kadm.ListedOffsets, error) {
	ends, err := l.admin.ListEndOffsets(ctx, l.topic)
	if err == nil {
		err = ends.Error()
	}
	return ends, err
}

// processes gives the lab's processes: the runner, which holds the brokers, the
// registry and the services, and its children, of which the object store is
// the only one.
func (l *lab) processes() (runner, store int, err error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", l.runner))
	if err != nil {
		return 0, 0, err
	}
	var children []string
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a thread that has ended
		}
		if err != nil {
			return 0, 0, err
		}
		children = append(children, strings.Fields(string(text))...)
	}
	if len(children) != 1 {
		return 0, 0, fmt.Errorf("the runner has children %v, not the object store alone", children)
	}
	store, err = strconv.Atoi(children[0])
	return l.runner, store, err
}

// memory sums the proportional set sizes of the lab's processes, in bytes.
func (l *lab) memory() (int64, error) {
	runner, store, err := l.processes()
	if err != nil {
		return 0, err
	}
	a, err := pss(runner)
	if err != nil {
		return 0, err
	}
	b, err := pss(store)
	return a + b, err
}

// meter watches memory and CPU time from startMeter to stop.
type meter struct {
	runner, store int
	began         reading

	player atomic.Int64 // process id of the player while there is one
	quit   chan struct{}
	peak   chan int64
}

// reading is CPU time used so far.
type reading struct {
	at                     time.Time
	runner, store, machine time.Duration
}

// used is what a meter saw.
type used struct {
	runner, store, machine, wall time.Duration
	peak                         int64 // bytes
}

// others gives how many cores were busy on average with what is not of the lab;
// player is the CPU time of our own player.
func (u used) others(player time.Duration) float64 {
	return max(0, (u.machine-u.runner-u.store-player).Seconds()/u.wall.Seconds())
}

func (l *lab) startMeter() (*meter, error) {
	m := &meter{quit: make(chan struct{}), peak: make(chan int64, 1)}
	var err error
	if m.runner, m.store, err = l.processes(); err != nil {
		return nil, err
	}
	if m.began, err = m.read(); err != nil {
		return nil, err
	}
	go m.watch()
	return m, nil
}

// also counts one more process's memory while it lives.
func (m *meter) also(pid int) { m.player.Store(int64(pid)) }

func (m *meter) watch() {
	tick := time.NewTicker(meterPeriod)
	defer tick.Stop()
	var peak int64
	for {
		select {
		case <-m.quit:
			m.peak <- peak
			return
		case <-tick.C:
		}
		var sum int64
		for _, pid := range []int{m.runner, m.store, int(m.player.Load())} {
			// The player ends before the watch does; a lab that died makes
			// the measurement itself fail.
			if n, err := pss(pid); err == nil {
				sum += n
			}
		}
		peak = max(peak, sum)
	}
}

func (m *meter) read() (r reading, err error) {
	r.at = time.Now()
	var errs [3]error
	r.runner, errs[0] = cpuTime(m.runner)
	r.store, errs[1] = cpuTime(m.store)
	r.machine, errs[2] = machineTime()
	return r, errors.Join(errs[:]...)
}

func (m *meter) stop() (used, error) {
	close(m.quit)
	peak := <-m.peak
	now, err := m.read()
	return used{now.runner - m.began.runner, now.store - m.began.store, now.machine - m.began.machine, now.at.Sub(m.began.at), peak}, err
}

// pss gives the proportional set size of a process in bytes: what it shares
// with others counts in part.
func pss(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/smaps_rollup has no Pss", pid)
}

// cpuTime gives the CPU time of a process, user and system (proc_pid_stat(5)).
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// After the name in brackets, fields 14 and 15 are the 12th and 13th.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	return ticks(fields[11:13])
}

// machineTime gives the CPU time that all processes have used: user, nice,
// system, and what the interrupts took (proc_stat(5)).
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(text)) // "cpu", user, nice, system, idle, iowait, irq, softirq
	return ticks([]string{f[1], f[2], f[3], f[6], f[7]})
}

func ticks(fields []string) (time.Duration, error) {
	var sum int64
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * clockTick, nil
}

// freeDisk gives the bytes that this user may still write in a directory.
func freeDisk(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}
