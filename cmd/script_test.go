package cmd_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/cmd"
	"github.com/alertlab/alertlab/internal/chaos"
	"github.com/alertlab/alertlab/lab/state"
)

// patience bounds every wait for something that must come. It is no expectation
// of how long that takes.
const patience = 90 * time.Second

// TestMain makes the test binary the program itself when it is started under its
// name: testscript puts a copy called alertlab into the path, and one for each of
// the programs that it stands in for; the runner and the object store start the
// executable that they are.
func TestMain(m *testing.M) {
	program := func() { os.Exit(cmd.Main(os.Args, cmd.Hooks{})) }
	names := map[string]func(){"alertlab": program}
	for _, name := range cmd.Programs() {
		names[name] = program
	}
	testscript.Main(m, names)
}

// TestScripts runs the transcripts in testdata/script: what a person types and
// what they get to see. Every script has a state directory of its own and small
// visits at a short interval; labs find free addresses by themselves.
func TestScripts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the transcripts look for processes in /proc")
	}
	// Under nohup(1), programs that are started from here would ignore a hang-up,
	// unless it is caught here.
	hangup := make(chan os.Signal, 1)
	ossignal.Notify(hangup, syscall.SIGHUP)
	t.Cleanup(func() { ossignal.Stop(hangup) })
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), Setup: setup, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       exits,
			"eventually":  eventually,
			"follow":      follow,
			"signal":      signal,
			"ended":       ended,
			"running":     running,
			"kill9":       kill9,
			"edit":        edit,
			"cut":         cut,
			"wire":        wire,
			"validjson":   validJSON,
			"secrets":     secrets,
			"login":       login,
			"kafkaenv":    kafkaEnv,
			"followas":    followAs,
			"certificate": certificate,
			"answers":     answers,
			"outside":     outsideCmd,
			"listens":     listens,
			"occupy":      occupy,
			"release":     release,
			"freeze":      freeze,
			"leak":        leak,
			"asuser":      asUser,
			"unpacked":    unpacked,
			"malformed":   malformed,
			"labenv":      labEnv,
			"bucket":      bucket,
			"freeport":    freePort,
			"background":  background,
			"fetch":       fetch,
			"backdate":    backdate,
			"append":      appendLine,
			"reads":       reads,
			"private":     private,
			"pid":         pid,
			"equal":       equal,
			"connect":     connect,
			"connected":   connected,
			"mirror":      mirror,
			"digestat":    digestAt,
			"flip":        flip,
		},
	})
}

// followers are the background processes of one script, by name.
type followers map[string]*follower

type follower struct {
	cmd   *exec.Cmd
	ended chan error
}

type (
	followersKey   struct{}
	environKey     struct{}
	connectionsKey struct{}
)

func setup(env *testscript.Env) error {
	repo, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	env.Setenv("REPO", repo)
	stateDir := filepath.Join(env.WorkDir, "state")
	env.Setenv("STATE", stateDir)
	env.Setenv("ALERTLAB_STATE_DIR", stateDir)
	env.Setenv("ALERTLAB_SIMULATOR_ALERTS", "20")
	env.Setenv("ALERTLAB_SIMULATOR_INTERVAL", "2s")
	env.Setenv("ALERTLAB_SIMULATOR_PACKET_SIZE", "60kB")
	// Labs of all scripts reserve their addresses in one place, as those of one
	// user do.
	env.Setenv("TMPDIR", os.TempDir())
	// With -cover, the program writes its counters here.
	env.Setenv("GOCOVERDIR", os.Getenv("GOCOVERDIR"))
	env.Values[followersKey{}] = followers{}
	env.Values[environKey{}] = env
	env.Values[connectionsKey{}] = map[string]*connection{}
	t := env.T()
	env.Defer(func() {
		f, ok := t.(interface{ Failed() bool })
		failed := ok && f.Failed()
		var left []chaos.Process
		gone := func() bool {
			left = chaos.Processes(stateDir)
			return len(left) == 0
		}
		// A runner that has just taken its lab down needs a moment to end.
		if failed || poll(gone) {
			gone()
		}
		for _, p := range left {
			p.Kill()
		}
		if len(left) > 0 && !failed {
			t.Fatal(fmt.Sprintf("the script ended well and left processes behind: %v", left))
		}
	})
	return nil
}

// exits CODE PROGRAM ARG... runs a program and asserts its exit code; its output
// can be looked at with stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	if got := codeOf(ts, err); strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s: exit code %d, not %s", strings.Join(args[1:], " "), got, args[0])
	}
}

func codeOf(ts *testscript.TestScript, err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("%v", err)
	return -1
}

// eventually PATTERN PROGRAM ARG... runs a program again and again until its
// standard output matches; with "eventually PATTERN file NAME" it reads a file.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: eventually PATTERN PROGRAM ARG... | eventually PATTERN file NAME")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	last := ""
	look := func() bool {
		if args[1] == "file" {
			b, err := os.ReadFile(ts.MkAbs(args[2]))
			last = fmt.Sprintf("%s %v", b, err)
			return pattern.Match(b)
		}
		c := command(ts, args[1:])
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		err := c.Run()
		last = fmt.Sprintf("%s%s%v", out.String(), errs.String(), err)
		return pattern.Match(out.Bytes())
	}
	if !poll(look) {
		ts.Fatalf("%q never matched %s; last:\n%s", args[0], strings.Join(args[1:], " "), last)
	}
}

// poll asks until the answer is yes, within patience.
func poll(yes func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// command makes a command of the script's directory and environment.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	c := exec.Command(args[0], args[1:]...)
	c.Dir = ts.MkAbs(".")
	// The script's environment is what it was set up with, as the script has
	// changed it since.
	for _, v := range ts.Value(environKey{}).(*testscript.Env).Vars {
		name, _, _ := strings.Cut(v, "=")
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	return c
}

// follow NAME ARG... starts alertlab in the background. What it prints goes to
// the files NAME.out and NAME.err.
func follow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: follow NAME ARG...")
	}
	begin(ts, args[0], append([]string{"alertlab"}, args[1:]...))
}

// begin starts a program in the background. What it prints goes to the files
// NAME.out and NAME.err.
func begin(ts *testscript.TestScript, called string, argv []string) {
	c := command(ts, argv)
	for ext, to := range map[string]*io.Writer{".out": &c.Stdout, ".err": &c.Stderr} {
		f, err := os.Create(ts.MkAbs(called + ext))
		ts.Check(err)
		defer f.Close()
		*to = f
	}
	ts.Check(c.Start())
	f := &follower{cmd: c, ended: make(chan error, 1)}
	go func() { f.ended <- c.Wait() }()
	ts.Value(followersKey{}).(followers)[called] = f
}

func (f followers) get(ts *testscript.TestScript, name string) *follower {
	if f[name] == nil {
		ts.Fatalf("no follower is called %q", name)
	}
	return f[name]
}

// signal NAME INT|TERM|HUP|KILL sends a signal to a follower.
func signal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal NAME SIGNAL")
	}
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	ts.Check(ts.Value(followersKey{}).(followers).get(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// ended NAME CODE waits for the end of a follower and asserts its exit code; -1
// is the end by a signal.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended NAME CODE")
	}
	f := ts.Value(followersKey{}).(followers).get(ts, args[0])
	select {
	case err := <-f.ended:
		if got := codeOf(ts, err); strconv.Itoa(got) != args[1] {
			ts.Fatalf("%s: exit code %d, not %s; it said:\n%s", args[0], got, args[1], ts.ReadFile(args[0]+".err"))
		}
	case <-time.After(patience):
		ts.Fatalf("%s did not end", args[0])
	}
}

// running N VERB waits until there are so many processes of the script's labs
// that were started with a verb: runner, object-store.
func running(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: running N VERB")
	}
	var last []chaos.Process
	if !poll(func() bool {
		last = chaos.Running(ts.Getenv("ALERTLAB_STATE_DIR"), args[1])
		return strconv.Itoa(len(last)) == args[0]
	}) {
		ts.Fatalf("there are %d processes of %s, not %s: %v", len(last), args[1], args[0], last)
	}
}

// kill9 VERB kills the script's processes that were started with a verb.
func kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: kill9 VERB")
	}
	found := chaos.Running(ts.Getenv("ALERTLAB_STATE_DIR"), args[0])
	if len(found) == 0 {
		ts.Fatalf("no %s runs", args[0])
	}
	for _, p := range found {
		p.Kill()
	}
}

// edit FILE OLD NEW replaces the one place where OLD stands in a file; %n stands for
// the end of a line.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	was, now := strings.ReplaceAll(args[1], `%n`, "\n"), strings.ReplaceAll(args[2], `%n`, "\n")
	if n := strings.Count(text, was); n != 1 {
		ts.Fatalf("%q stands in %s %d times", was, args[0], n)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, was, now, 1)), 0o600))
}

// cut FROM TO PERCENT copies the first part of a file.
func cut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut FROM TO PERCENT")
	}
	percent, err := strconv.Atoi(args[2])
	ts.Check(err)
	text := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text[:len(text)*percent/100]), 0o600))
}

// wire FILE N TO VARIABLE writes the N-th alert of a container, counted from 0,
// as it must be in Kafka, and puts its id into a variable.
func wire(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: wire FILE N TO VARIABLE")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	id, framed, err := wireOf(ts.MkAbs(args[0]), n)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), framed, 0o600))
	ts.Setenv(args[3], strconv.FormatInt(id, 10))
}

// wireOf gives the id and the wire bytes of the n-th alert of a container: the
// header with the id that the schema's version makes, and the datum as it is in
// the file.
func wireOf(path string, n int) (int64, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	r, err := packet.NewContainerReader(f)
	if err != nil {
		return 0, nil, err
	}
	var body []byte
	for range n + 1 {
		if body, err = r.Next(); err != nil {
			return 0, nil, err
		}
	}
	head, err := r.Schema().Head(body)
	if err != nil {
		return 0, nil, err
	}
	v := r.Schema().Version()
	return head.ID, packet.Frame(uint32(v.Major*100+v.Minor), body), nil
}

// validjson FILE asserts that every line of a file is a JSON value, or, when the
// file is stdout, that the output is one value.
func validJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: validjson FILE")
	}
	text := ts.ReadFile(args[0])
	if args[0] == "stdout" {
		if !json.Valid([]byte(text)) {
			ts.Fatalf("not JSON: %s", text)
		}
		return
	}
	if text == "" {
		ts.Fatalf("%s is empty", args[0])
	}
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("not JSON: %s", line)
		}
	}
}

// certificate LAB HOST... asserts that the lab's bootstrap address shows a
// certificate of the lab's authority for each of the hosts.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: certificate LAB HOST...")
	}
	card, err := state.At(ts.Getenv("ALERTLAB_STATE_DIR"), args[0]).Endpoints()
	ts.Check(err)
	trust, err := kafka.Trust([]byte(card.Kafka.CA))
	ts.Check(err)
	for _, host := range args[1:] {
		trust.ServerName = host
		conn, err := tls.Dial("tcp", card.Kafka.Bootstrap, trust)
		if err == nil {
			conn.Close()
		}
		var unknown x509.HostnameError
		if neg && !errors.As(err, &unknown) {
			ts.Fatalf("%s is no name that the certificate lacks: %v", host, err)
		}
		if !neg && err != nil {
			ts.Fatalf("%s: %v", host, err)
		}
	}
}

// fetch LAB STATUS PATH [TOKEN] asserts with which status a lab's alert database
// answers a GET, with the token of a name, or the one in a file after "file:".
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: fetch LAB STATUS PATH [TOKEN]")
	}
	dir := state.At(ts.Getenv("ALERTLAB_STATE_DIR"), args[0])
	card, err := dir.Endpoints()
	ts.Check(err)
	req, err := http.NewRequest(http.MethodGet, card.AlertDB.URL+args[2], nil)
	ts.Check(err)
	if len(args) == 4 {
		creds, err := dir.Credentials()
		ts.Check(err)
		secret := creds.Tokens[args[3]]
		if file, ok := strings.CutPrefix(args[3], "file:"); ok {
			secret = strings.TrimSpace(ts.ReadFile(file))
		}
		if secret == "" {
			ts.Fatalf("there is no token %s", args[3])
		}
		req.SetBasicAuth("x-oauth-basic", secret)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if fmt.Sprint(resp.StatusCode) != args[1] {
		ts.Fatalf("%s: got %s %s", args[2], resp.Status, body)
	}
}

// clientOf makes a client of the lab's Kafka that logs in as a user, with the
// password that is kept for it, or one that was exported to a file, over TLS where
// the lab has it unless exported says plaintext.
func clientOf(ts *testscript.TestScript, lab, user string, exported string, opts ...kgo.Opt) *kgo.Client {
	dir := state.At(ts.Getenv("ALERTLAB_STATE_DIR"), lab)
	card, err := dir.Endpoints()
	ts.Check(err)
	creds, err := dir.Credentials()
	ts.Check(err)
	login := kafka.Login{Bootstrap: []string{card.Kafka.Bootstrap}, User: user, Password: creds.Kafka[user]}
	if card.Kafka.CAFile != "" {
		login.TLS, err = kafka.Trust([]byte(ts.ReadFile(card.Kafka.CAFile)))
		ts.Check(err)
	}
	switch {
	case exported == plaintext:
		login.TLS = nil
	case exported != "":
		var settings struct{ Password string }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(exported)), &settings))
		login.Password = settings.Password
	}
	client, err := kafka.NewClient(login, opts...)
	ts.Check(err)
	return client
}

// reads LAB USER TOPIC asserts that a user may read a topic; "! reads" that it is
// refused.
func reads(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: reads LAB USER TOPIC")
	}
	client := clientOf(ts, args[0], args[1], "")
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	offsets, err := kadm.NewClient(client).ListEndOffsets(ctx, args[2])
	if err == nil {
		err = offsets.Error()
	}
	if neg && !errors.Is(err, kerr.TopicAuthorizationFailed) && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		ts.Fatalf("%s was not refused %s: %v", args[1], args[2], err)
	}
	if !neg && err != nil {
		ts.Fatalf("%s and %s: %v", args[1], args[2], err)
	}
}

// private FILE asserts that only its owner may read a file.
func private(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: private FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if info.Mode().Perm() != 0o600 {
		ts.Fatalf("%s has mode %s", args[0], info.Mode())
	}
}

// pid VERB VARIABLE puts the process that was started with a verb into a variable.
func pid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pid VERB VARIABLE")
	}
	found := chaos.Running(ts.Getenv("ALERTLAB_STATE_DIR"), args[0])
	if len(found) != 1 {
		ts.Fatalf("there are %d processes of %s", len(found), args[0])
	}
	ts.Setenv(args[1], strconv.Itoa(found[0].PID))
}

// equal A B asserts that two texts are the same.
func equal(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || (args[0] == args[1]) == neg {
		ts.Fatalf("%q", args)
	}
}

// connection is a client that stays connected, and counts what breaks off.
type connection struct {
	client *kgo.Client
	broken atomic.Int32
}

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect.
func (c *connection) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) { c.broken.Add(1) }

// connect LAB USER NAME makes a client that reads the lab's alerts from now on.
func connect(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: connect LAB USER NAME")
	}
	c := &connection{}
	c.client = clientOf(ts, args[0], args[1], "", kgo.WithHooks(c), kgo.ConsumeTopics("alerts-simulated"), kgo.ConnIdleTimeout(10*time.Minute))
	ts.Value(connectionsKey{}).(map[string]*connection)[args[2]] = c
	ts.Defer(c.client.Close)
	c.read(ts)
}

// connected NAME asserts that no connection of a client has broken off, and that it
// goes on reading.
func connected(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: connected NAME")
	}
	c := ts.Value(connectionsKey{}).(map[string]*connection)[args[0]]
	c.read(ts)
	if n := c.broken.Load(); n > 0 {
		ts.Fatalf("%d connections of %s broke off", n, args[0])
	}
}

func (c *connection) read(ts *testscript.TestScript) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fetches := c.client.PollRecords(ctx, 10_000)
	if err := fetches.Err(); err != nil || fetches.NumRecords() == 0 {
		ts.Fatalf("%d records, %v", fetches.NumRecords(), err)
	}
}

// plaintext, in the place of a file, asks for a client without TLS.
const plaintext = "plaintext"

// login LAB USER [EXPORTED|plaintext] logs in to the lab's Kafka with the password
// that is kept for a user, or with one that "user export -o json" wrote to a file.
func login(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: login LAB USER [EXPORTED|plaintext]")
	}
	exported := strings.Join(args[2:], "")
	// A connection that is cut tells nothing, and is tried again.
	client := clientOf(ts, args[0], args[1], exported, kgo.RequestRetries(3))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := client.Ping(ctx)
	if neg && exported == plaintext { // the brokers hang up
		if err == nil {
			ts.Fatalf("%s got in without TLS", args[1])
		}
		return
	}
	if neg && !errors.Is(err, kerr.SaslAuthenticationFailed) {
		ts.Fatalf("%s was not refused: %v", args[1], err)
	}
	if !neg && err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
}

// asUser LAB USER puts a user's way into the lab's Kafka into the environment of
// the script, as "alertlab env" prints it.
func asUser(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: asuser LAB USER")
	}
	dir := state.At(ts.Getenv("ALERTLAB_STATE_DIR"), args[0])
	card, err := dir.Endpoints()
	ts.Check(err)
	creds, err := dir.Credentials()
	ts.Check(err)
	for key, value := range map[string]string{"KAFKA_BOOTSTRAP_SERVERS": card.Kafka.Bootstrap, "KAFKA_SECURITY_PROTOCOL": card.Kafka.Security,
		"KAFKA_USERNAME": args[1], "KAFKA_PASSWORD": creds.Kafka[args[1]], "SSL_CA_FILE": card.Kafka.CAFile} {
		ts.Setenv(key, value)
	}
}

// malformed LAB TOPIC writes five messages that are no alerts to a topic of the
// lab: four bytes, magic byte 1, an id that no schema has, a datum that does not
// decode, and no value.
func malformed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: malformed LAB TOPIC")
	}
	dir := state.At(ts.Getenv("ALERTLAB_STATE_DIR"), args[0])
	card, err := dir.Endpoints()
	ts.Check(err)
	creds, err := dir.Credentials()
	ts.Check(err)
	client, err := kafka.NewClient(kafka.Login{Bootstrap: []string{card.Kafka.Bootstrap}, User: card.Superuser(), Password: creds.Kafka[card.Superuser()]})
	ts.Check(err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, value := range [][]byte{{0, 0, 0, 4}, {1, 0, 0, 4, 76, 1, 2, 3, 4}, packet.Frame(9999, []byte("what")), packet.Frame(1100, []byte{1, 2, 3, 4}), nil} {
		ts.Check(client.ProduceSync(ctx, &kgo.Record{Topic: args[1], Value: value}).FirstErr())
	}
}

// credentials gives every secret of a lab: each text that is a value in its
// credentials, by where it stands.
func credentials(ts *testscript.TestScript, lab string) map[string]string {
	var tree any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(ts.Getenv("ALERTLAB_STATE_DIR"), "labs", lab, "credentials.json"))), &tree))
	words := map[string]string{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case string:
			words[at] = v
		case map[string]any:
			for k, e := range v {
				walk(at+"/"+k, e)
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprint(at, "/", i), e)
			}
		}
	}
	walk("", tree)
	if len(words) < 5 {
		ts.Fatalf("the lab has only %d secrets", len(words))
	}
	return words
}

// leak LAB FILE adds to a file a line with each secret of a lab, as a fault in a
// program would.
func leak(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: leak LAB FILE")
	}
	f, err := os.OpenFile(ts.MkAbs(args[1]), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	ts.Check(err)
	for _, word := range credentials(ts, args[0]) {
		_, err := fmt.Fprintf(f, "time=2026-01-01T00:00:00Z level=INFO msg=leaked password=%s url=http://user:%s@host/ auth=%s\n", word, word,
			base64.StdEncoding.EncodeToString([]byte("user:"+word)))
		ts.Check(err)
	}
	ts.Check(f.Close())
}

// unpacked LAB ARCHIVE DIR unpacks a support archive, its folder being left out,
// and asserts that no secret of the lab stands anywhere in it.
func unpacked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: unpacked LAB ARCHIVE DIR")
	}
	zipped, err := gzip.NewReader(strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	all, err := io.ReadAll(zipped)
	ts.Check(err)
	for at, word := range credentials(ts, args[0]) {
		for _, form := range []string{word, base64.StdEncoding.EncodeToString([]byte("user:" + word))[8:32]} {
			if bytes.Contains(all, []byte(form)) {
				ts.Fatalf("the secret %s stands in %s as %s", at, args[1], form)
			}
		}
	}
	for r := tar.NewReader(bytes.NewReader(all)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		ts.Check(err)
		_, name, ok := strings.Cut(h.Name, "/")
		if !ok || !filepath.IsLocal(name) || h.Mode != 0o600 {
			ts.Fatalf("%s with mode %o in the archive", h.Name, h.Mode)
		}
		path := filepath.Join(ts.MkAbs(args[2]), name)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
		text, err := io.ReadAll(r)
		ts.Check(err)
		ts.Check(os.WriteFile(path, text, 0o600))
	}
}

// secrets LAB FILE... asserts that no secret of a lab stands in anything that it
// wrote, in the files named, on a command line, and that only their owner can
// read what is written.
func secrets(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: secrets LAB FILE...")
	}
	stateDir := ts.Getenv("ALERTLAB_STATE_DIR")
	lab := filepath.Join(stateDir, "labs", args[0])
	var creds struct {
		Kafka       map[string]string
		ObjectStore struct{ SecretKey string }
		Tokens      map[string]string
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(lab, "credentials.json"))), &creds))
	words := map[string]string{"the object store": creds.ObjectStore.SecretKey}
	for user, password := range creds.Kafka {
		words[user] = password
	}
	for name, secret := range creds.Tokens {
		words["token "+name] = secret
	}
	if len(words) < 5 {
		ts.Fatalf("the lab has only %d secrets", len(words))
	}
	search := func(where string, text []byte) {
		for owner, word := range words {
			if len(word) < 16 {
				ts.Fatalf("the secret of %s is too short to look for", owner)
			}
			if bytes.Contains(text, []byte(word)) {
				ts.Fatalf("the secret of %s stands in %s", owner, where)
			}
		}
	}
	files := 0
	ts.Check(filepath.WalkDir(lab, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, os.ErrNotExist) { // the lab lives: files come and go
				return nil
			}
			return err
		}
		info, err := d.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		stored := strings.HasPrefix(path, filepath.Join(lab, "data")+"/")
		// What the parts store lies in a directory that nobody else enters.
		// The authority's certificate is for everybody to trust.
		if !stored && d.Name() != "ca.pem" && info.Mode().Perm()&0o077 != 0 {
			return fmt.Errorf("%s can be read by others: %s", path, info.Mode())
		}
		if !info.Mode().IsRegular() || d.Name() == "credentials.json" {
			return nil
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		files++
		search(path, text)
		return err
	}))
	if files < 8 {
		ts.Fatalf("only %d files were found in the lab", files)
	}
	for _, f := range args[1:] {
		search(f, []byte(ts.ReadFile(f)))
	}
	processes := chaos.Processes(stateDir)
	if len(processes) < 2 {
		ts.Fatalf("the lab has only these processes: %v", processes)
	}
	for _, p := range processes {
		search(fmt.Sprintf("the command line of process %d", p.PID), []byte(strings.Join(p.Args, "\x00")))
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
		ts.Check(err)
		search(fmt.Sprintf("the environment of process %d", p.PID), environ)
	}
}
