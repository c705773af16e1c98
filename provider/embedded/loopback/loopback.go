// Package loopback gives an embedded lab its addresses, as MetalLB gives them to
// a lab on Kubernetes: one for bootstrap and services and one for each broker.
//
// On Linux every address of 127.0.0.0/8 can be listened at, so that each broker
// has its own with the real port. A lab takes one block 127.0.N.x, N = 0 for the
// first lab, and keeps it. Elsewhere the system has 127.0.0.1 only, and brokers
// are told apart by their ports.
//
// A lab that is advertised has one address of this machine for everything that
// others shall reach, and ports instead of addresses; only the registry that takes
// writes from anybody keeps its place in the block.
package loopback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/alertlab/alertlab/internal/ports"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

// Ports of the services, as in the real deployment: the Services
// alert-schema-registry:8081 and alert-stream-broker-alert-database:3000, MinIO's
// 9000. The front stands for the ingress. The ingester's metrics are where exporters
// for Prometheus have theirs.
const (
	registryPort    = 8081
	frontPort       = 8080
	alertDBPort     = 3000
	objectStorePort = 9000
	metricsPort     = 9100
)

// MaxBrokers is how many brokers find a place in a block: addresses .11 to .99, or
// that many ports where the system has one address only.
const MaxBrokers = 89

// Fit says why a profile's listener and brokers find no place in a block, nil when
// they do.
func Fit(p *profiles.Profile) error {
	if n := p.Kafka.Brokers.Count; n > MaxBrokers {
		return fmt.Errorf("kafka.brokers.count is %d, and a block of loopback addresses holds %d", n, MaxBrokers)
	}
	if port := p.Kafka.Listener.Port; slices.Contains([]int{registryPort, frontPort, alertDBPort, objectStorePort, metricsPort}, port) {
		return fmt.Errorf("kafka.listener.port is %d, which another service of the lab uses at the bootstrap address", port)
	}
	return nil
}

// blocks is the number of labs that can have addresses at a time.
const blocks = 250

type input struct {
	Port    int     `json:"port"`    // of the external listener
	Brokers []int32 `json:"brokers"` // ids
	// Advertise is ADDRESS or ADDRESS:PORT, at which others reach the lab; empty
	// for the loopback network.
	Advertise string `json:"advertise,omitempty"`
	// Published says that what is advertised arrives at this machine's other addresses,
	// as in a container with published ports.
	Published bool `json:"published,omitempty"`
}

func inputOf(p *profiles.Profile, advertise string) input {
	in := input{Port: p.Kafka.Listener.Port, Advertise: advertise}
	for i := range p.Kafka.Brokers.Count {
		in.Brokers = append(in.Brokers, p.Kafka.Brokers.FirstID+int32(i))
	}
	return in
}

// Want describes the addresses that a profile needs: on the loopback network, or at
// the address that is advertised, ADDRESS or ADDRESS:PORT. There the brokers are told
// apart by their ports, and the registry that takes writes from anybody stays on the
// loopback network. published says that this is a container whose ports are published
// at that address.
func Want(p *profiles.Profile, advertise string, published bool) plan.Want {
	in := inputOf(p, advertise)
	in.Published = published && advertise != ""
	outputs := []string{"bootstrap"}
	for _, id := range in.Brokers {
		outputs = append(outputs, brokerOutput(id))
	}
	w := plan.Want{
		Title: fmt.Sprintf("%d addresses with port %d on the loopback network", in.count()+1, in.Port),
		Input: plan.Input(in), Runs: true,
		Outputs: append(outputs, "registry", "registry-front", "alertdb", "object-store", "ingester", "block"),
	}
	if advertise != "" {
		w.Title = fmt.Sprintf("%d ports of %s for containers and other hosts", in.count()+4, advertise)
		w.Outputs = append(w.Outputs, advertisedOutput)
	}
	return w
}

// advertisedOutput is the output that gives the advertised address, where there is
// one.
const advertisedOutput = "advertised"

func (in input) count() int { return len(in.Brokers) }

func brokerOutput(id int32) string { return fmt.Sprintf("broker.%d", id) }

// New makes the part.
func New(host *embedded.Host) plan.Part { return &part{labs: host.Dir} }

type part struct {
	labs state.Dir

	mu          sync.Mutex
	reservation *state.Lock
	block       int
	gates       *gates // nil where nothing is published
}

// Observe implements plan.Part.
func (p *part) Observe(_ context.Context, look plan.Look) (plan.Observation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reservation != nil {
		return plan.Observation{State: plan.Present, Why: "block " + network(p.block) + " is reserved"}, nil
	}
	if b := look.Outputs["block"]; b != "" {
		return plan.Observation{State: plan.Absent, Kept: true, Why: "no process holds its block " + b + " now"}, nil
	}
	return plan.Observation{State: plan.Absent, Why: "no block is reserved"}, nil
}

// Apply implements plan.Part: it reserves the lab's block, the one that it had
// before or else the first free one, for as long as the runner lives.
func (p *part) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in input
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.gates.close(); err != nil {
		return nil, err
	}
	p.gates = nil
	var a advertised
	if in.Advertise != "" {
		var err error
		a, err = parseAdvertised(in.Advertise)
		if err == nil {
			have := order.Last
			if p.reservation == nil { // nothing of the lab listens yet
				have = nil
			}
			err = a.free(ctx, in, have)
		}
		if err != nil {
			return nil, p.taken(err)
		}
	}
	out, err := p.reserved(ctx, in, order)
	if err == nil && in.Published {
		p.gates, err = publish(ctx, a, in)
	}
	return out, err
}

// reserved takes the block, or looks at what is new in it.
func (p *part) reserved(ctx context.Context, in input, order plan.Order) (map[string]string, error) {
	if p.reservation != nil {
		// Another port, or another broker: what is new must be free before
		// anything is stopped for it.
		addresses := in.addresses(p.block)
		if runtime.GOOS != "linux" { // nobody can say there that it is not this lab itself that listens
			return addresses, nil
		}
		if err := check(ctx, addresses, order.Last, os.Getpid(), true); err != nil {
			return nil, p.taken(err)
		}
		return addresses, nil
	}
	err := state.WithSharedTemp(func(shared string) error { return p.take(ctx, shared, order.Last["block"], in) })
	if err != nil {
		return nil, err
	}
	return in.addresses(p.block), nil
}

// take reserves the block that the lab had, or else the first free one.
func (p *part) take(ctx context.Context, shared, had string, in input) error {
	if b, ok := blockOf(had); ok {
		// Clients know the lab by this block: another one would be another lab.
		lock, err := reserve(ctx, shared, b, in)
		if err != nil {
			return p.taken(err)
		}
		p.reservation, p.block = lock, b
		return p.own(shared, b) // the temporary directory may have been emptied
	}
	var first error
	for b := range blocks {
		if owner := ownerOf(shared, b); owner != "" && owner != p.labs.Path() {
			continue // it belongs to a lab that may come back
		}
		lock, err := reserve(ctx, shared, b, in)
		if err == nil {
			p.reservation, p.block = lock, b
			return p.own(shared, b)
		}
		var taken *ports.TakenError
		if !errors.Is(err, state.ErrLocked) && !errors.As(err, &taken) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("all %d blocks belong to labs; alertlab down --purge frees the one of a lab", blocks)
	}
	return p.taken(first)
}

// own writes down whose the block is, for as long as the lab's directory exists:
// a lab that does not run keeps its addresses.
func (p *part) own(shared string, block int) error {
	return os.WriteFile(lockFile(shared, block), []byte(p.labs.Path()), 0o600)
}

// ownerOf gives the directory of the lab that a block belongs to, "" when to none
// that is still there.
func ownerOf(shared string, block int) string {
	b, err := os.ReadFile(lockFile(shared, block))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(string(b)); err != nil {
		return ""
	}
	return string(b)
}

func lockFile(shared string, block int) string {
	return filepath.Join(shared, fmt.Sprintf("block-%d.lock", block))
}

func (p *part) taken(err error) error {
	return &fault.Fault{What: "the lab's addresses are not free", Why: err.Error(), Code: fault.StepFailed, Err: err,
		Next: fmt.Sprintf("stop what uses them, or bring up another lab beside it: alertlab up --lab %s-2", p.labs.Lab())}
}

// Stop implements plan.Stopper.
func (p *part) Stop(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reservation == nil {
		return nil
	}
	err := errors.Join(p.gates.close(), p.reservation.Release())
	p.reservation, p.gates = nil, nil
	return err
}

// Activity says which block is held.
func (p *part) Activity() event.Activity {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reservation == nil {
		return event.Activity{}
	}
	return event.Activity{Running: true, Facts: []event.Fact{{Name: "block", Value: network(p.block)}}}
}

// reserve takes a block for this process and checks that each of its addresses
// can be listened at. Of a block that is a lab's already, all that cannot are
// named.
func reserve(ctx context.Context, shared string, block int, in input) (*state.Lock, error) {
	lock, err := state.TryLock(lockFile(shared, block))
	if errors.Is(err, state.ErrLocked) {
		whose := "another running lab"
		if owner := ownerOf(shared, block); owner != "" {
			whose = fmt.Sprintf("lab %s, which runs (%s)", filepath.Base(owner), owner)
		}
		return nil, fmt.Errorf("block %s belongs to %s: %w", network(block), whose, err)
	}
	if err != nil {
		return nil, err
	}
	// Of a block that is a lab's already every taken address is named; else another
	// block will do, and finding out who has each takes long.
	owned := ownerOf(shared, block) != ""
	addresses := in.local(block)
	if in.Advertise != "" { // the others were looked at already, and are the same in every block
		addresses = map[string]string{"registry": addresses["registry"], "ingester": addresses["ingester"]}
	}
	if err := check(ctx, addresses, nil, 0, owned); err != nil {
		if !owned {
			os.Remove(lockFile(shared, block)) // made for this try only
		}
		return nil, errors.Join(err, lock.Release())
	}
	return lock, nil
}

// check says which of the addresses cannot be listened at, but for those that are
// among had or that the process self has: all of them, or the first.
func check(ctx context.Context, addresses, had map[string]string, self int, all bool) error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		if name == "block" || name == advertisedOutput || slices.Contains(slices.Collect(maps.Values(had)), addresses[name]) {
			continue
		}
		err := ports.Check(ctx, addresses[name])
		if err == nil {
			continue
		}
		var taken *ports.TakenError
		if errors.As(err, &taken) {
			if self != 0 && taken.PID == self {
				continue // from a walk that did not end
			}
			if lab := labOf(taken.PID); lab != "" {
				taken.Holder += " of lab " + lab
			}
		}
		problems = append(problems, err)
		if !all {
			break
		}
	}
	return errors.Join(problems...)
}

// labOf gives the lab that a process runs, "" when none: it stands in the command line
// that a runner is started with, and the object store works in its lab's directory.
func labOf(pid int) string {
	if pid == 0 {
		return ""
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	if i := slices.Index(args, "--lab"); slices.Contains(args, "runner") && i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return ""
	}
	if _, below, ok := strings.Cut(cwd, "/labs/"); ok {
		lab, _, _ := strings.Cut(below, "/")
		return lab
	}
	return ""
}

// Owners gives the directories of this user's labs that have a block, whether they run
// or not, sorted.
func Owners() []string {
	var out []string
	for b := range blocks {
		if owner := ownerOf(state.SharedTemp(), b); owner != "" {
			out = append(out, owner)
		}
	}
	slices.Sort(out)
	return out
}

// addresses gives the outputs of a lab that holds a block.
func (in input) addresses(block int) map[string]string {
	out := in.local(block)
	out["block"] = network(block)
	if a, err := parseAdvertised(in.Advertise); in.Advertise != "" && err == nil {
		maps.Copy(out, a.addresses(in))
		out[advertisedOutput] = in.Advertise
	}
	return out
}

// local gives the addresses of a block. Where the system has one loopback
// address only, a block is a range of a hundred ports, from 20000 on, in which
// each address has its place.
func (in input) local(block int) map[string]string {
	out := map[string]string{}
	put := func(name string, host, port, place int) {
		if runtime.GOOS == "linux" {
			out[name] = fmt.Sprintf("127.0.%d.%d:%d", block, host, port)
			return
		}
		out[name] = fmt.Sprintf("127.0.0.1:%d", 20000+block*100+place)
	}
	put("bootstrap", 10, in.Port, 0)
	put("registry", 10, registryPort, 1)
	put("registry-front", 10, frontPort, 2)
	put("alertdb", 10, alertDBPort, 3)
	put("object-store", 10, objectStorePort, 4)
	put("ingester", 10, metricsPort, 5)
	for i, id := range in.Brokers {
		put(brokerOutput(id), 11+i, in.Port, 10+i)
	}
	return out
}

func network(block int) string { return fmt.Sprintf("127.0.%d.x", block) }

// blockOf reads what network writes; false for anything else.
func blockOf(network string) (int, bool) {
	b, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(network, "127.0."), ".x"))
	return b, err == nil
}

// CleanUp ends what a deleted lab had of its block: it lists what still listens
// at the addresses, for proof that nothing is left, and removes the file that
// stands for the block, and the folder of such files with the last one. A block
// that another lab has taken since is that lab's.
func CleanUp(ctx context.Context, outputs map[string]string) (left []string, err error) {
	b, ok := blockOf(outputs["block"])
	if !ok {
		return nil, nil // the lab never had addresses
	}
	shared := state.SharedTemp()
	if owner := ownerOf(shared, b); owner != "" {
		return nil, nil
	}
	lock, err := state.TryLock(lockFile(shared, b))
	if errors.Is(err, state.ErrLocked) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	for name, address := range outputs {
		// What was advertised may be anybody's by now: no file stands for it.
		if name == "block" || name == advertisedOutput || outputs[advertisedOutput] != "" && name != "registry" {
			continue
		}
		if err := ports.Check(ctx, address); err != nil {
			left = append(left, err.Error())
		}
	}
	if err := os.Remove(lockFile(shared, b)); err != nil {
		return left, err
	}
	os.Remove(shared) // fails, rightly, while other labs use it
	return left, nil
}
