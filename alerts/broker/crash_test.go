package broker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
)

const childVariable = "ALERTLAB_BROKER_TEST_CHILD"

// TestMain runs a cluster instead of the tests when this binary is started by a
// test that means to kill it.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// sentConfig is what of a Config crosses to the child process.
type sentConfig struct {
	Nodes                         []Node
	Bootstrap, DataDir, ClusterID string
	Superuser, Password           string
	Settings                      map[string]string
}

// child reads a Config from the first line of stdin, writes the addresses to
// stdout, and runs until stdin ends.
func child() error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var sent sentConfig
	if err := json.Unmarshal(line, &sent); err != nil {
		return err
	}
	cfg := Config{Nodes: sent.Nodes, Bootstrap: sent.Bootstrap, DataDir: sent.DataDir, ClusterID: sent.ClusterID,
		Superuser: sent.Superuser, Password: sent.Password, Settings: sent.Settings}
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c, err := Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(append(c.Nodes(), Node{-1, c.Bootstrap()})); err != nil {
		return err
	}
	io.Copy(io.Discard, in)
	return c.Close()
}

// process is a cluster in a child process.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan error
}

// startProcess starts one and puts the addresses that it has into cfg, so that
// the next one has the same.
func startProcess(t *testing.T, cfg *Config) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self), done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), childVariable+"=1")
	p.cmd.Stderr = testLog{t}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sent := sentConfig{cfg.Nodes, cfg.Bootstrap, cfg.DataDir, cfg.ClusterID, cfg.Superuser, cfg.Password, cfg.Settings}
	if err := json.NewEncoder(p.stdin).Encode(sent); err != nil {
		t.Fatal(err)
	}
	var nodes []Node
	if err := json.NewDecoder(out).Decode(&nodes); err != nil {
		t.Fatalf("the child does not start: %v", err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(p.kill)
	cfg.Nodes, cfg.Bootstrap = nodes[:len(nodes)-1], nodes[len(nodes)-1].Address
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.done <- <-p.done // again for whoever asks next
}

// stop ends it as a user would.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.stdin.Close()
	err := <-p.done
	p.done <- err
	if err != nil {
		t.Errorf("the child ends with %v", err)
	}
}

func loginTo(t *testing.T, cfg *Config, extra ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kafka.NewClient(kafka.Login{Bootstrap: []string{cfg.Bootstrap}, User: testUser, Password: testPassword},
		append(impatient(), extra...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// A cluster that is killed again and again under load keeps all that it
// acknowledged: every record once and in order, commits, topics, users, ACLs.
func TestKilledProcessKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	const topic, partitions, rounds = "alerts", 3, 6
	cfg := testConfig(t)
	cfg.Settings["log.segment.bytes"] = "1000000" // many of them
	p := startProcess(t, &cfg)
	root := loginTo(t, &cfg)
	makeTopic(t, root, topic, partitions, map[string]string{"message.timestamp.type": "LogAppendTime"})

	load, stop := context.WithCancel(deadline(t))
	defer stop()
	var wg sync.WaitGroup
	value := func(partition int32, i int) string { // 80 bytes to 24 kB, no two alike
		r := rand.New(rand.NewPCG(uint64(partition), uint64(i)))
		return fmt.Sprintf("%d/%d/%s", partition, i, strings.Repeat(strconv.Itoa(r.IntN(1000)), 20+r.IntN(6000)))
	}
	// Records. The producers live on through every crash.
	var acked [partitions]atomic.Int64
	for part := range int32(partitions) {
		producer := loginTo(t, &cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(200),
			kgo.AlwaysRetryEOF()) // a process that is killed may just have taken the connection
		wg.Go(func() {
			for i := 0; load.Err() == nil; i++ {
				producer.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: part, Value: []byte(value(part, i))},
					func(r *kgo.Record, err error) {
						if err != nil {
							t.Errorf("partition %d, record %d: %v", part, i, err)
							return
						}
						acked[part].Add(1)
					})
			}
			if err := producer.Flush(deadline(t)); err != nil {
				t.Error(err)
			}
		})
	}
	// Commits: never behind what was acknowledged, never ahead of what was sent.
	var sent, committed atomic.Int64
	committer := kadm.NewClient(loginTo(t, &cfg))
	wg.Go(func() {
		for at := int64(1); load.Err() == nil; at++ {
			sent.Store(at)
			var offsets kadm.Offsets
			offsets.AddOffset(topic, 0, at, -1)
			answer, err := committer.CommitOffsets(load, "readers", offsets)
			if err == nil && answer.Ok() {
				committed.Store(at)
			}
		}
	})
	// Topics, users, ACLs.
	var made []string
	var mu sync.Mutex
	maker := kadm.NewClient(loginTo(t, &cfg))
	wg.Go(func() {
		for i := 0; load.Err() == nil; i++ {
			name := fmt.Sprint("n", i)
			_, err := maker.CreateTopic(load, 2, 1, nil, name)
			if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
				continue
			}
			users, err := maker.AlterUserSCRAMs(load, nil, []kadm.UpsertSCRAM{{
				User: name, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: name,
			}})
			if err != nil || !users.Ok() {
				continue
			}
			acls, err := maker.CreateACLs(load, kadm.NewACLs().Allow("User:"+name).Topics(name).Operations(kadm.OpRead))
			if err != nil || acls[0].Err != nil {
				continue
			}
			mu.Lock()
			made = append(made, name)
			mu.Unlock()
			select {
			case <-load.Done():
			case <-time.After(10 * time.Millisecond): // the rest needs the processors too
			}
		}
	})

	check := kadm.NewClient(root)
	for round := range rounds {
		select {
		case <-time.After(time.Duration(100+rand.IntN(300)) * time.Millisecond):
		case <-load.Done():
			t.Fatal("out of time")
		}
		least := committed.Load()
		mu.Lock()
		before := len(made)
		mu.Unlock()
		if round == rounds/2 {
			p.stop(t) // and once in peace
		} else {
			p.kill()
		}
		p = startProcess(t, &cfg)
		group, err := check.FetchOffsets(load, "readers")
		// A group is there from its first commit on.
		if err != nil && (least > 0 || !errors.Is(err, kerr.GroupIDNotFound)) {
			t.Fatalf("round %d, %d commits acknowledged: %v", round, least, err)
		}
		if o, ok := group.Lookup(topic, 0); least > 0 && (!ok || o.At < least || o.At > sent.Load()) {
			t.Errorf("round %d: group is at %d (%v), acknowledged were %d, sent %d", round, o.At, ok, least, sent.Load())
		}
		mu.Lock()
		names := made[:before]
		mu.Unlock()
		checkMade(t, check, names)
	}
	stop()
	wg.Wait()

	var total int
	for part := range acked {
		total += int(acked[part].Load())
	}
	t.Logf("%d records acknowledged over %d ends of the process, %d topics, %d commits", total, rounds, len(made), committed.Load())
	reader := loginTo(t, &cfg, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var next [partitions]int
	for ctx := deadline(t); total > 0; {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d acknowledged records are missing; read %v", total, next)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if want := value(r.Partition, next[r.Partition]); string(r.Value) != want {
				t.Fatalf("partition %d, offset %d: got %.20q, want %.20q", r.Partition, r.Offset, r.Value, want)
			}
			next[r.Partition]++
			total--
		})
	}
	p.stop(t)
}

// checkMade looks for topics, users and ACLs of the given names.
func checkMade(t *testing.T, admin *kadm.Client, names []string) {
	t.Helper()
	ctx := kadm.WithAuthorizedOps(deadline(t)) // past kadm's cache
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	users, err := admin.DescribeUserSCRAMs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	acls, err := admin.DescribeACLs(ctx, kadm.NewACLs().AnyResource().Allow().AllowHosts().Operations().ResourcePatternType(kadm.ACLPatternAny))
	if err != nil {
		t.Fatal(err)
	}
	allowed := make(map[string]bool)
	for _, a := range acls[0].Described {
		allowed[a.Name] = a.Principal == "User:"+a.Name
	}
	for _, name := range names {
		if _, ok := users[name]; !ok || !allowed[name] || len(topics[name].Partitions) != 2 {
			t.Errorf("%s: user %v, ACL %v, partitions %d", name, ok, allowed[name], len(topics[name].Partitions))
		}
	}
}
