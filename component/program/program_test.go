package program_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/objectstore/gateway"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/component/program"
	"github.com/twmb/franz-go/pkg/kadm"
)

// patience bounds every wait for something that must come.
const patience = time.Minute

// serverArg makes this binary the object store's child process.
const serverArg = "serve-as-child"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serverArg {
		if err := gateway.ServeMain(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// free gives an address of this machine that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func common(t *testing.T) program.Common {
	return program.Common{Health: free(t), Log: slog.New(slog.DiscardHandler)}
}

// start runs a program until the test ends, and waits until it says that it is ready.
func start(t *testing.T, health string, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	await(t, health, http.StatusOK, ended)
}

// await asks /ready until it answers with a status.
func await(t *testing.T, health string, status int, ended chan error) {
	t.Helper()
	bound, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		if code, text := get(t, "http://"+health+"/ready"); code == status {
			return
		} else {
			last = fmt.Sprint(code, " ", text)
		}
		select {
		case err := <-ended:
			ended <- nil
			t.Fatalf("it ended: %v", err)
		case <-bound.Done():
			t.Fatalf("not %d in time; last: %s", status, last)
		case <-tick.C:
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(b)
}

// Every program at work on one cluster, as pods are: a visit that is played comes back
// from the alert database, and the registry shows itself through its front.
func TestPrograms(t *testing.T) {
	t.Parallel()
	const user, password, group = "kafka-admin", "secret", "alertdb-ingester"
	cluster, err := broker.Start(t.Context(), broker.Config{Nodes: []broker.Node{{ID: 0, Address: "127.0.0.1:0"}},
		Bootstrap: "127.0.0.1:0", DataDir: t.TempDir(), Superuser: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	login := kafka.Login{Bootstrap: []string{cluster.Bootstrap()}, User: user, Password: password}
	client, err := kafka.NewClient(login)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	one := func(name string, config map[string]string) admin.Topic {
		return admin.Topic{Name: name, Partitions: 1, Replicas: 1, Config: config}
	}
	if _, err := admin.EnsureTopics(t.Context(), kadm.NewClient(client), []admin.Topic{
		one("registry-schemas", map[string]string{"cleanup.policy": "compact"}), one("alerts-static", nil), one("alerts-simulated", nil)}); err != nil {
		t.Fatal(err)
	}

	registry := program.Registry{Common: common(t), Listen: free(t), Login: login, Topic: "registry-schemas", Compatibility: "NONE"}
	start(t, registry.Health, registry.Run)
	target := &url.URL{Scheme: "http", Host: registry.Listen}
	front := program.Front{Common: common(t), Listen: free(t), Target: target}
	start(t, front.Health, front.Run)
	if code, text := get(t, "http://"+front.Listen+"/subjects"); code != http.StatusOK || strings.TrimSpace(text) != "[]" {
		t.Errorf("subjects: %d %s", code, text)
	}
	response, err := http.Post("http://"+front.Listen+"/subjects/x/versions", "application/json", strings.NewReader(`{"schema":"\"string\""}`))
	if err != nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("a write through the front: %v, %v", response, err)
	}

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	store := program.Store{Common: common(t), Config: objectstore.Config{Executable: exe, Args: []string{serverArg}, Root: filepath.Join(t.TempDir(), "s3"),
		Address: free(t), AccessKey: "lab", SecretKey: "lab-secret-key", Region: "us-east-1"}}
	start(t, store.Health, store.Run)
	s3 := objectstore.ClientConfig{Endpoint: "http://" + store.Config.Address, Region: "us-east-1", AccessKey: "lab", SecretKey: "lab-secret-key"}
	objects := objectstore.NewClient(s3)
	defer objects.Close()
	buckets := archive.Buckets{Alerts: "alerts", Schemas: "schemas"}
	if err := errors.Join(objects.EnsureBucket(t.Context(), buckets.Alerts), objects.EnsureBucket(t.Context(), buckets.Schemas)); err != nil {
		t.Fatal(err)
	}

	schema, err := packet.Published(packet.Version{Major: 11, Minor: 0})
	if err != nil {
		t.Fatal(err)
	}
	// The registry knows the schema under its own id, as after a synchronisation.
	post(t, "http://"+registry.Listen, schema)
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: schema, Alerts: 3, PacketBytes: packet.DefaultPacketBytes, Seed: 1, Visit: 2026112100001, MidpointMjdTai: 61365.25})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := simulator.Create(t.Context(), simulator.CreateConfig{Login: login, Topic: "alerts-static", Replace: true, Schema: schema, Source: simulator.Visit(visit, 1), Total: 3}); err != nil {
		t.Fatal(err)
	}

	ingester := program.Ingester{Common: common(t), Login: login, Group: group, Topics: []string{"alerts-simulated"}, Registry: target.String(), Objects: s3, Buckets: buckets}
	start(t, ingester.Health, ingester.Run)
	server := program.Server{Common: common(t), Listen: free(t), Objects: s3, Buckets: buckets, BasePath: "/alertdb"}
	start(t, server.Health, server.Run)
	player := program.Player{Common: common(t), Login: login, Source: "alerts-static", Topic: "alerts-simulated", Interval: 200 * time.Millisecond}
	start(t, player.Health, player.Run)

	bound, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	stored := func() int {
		n := 0
		for _, err := range objects.List(bound, buckets.Alerts, "v2/alerts/") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	for stored() < 3 {
		select {
		case <-tick.C:
		case <-bound.Done():
			t.Fatalf("%d of 3 alerts are archived", stored())
		}
	}
	// The player tells what it does, and takes orders.
	if code, body := get(t, "http://"+player.Health+program.PathPlayer); code != http.StatusOK || !strings.Contains(body, `"Running":true,"Paused":false`) {
		t.Errorf("%d: %s", code, body)
	}
	for verb, want := range map[string]int{simulator.OrderPause: http.StatusOK, "fly": http.StatusNotFound} {
		resp, err := http.Post("http://"+player.Health+program.PathPlayer+"/"+verb, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		var done simulator.Ordered
		if err := json.NewDecoder(resp.Body).Decode(&done); resp.StatusCode != want || (err == nil) != (want == http.StatusOK) || done.Is.Paused != (want == http.StatusOK) {
			t.Errorf("%s: %d, %+v, %v", verb, resp.StatusCode, done, err)
		}
		resp.Body.Close()
	}
	if code, _ := get(t, "http://"+server.Listen+"/v1/alerts/1"); code != http.StatusNotFound {
		t.Errorf("an alert that there is not: %d", code)
	}
	for path, want := range map[string]int{"/v1/health": http.StatusOK, "/alertdb/v1/health": http.StatusOK, "/alertdb/v1/alerts/x": http.StatusBadRequest, "/alertdbx/v1/health": http.StatusNotFound} {
		if code, body := get(t, "http://"+server.Listen+path); code != want {
			t.Errorf("%s: %d: %s", path, code, body)
		}
	}
}

// post registers a schema under its own id.
func post(t *testing.T, registry string, schema *packet.Schema) {
	t.Helper()
	send := func(method, path, body string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, registry+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %v, %v", method, path, response, err)
		}
		response.Body.Close()
	}
	send(http.MethodPut, "/mode?force=true", `{"mode":"IMPORT"}`)
	send(http.MethodPost, "/subjects/alert-packet/versions", fmt.Sprintf(`{"id":%d,"version":%d,"schema":%q}`, schema.ID(), schema.ID(), schema.Canonical()))
	send(http.MethodPut, "/mode", `{"mode":"READWRITE"}`)
}

// A program that cannot begin says why and ends; one whose address is taken too.
func TestRefused(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	target := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	front := program.Front{Common: common(t), Listen: taken.Addr().String(), Target: target}
	if err := front.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a taken address: %v", err)
	}
	front.Listen, front.Health = front.Health, taken.Addr().String()
	if err := front.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a taken health address: %v", err)
	}
	store := program.Store{Common: common(t), Config: objectstore.Config{Executable: "/bin/false", Root: t.TempDir(), Address: free(t), AccessKey: "a", SecretKey: "b"}}
	if err := store.Run(t.Context()); err == nil {
		t.Error("a server that ends at once was taken for one that serves")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	waits := program.Ingester{Common: common(t), Login: kafka.Login{Bootstrap: []string{"127.0.0.1:1"}}, Group: "g", Topics: []string{"t"}, Registry: "http://127.0.0.1:1",
		Objects: objectstore.ClientConfig{Endpoint: "http://127.0.0.1:1", Region: "us-east-1", AccessKey: "a", SecretKey: "b"}, Buckets: archive.Buckets{Alerts: "aaa", Schemas: "bbb"}}
	if err := waits.Run(ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("told to end: %v", err)
	}
}
