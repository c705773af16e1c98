package loopback_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
)

// listenAt is the environment variable under which this binary is a process that
// listens at an address until its standard input ends.
const listenAt = "ALERTLAB_TEST_LISTEN_AT"

// another starts a process with a command line that listens at an address, and gives
// its id.
func another(t *testing.T, address string, args ...string) int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, args...)
	c.Env = append(os.Environ(), listenAt+"="+address)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); c.Wait() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "listens\n" {
		t.Fatalf("it said %q, %v", line, err)
	}
	return c.Process.Pid
}

// Reservations lie in the temporary directory, which is this run's own, so that
// tests neither meet each other's labs nor a user's.
func TestMain(m *testing.M) {
	if address := os.Getenv(listenAt); address != "" {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("listens")
		io.Copy(io.Discard, os.Stdin)
		ln.Close()
		os.Exit(0)
	}
	temp, err := os.MkdirTemp("", "loopback")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv("TMPDIR", temp)
	code := m.Run()
	os.RemoveAll(temp)
	os.Exit(code)
}

func profile(t *testing.T, overrides ...string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load("local")
	if err != nil {
		t.Fatal(err)
	}
	if p, err = profiles.Parse("local", []byte(strings.NewReplacer(overrides...).Replace(string(p.Source())))); err != nil {
		t.Fatal(err)
	}
	return p
}

// onLinux skips where brokers have no addresses of their own.
func onLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has addresses 127.0.N.x")
	}
}

func lab(t *testing.T, name string) (plan.Part, state.Dir) {
	t.Helper()
	dir := state.At(t.TempDir(), name)
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	part := loopback.New(&embedded.Host{Dir: dir})
	t.Cleanup(func() { part.(plan.Stopper).Stop(t.Context()) })
	return part, dir
}

func apply(t *testing.T, part plan.Part, p *profiles.Profile, last map[string]string) map[string]string {
	t.Helper()
	out, err := part.Apply(t.Context(), plan.Order{Input: loopback.Want(p, "", false).Input, Last: last})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWant(t *testing.T) {
	t.Parallel()
	want := loopback.Want(profile(t, "firstID: 0", "firstID: 6"), "", false)
	var in struct {
		Port    int
		Brokers []int32
	}
	if err := json.Unmarshal(want.Input, &in); err != nil || in.Port != 9094 || fmt.Sprint(in.Brokers) != "[6 7 8 9 10 11]" {
		t.Errorf("input %s, %v", want.Input, err)
	}
	if got := strings.Join(want.Outputs, " "); got != "bootstrap broker.6 broker.7 broker.8 broker.9 broker.10 broker.11 registry registry-front alertdb object-store ingester block" {
		t.Errorf("outputs %s", got)
	}
	if !want.Runs || want.Stores != "" || want.Title != "7 addresses with port 9094 on the loopback network" {
		t.Errorf("%+v", want)
	}
}

// far gives a block that no lab takes by itself while there are less than a
// hundred: labs of this machine, which know nothing of this test's reservations,
// take the first one whose addresses are free.
func far(n int) map[string]string {
	return map[string]string{"block": fmt.Sprintf("127.0.%d.x", n)}
}

// Each lab has a block of its own and keeps it while it does not run.
func TestBlocks(t *testing.T) {
	onLinux(t)
	p := profile(t)
	a, _ := lab(t, "a")
	outA := apply(t, a, p, far(201))
	// All that was promised is given, each at an address of the block, and
	// brokers have the listener's port.
	seen := map[string]string{}
	for _, name := range loopback.Want(p, "", false).Outputs {
		address := outA[name]
		if !strings.HasPrefix(address, "127.0.201.") {
			t.Errorf("%s is at %q", name, address)
		}
		if other, dup := seen[address]; dup {
			t.Errorf("%s and %s are both at %s", name, other, address)
		}
		seen[address] = name
	}
	if outA["bootstrap"] != "127.0.201.10:9094" || outA["broker.0"] != "127.0.201.11:9094" || outA["broker.5"] != "127.0.201.16:9094" || outA["registry"] != "127.0.201.10:8081" {
		t.Errorf("addresses %v", outA)
	}
	if again := apply(t, a, p, nil); fmt.Sprint(again) != fmt.Sprint(outA) {
		t.Errorf("applied again: %v", again)
	}
	if o, err := a.Observe(t.Context(), plan.Look{}); err != nil || o.State != plan.Present || !strings.Contains(o.Why, "127.0.201.x") {
		t.Errorf("seen: %+v, %v", o, err)
	}
	// While it runs nobody else gets the block, by name or not.
	thief, _ := lab(t, "thief")
	_, err := thief.Apply(t.Context(), plan.Order{Input: loopback.Want(p, "", false).Input, Last: outA})
	if err == nil || !strings.Contains(err.Error(), "block 127.0.201.x belongs to lab ") {
		t.Errorf("another lab took the block: %v", err)
	}
	if err := a.(plan.Stopper).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	o, err := a.Observe(t.Context(), plan.Look{Outputs: outA})
	if err != nil || o.State != plan.Absent || !o.Kept {
		t.Errorf("stopped: %+v, %v", o, err)
	}
	if back := apply(t, a, p, outA); back["block"] != outA["block"] {
		t.Errorf("the lab came back at %s, not at %s", back["block"], outA["block"])
	}

	// New labs take blocks that belong to nobody, be he stopped or not.
	b, _ := lab(t, "b")
	outB := apply(t, b, p, nil)
	if err := b.(plan.Stopper).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, _ := lab(t, "c")
	d, _ := lab(t, "d")
	outC, outD := apply(t, c, p, nil), apply(t, d, p, nil)
	if outC["block"] == outB["block"] || outD["block"] == outB["block"] || outC["block"] == outD["block"] {
		t.Errorf("the stopped lab has %s, the next two got %s and %s", outB["block"], outC["block"], outD["block"])
	}
}

// A lab whose addresses were taken while it did not run says by whom, and does not
// move: clients know it by them.
func TestTaken(t *testing.T) {
	onLinux(t)
	p := profile(t)
	part, dir := lab(t, "mine")
	out := apply(t, part, p, far(202))
	if err := part.(plan.Stopper).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", out["broker.3"])
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = part.Apply(t.Context(), plan.Order{Input: loopback.Want(p, "", false).Input, Last: out})
	var f *fault.Fault
	if !errors.As(err, &f) || !strings.Contains(f.Why, out["broker.3"]+" is taken by") || !strings.Contains(f.Next, "--lab mine-2") {
		t.Errorf("got %v", err)
	}
	// A new lab goes round it.
	other, _ := lab(t, "other")
	if got := apply(t, other, p, nil); got["block"] == out["block"] {
		t.Errorf("another lab got the block %s", got["block"])
	}
	// Whoever still listens there when the lab is deleted is named.
	if err := dir.Delete(); err != nil {
		t.Fatal(err)
	}
	if left, err := loopback.CleanUp(t.Context(), out); err != nil || len(left) != 1 || !strings.Contains(left[0], out["broker.3"]) {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// Who has an address is named with the lab that it runs, before anything starts: also
// when a lab that runs is to have another port.
func TestTakenByLab(t *testing.T) {
	onLinux(t)
	part, _ := lab(t, "mine")
	p := profile(t)
	out := apply(t, part, p, far(206))
	pid := another(t, "127.0.206.12:9095", "runner", "--lab", "theirs")
	stranger := another(t, "127.0.206.13:9095", "something")
	moved := profile(t, "port: 9094", "port: 9095")
	_, err := part.Apply(t.Context(), plan.Order{Input: loopback.Want(moved, "", false).Input, Last: out})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("127.0.206.12:9095 is taken by process %d (", pid)) || !strings.Contains(err.Error(), ") of lab theirs") ||
		!strings.Contains(err.Error(), fmt.Sprintf("127.0.206.13:9095 is taken by process %d (", stranger)) || strings.Count(err.Error(), "of lab") != 1 {
		t.Errorf("got %v", err)
	}
	// What this lab itself listens at is its own.
	ln, err := net.Listen("tcp", "127.0.206.11:9096")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	moved = profile(t, "port: 9094", "port: 9096")
	if got := apply(t, part, moved, out); got["broker.0"] != "127.0.206.11:9096" || got["registry"] != out["registry"] {
		t.Errorf("got %v", got)
	}
	if got := loopback.Owners(); !slices.ContainsFunc(got, func(path string) bool { return filepath.Base(path) == "mine" }) {
		t.Errorf("labs with blocks: %v", got)
	}
}

// A block that was tried and is no lab's leaves no file.
func TestTried(t *testing.T) {
	onLinux(t)
	ln, err := net.Listen("tcp", "127.0.204.11:9094")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	part, _ := lab(t, "tried")
	if _, err := part.Apply(t.Context(), plan.Order{Input: loopback.Want(profile(t), "", false).Input, Last: far(204)}); err == nil {
		t.Error("it took addresses that are in use")
	}
	if _, err := os.Stat(filepath.Join(state.SharedTemp(), "block-204.lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a reservation is left: %v", err)
	}
}

// The last lab to be deleted leaves no file in the temporary directory.
func TestCleanUp(t *testing.T) {
	onLinux(t)
	p := profile(t)
	part, dir := lab(t, "last")
	out := apply(t, part, p, far(203))
	lockFile := filepath.Join(state.SharedTemp(), "block-203.lock")
	cleanUp := func(outputs map[string]string) {
		t.Helper()
		if left, err := loopback.CleanUp(t.Context(), outputs); err != nil || len(left) > 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	}
	cleanUp(out)
	if _, err := os.Stat(lockFile); err != nil {
		t.Errorf("the reservation of a lab that runs was removed: %v", err)
	}
	if err := errors.Join(part.(plan.Stopper).Stop(t.Context()), dir.Delete()); err != nil {
		t.Fatal(err)
	}
	cleanUp(out)
	if _, err := os.Stat(lockFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the reservation is left: %v", err)
	}
	cleanUp(out) // once more harms nothing
	cleanUp(nil) // a lab that never had addresses
}
