package cmd_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/alertlab/alertlab/alerts/broker"
)

// served is one process of "alertlab registry serve".
type served struct {
	cmd   *exec.Cmd
	url   string
	log   *bytes.Buffer
	ended chan struct{}
}

// serve starts a registry process and waits until it answers.
func serve(t *testing.T, args ...string) *served {
	t.Helper()
	s := &served{log: &bytes.Buffer{}, ended: make(chan struct{})}
	s.cmd = exec.Command("alertlab", append([]string{"registry", "serve", "--listen", "127.0.0.1:0", "--session", "6s"}, args...)...)
	s.cmd.Env = append(os.Environ(), "ALERTLAB_STATE_DIR="+t.TempDir())
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make(chan string, 1)
	go func() {
		defer close(s.ended)
		lines := bufio.NewReader(out)
		line, _ := lines.ReadString('\n')
		first <- line
		_, _ = io.Copy(io.Discard, lines) // until the process ends
		_ = s.cmd.Wait()                  // how it ended is in ProcessState
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGCONT) // a process that has ended needs neither
		_ = s.cmd.Process.Kill()
		<-s.ended
		if t.Failed() {
			t.Logf("registry %s:\n%s", s.url, s.log)
		}
	})
	line := <-first
	_, url, ok := strings.Cut(strings.TrimSpace(line), "answers at ")
	if !ok {
		<-s.ended
		t.Fatalf("the registry did not start: %q\n%s", line, s.log)
	}
	s.url = url
	return s
}

// ask sends one request; an answer that does not come gives status 0.
func ask(ctx context.Context, method, url, body string, header ...string) (int, string) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	if len(header) == 2 {
		req.Header.Set(header[0], header[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(answer)
}

// TestRegistryServe has real processes over one topic of an embedded broker: they
// agree on one writer, also when the writer is frozen, goes on, and is killed.
func TestRegistryServe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	authority := httptest.NewUnstartedServer(nil) // of its certificate, which is for 127.0.0.1
	authority.StartTLS()
	authority.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster, err := broker.Start(ctx, broker.Config{Nodes: []broker.Node{{ID: 0, Address: "127.0.0.1:0"}, {ID: 1, Address: "127.0.0.1:0"}},
		TLS:     &tls.Config{Certificates: authority.TLS.Certificates},
		DataDir: filepath.Join(t.TempDir(), "kafka"), Superuser: "kafka-admin", Password: "a-password-of-the-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("a-password-of-the-test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--bootstrap", cluster.Nodes()[0].Address, "--ca", ca, "--user", "kafka-admin", "--password-file", secret, "--compatibility", "none"}

	size := 0
	var mu sync.Mutex
	fresh := func() string {
		mu.Lock()
		defer mu.Unlock()
		size++
		schema, _ := json.Marshal(fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, size)) // a string
		return `{"schema":` + string(schema) + `}`
	}
	answers := make(map[string]string) // by answer, the schema that was posted
	post := func(s *served, header ...string) bool {
		body := fresh()
		status, answer := ask(ctx, http.MethodPost, s.url+"/subjects/s/versions", body, header...)
		if status != http.StatusOK {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if before, ok := answers[answer]; ok && before != body {
			t.Errorf("%s is the answer for %s and for %s", answer, before, body)
		}
		answers[answer] = body
		return true
	}

	one, two := serve(t, args...), serve(t, args...)
	for _, s := range []*served{one, two, one, two} {
		if status, answer := ask(ctx, http.MethodGet, s.url+"/", ""); status != http.StatusOK || answer != "{}" {
			t.Fatalf("GET /: %d %s", status, answer)
		}
		if !poll(func() bool { return post(s) }) {
			t.Fatalf("%s takes no write", s.url)
		}
	}
	leads := func(s *served) bool { return post(s, "X-Forward", "true") }
	leader, other := one, two
	if !leads(one) {
		leader, other = two, one
	}
	if !leads(leader) || leads(other) {
		t.Fatal("there is not one leader")
	}

	// Frozen, with requests that wait for it. The other one takes over.
	if err := leader.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var late sync.WaitGroup
	for range 8 {
		late.Go(func() { post(leader) })
	}
	if !poll(func() bool { return leads(other) }) {
		t.Fatal("nobody took over from a leader that was frozen")
	}
	for range 4 {
		if !post(other) {
			t.Error("the new leader refused a write")
		}
	}
	if err := leader.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		late.Go(func() { post(leader) })
		post(other)
	}
	late.Wait()

	// What was answered is there, and all agree on everything.
	everything := func(s *served) string {
		_, answer := ask(ctx, http.MethodGet, s.url+"/schemas?deleted=true", "")
		return answer
	}
	agree := func(registries ...*served) {
		t.Helper()
		if !poll(func() bool {
			for _, s := range registries[1:] {
				if everything(s) != everything(registries[0]) {
					return false
				}
			}
			return true
		}) {
			t.Fatal("the registries do not agree")
		}
	}
	three := serve(t, args...)
	agree(three, other, leader)
	for answer, body := range answers {
		var place struct{ ID, Version int }
		if err := json.Unmarshal([]byte(answer), &place); err != nil {
			t.Fatal(err)
		}
		status, text := ask(ctx, http.MethodGet, fmt.Sprintf("%s/subjects/s/versions/%d", three.url, place.Version), "")
		var stored struct {
			ID     int
			Schema string
		}
		if err := json.Unmarshal([]byte(text), &stored); err != nil || status != http.StatusOK {
			t.Fatal(text, err)
		}
		again, err := json.Marshal(stored.Schema)
		if err != nil {
			t.Fatal(err)
		}
		if stored.ID != place.ID || `{"schema":`+string(again)+`}` != body {
			t.Errorf("%s was answered %s, and there is %s", body, answer, text)
		}
	}

	// The death of a leader is not its members' end.
	all := []*served{leader, other, three}
	for i, s := range all {
		if !leads(s) {
			continue
		}
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.ended
		all = append(all[:i:i], all[i+1:]...)
		break
	}
	if len(all) != 2 {
		t.Fatal("nobody leads")
	}
	for _, s := range all {
		if !poll(func() bool { return post(s) }) {
			t.Errorf("%s takes no write after the leader was killed", s.url)
		}
	}
	agree(all...)

	// Asked to end, they end well, and leave what they answered.
	want := everything(all[0])
	for _, s := range all {
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-s.ended
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d\n%s", code, s.log)
		}
	}
	if got := everything(serve(t, args...)); got != want {
		t.Errorf("after a restart\n got %s\nwant %s", got, want)
	}
}
