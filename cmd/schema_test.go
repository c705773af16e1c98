package cmd_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/registry"
)

// TestSchemaSyncElsewhere synchronises a registry that is no lab's, behind TLS and
// a login, which fails in the middle, and is interrupted there.
func TestSchemaSyncElsewhere(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cluster, err := broker.Start(ctx, broker.Config{Nodes: []broker.Node{{ID: 0, Address: "127.0.0.1:0"}},
		DataDir: filepath.Join(t.TempDir(), "kafka"), Superuser: "kafka-admin", Password: "a-password-of-the-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	reg, err := registry.Open(ctx, registry.Config{Create: true,
		Login: kafka.Login{Bootstrap: []string{cluster.Nodes()[0].Address}, User: "kafka-admin", Password: "a-password-of-the-test"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	inner := httptest.NewServer(reg.Handler())
	t.Cleanup(inner.Close)
	target, err := url.Parse(inner.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	// At this many posts from now, something happens instead of an answer.
	var posts atomic.Int64
	var happens atomic.Pointer[func()]
	outer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, ok := req.BasicAuth(); !ok || user != "me" || password != "secret:of:mine" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if req.Method == http.MethodPost && posts.Add(-1) == 0 {
			(*happens.Load())()
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		proxy.ServeHTTP(w, req)
	}))
	outer.Config.ErrorLog = log.New(io.Discard, "", 0) // clients end in the middle
	outer.StartTLS()
	t.Cleanup(outer.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: outer.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}

	running := make(chan *os.Process, 1) // of the run that goes on
	sync := func(env ...string) (int, string) {
		t.Helper()
		c := exec.CommandContext(ctx, "alertlab", "schema", "sync", outer.URL, "--ca", ca)
		c.Env = append(append(os.Environ(), "ALERTLAB_STATE_DIR="+t.TempDir()), env...)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		running <- c.Process
		err := c.Wait()
		select {
		case <-running: // nobody asked for it
		default:
		}
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "secret:of:mine") {
			t.Errorf("the password is told: %s", &out)
		}
		return c.ProcessState.ExitCode(), out.String()
	}
	const login = "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO=me:secret:of:mine"
	settled := func(when string) {
		t.Helper()
		for _, subject := range []string{"alert-packet", "lsst-alerts-v3.0-value", "lsst-alerts-v11.0-value"} {
			if _, mode := ask(ctx, http.MethodGet, inner.URL+"/mode/"+subject+"?defaultToGlobal=true", ""); mode != `{"mode":"READWRITE"}` {
				t.Errorf("%s: subject %s is left with %s", when, subject, mode)
			}
		}
	}

	if code, out := sync(); code != 1 || !strings.Contains(out, "refuses") || !strings.Contains(out, "next: export SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO") {
		t.Errorf("without a login: %d %s", code, out)
	}
	nothing := func() {}
	happens.Store(&nothing)
	posts.Store(5)
	if code, out := sync(login); code != 1 || !strings.HasPrefix(out, "error: the schema registry at ") || !strings.Contains(out, " does not do it: ") {
		t.Errorf("a registry that fails: %d %s", code, out)
	}
	settled("after a failure")

	interrupt := func() {
		if err := (<-running).Signal(syscall.SIGINT); err != nil {
			t.Error(err)
		}
	}
	happens.Store(&interrupt)
	posts.Store(5)
	if code, out := sync(login); code != 130 {
		t.Errorf("interrupted: %d %s", code, out)
	}
	settled("after an interruption")

	// Killed, it leaves what the next one settles.
	kill := func() {
		if err := (<-running).Kill(); err != nil {
			t.Error(err)
		}
	}
	happens.Store(&kill)
	posts.Store(3)
	if code, out := sync(login); code != -1 {
		t.Errorf("killed: %d %s", code, out)
	}
	if code, out := sync(login); code != 0 || !strings.Contains(out, "holds 14 schema versions") {
		t.Errorf("again: %d %s", code, out)
	}
	settled("at the end")
	if status, answer := ask(ctx, http.MethodPut, inner.URL+"/mode/alert-packet?force=true", `{"mode":"IMPORT"}`); status != http.StatusOK {
		t.Fatal(answer)
	}
	if code, out := sync(login); code != 0 || !strings.Contains(out, "28 entries were there, 0 were added; alert-packet had been left in mode IMPORT") {
		t.Errorf("nothing to do but to settle: %d %s", code, out)
	}
	settled("after a kill")

	// Other content under an id is refused, and nothing is changed.
	for _, request := range [][2]string{
		{http.MethodDelete, "/subjects/lsst-alerts-v7.4-value"},
		{http.MethodDelete, "/subjects/lsst-alerts-v7.4-value?permanent=true"},
		{http.MethodPut, "/mode/lsst-alerts-v7.4-value"},
	} {
		if status, answer := ask(ctx, request[0], inner.URL+request[1], `{"mode":"IMPORT"}`); status != http.StatusOK {
			t.Fatal(answer)
		}
	}
	if status, answer := ask(ctx, http.MethodPost, inner.URL+"/subjects/lsst-alerts-v7.4-value/versions", `{"schema":"\"long\"","id":9999,"version":1}`); status != http.StatusOK {
		t.Fatal(answer)
	}
	if code, out := sync(login); code != 1 || !strings.HasPrefix(out, "error: the registry at ") || !strings.Contains(out, " holds other content: schema 704: version 1 of subject lsst-alerts-v7.4-value is taken by id 9999") {
		t.Errorf("taken: %d %s", code, out)
	}
}
