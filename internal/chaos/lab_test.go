package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/cmd"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/internal/chaos"
	"github.com/alertlab/alertlab/internal/chaos/witness"
)

const (
	// asAlertlab, in the environment, makes the test binary the program.
	asAlertlab = "CHAOS_AS_ALERTLAB"

	// patience bounds every wait for something that must come. It is no
	// expectation of how long that takes.
	patience = 90 * time.Second
)

func TestMain(m *testing.M) {
	if os.Getenv(asAlertlab) != "" {
		os.Exit(cmd.Main(os.Args, cmd.Hooks{Recorder: chaos.Recorder}))
	}
	flag.Parse()
	if runtime.GOOS != "linux" {
		fmt.Println("skipped: labs' processes are found in /proc")
		return
	}
	// Labs wait more than they work, unless they are slowed down.
	if n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String()); err == nil && n < 6 && !slow {
		_ = flag.Set("test.parallel", "6")
	}
	os.Exit(m.Run())
}

// seeded gives the random choices of a test, and says how to repeat them.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ALERTLAB_CHAOS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ALERTLAB_CHAOS_SEED: %v", err)
		}
	}
	t.Logf("seed %d; the same again: ALERTLAB_CHAOS_SEED=%d", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// lab is one lab of a test, in a state directory of its own.
type lab struct {
	t     *testing.T
	state string
	exe   string

	// asks is the one client for questions; it lives on while the lab dies and
	// comes back. A login costs both sides thousands of hashes.
	asks *kadm.Client
}

func newLab(t *testing.T) *lab {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, state: filepath.Join(t.TempDir(), "s"), exe: exe}
	t.Cleanup(func() {
		if t.Failed() {
			if b, err := os.ReadFile(filepath.Join(l.dir(), "logs", "runner.log")); err == nil {
				t.Logf("the runner's log:\n%s", b)
			}
		}
		for _, p := range chaos.Processes(l.state) {
			p.Kill()
		}
	})
	return l
}

func (l *lab) dir() string { return filepath.Join(l.state, "labs", "default") }

func (l *lab) command(environ []string, args ...string) *exec.Cmd {
	c := exec.Command(l.exe, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ALERTLAB_") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, asAlertlab+"=1", "ALERTLAB_STATE_DIR="+l.state, "ALERTLAB_SIMULATOR_ALERTS=20",
		"ALERTLAB_SIMULATOR_INTERVAL=2s", "ALERTLAB_SIMULATOR_PACKET_SIZE=60kB")
	c.Env = append(c.Env, environ...)
	return c
}

// run runs a command and gives its exit code and what it printed.
func (l *lab) run(environ []string, args ...string) (code int, stdout, stderr string) {
	l.t.Helper()
	c := l.command(environ, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

// must runs a command that has to end with 0 and gives its standard output.
func (l *lab) must(args ...string) string {
	l.t.Helper()
	code, stdout, stderr := l.run(nil, args...)
	if code != 0 {
		l.t.Fatalf("alertlab %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// killRunner kills the runner, and one that is being started, and waits until
// nothing of the lab lives. It gives the number of runners that it killed.
func (l *lab) killRunner() int {
	l.t.Helper()
	killed := map[int]bool{}
	l.eventually("the processes of the lab are gone", func() (bool, string) {
		for _, p := range chaos.Running(l.state, "runner") {
			p.Kill()
			killed[p.PID] = true
		}
		left := chaos.Processes(l.state)
		return len(left) == 0, fmt.Sprint(left)
	})
	return len(killed)
}

// dead waits until nothing of the lab lives: a killed process takes a moment to
// let go of its sockets, and its child to notice.
func (l *lab) dead() {
	l.t.Helper()
	l.eventually("the processes of the lab are gone", func() (bool, string) {
		left := chaos.Processes(l.state)
		return len(left) == 0, fmt.Sprint(left)
	})
}

// eventually waits until look says yes, within patience.
func (l *lab) eventually(what string, look func() (bool, string)) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, seen := look()
		if yes {
			return
		}
		select {
		case <-ctx.Done():
			l.t.Fatalf("never: %s; seen last: %s", what, seen)
		case <-tick.C:
		}
	}
}

func readJSON[T any](t *testing.T, path string) (v T) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (l *lab) card() endpoints.Endpoints {
	return readJSON[endpoints.Endpoints](l.t, filepath.Join(l.dir(), "endpoints.json"))
}

// client is a Kafka client of the lab as its superuser.
func (l *lab) client(opts ...kgo.Opt) *kgo.Client {
	l.t.Helper()
	card, creds := l.card(), readJSON[endpoints.Credentials](l.t, filepath.Join(l.dir(), "credentials.json"))
	login := kafka.Login{Bootstrap: []string{card.Kafka.Bootstrap}, User: card.Superuser(), Password: creds.Kafka[card.Superuser()]}
	client, err := kafka.NewClient(login, opts...)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(client.Close)
	return client
}

func (l *lab) admin() *kadm.Client {
	if l.asks == nil {
		l.asks = kadm.NewClient(l.client())
	}
	return l.asks
}

// healthy asserts that the lab is as it should be and that nothing of it is there
// twice.
func (l *lab) healthy() {
	l.t.Helper()
	for _, verb := range []string{"runner", "object-store"} {
		if found := chaos.Running(l.state, verb); len(found) != 1 {
			l.t.Errorf("%d processes of %s: %v", len(found), verb, found)
		}
	}
	var p struct{ Steps []struct{ Key, Cause string } }
	if err := json.Unmarshal([]byte(l.must("plan", "-o", "json")), &p); err != nil {
		l.t.Fatal(err)
	}
	if len(p.Steps) > 0 {
		l.t.Errorf("the plan of a healthy lab has steps: %v", p.Steps)
	}
	if slow {
		l.must("smoke", "--only", "brokers-answer,schema-versions,alert-database-bytes", "--timeout", "90s")
		return
	}
	// Visits of a few alerts, two seconds apart, have no clear beginnings.
	l.must("smoke", "--skip", "visit-cadence", "--timeout", "90s")
}

// inventory lists what the lab holds of everything that a walk makes: topics,
// users, permissions, schemas, the reservoir, buckets.
func (l *lab) inventory() []string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	card := l.card()
	out, err := witness.Inventory(ctx, l.admin(), card)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, bucket := range []string{card.ObjectStore.AlertBucket, card.ObjectStore.SchemaBucket} {
		if _, err := os.Stat(filepath.Join(l.dir(), "data", "object-store", "buckets", bucket)); err != nil {
			l.t.Error(err)
		}
	}
	return out
}

// purge deletes the lab and asserts that nothing is left.
func (l *lab) purge() {
	l.t.Helper()
	l.must("down", "--purge", "--verify", "--progress", "quiet")
	if _, err := os.Stat(l.state); !errors.Is(err, os.ErrNotExist) {
		l.t.Errorf("the state directory is left: %v", err)
	}
	l.dead()
}
