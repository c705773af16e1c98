package e2e

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/internal/ownimage"
	"github.com/alertlab/alertlab/labtest"
	"github.com/alertlab/alertlab/smoke"
)

// ownImage builds the image of the program as it is here, and loads it into the engine.
// At the test's end the engine has it no more.
func ownImage(ctx context.Context, t *testing.T, engine *client.Client) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "alertlab")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "github.com/alertlab/alertlab")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	reference, err := ownimage.Reference(binary)
	if err != nil {
		t.Fatal(err)
	}
	img, err := ownimage.Build(binary)
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(ownimage.Write(ctx, w, reference, img)) }()
	loaded, err := engine.ImageLoad(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Body.Close()
	if out, err := io.ReadAll(loaded.Body); err != nil || !bytes.Contains(out, []byte(reference)) {
		t.Fatalf("loading %s: %s, %v", reference, out, err)
	}
	t.Cleanup(func() {
		if _, err := engine.ImageRemove(context.Background(), reference, image.RemoveOptions{Force: true}); err != nil {
			t.Errorf("removing %s: %v", reference, err)
		}
	})
	return reference
}

// withoutNetwork takes a network away at the test's end, unless it was there before: one
// that a library makes once, for whatever else it will run.
func withoutNetwork(ctx context.Context, t *testing.T, engine *client.Client, name string) {
	t.Helper()
	if _, err := engine.NetworkInspect(ctx, name, network.InspectOptions{}); !errdefs.IsNotFound(err) {
		return
	}
	t.Cleanup(func() {
		if err := engine.NetworkRemove(context.Background(), name); err != nil && !errdefs.IsNotFound(err) {
			t.Errorf("removing the network %s: %v", name, err)
		}
	})
}

// TestLabInContainer is what a suite of another project does: it runs a lab in a
// container, reaches all of it from outside by clients of every kind, and takes it away.
// What a process left that was killed is removed by the next one.
func TestLabInContainer(t *testing.T) {
	need(t, "ALERTLAB_RIG_ENGINE")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	engine, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	withoutNetwork(ctx, t, engine, testcontainers.ReaperDefault)
	img := ownImage(ctx, t, engine)

	// Left by a process that there is no more: the id is above what Linux gives.
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	label := func(pid int) map[string]string {
		return map[string]string{"dev.alertlab.labtest": host + "/" + strconv.Itoa(pid)}
	}
	leave := func(labels map[string]string) string {
		t.Helper()
		c, err := engine.ContainerCreate(ctx, &container.Config{Image: img, Labels: labels}, nil, nil, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = engine.ContainerRemove(context.Background(), c.ID, container.RemoveOptions{Force: true}) // one is gone, as it should be
		})
		return c.ID
	}
	gone, alive := leave(label(1<<30)), leave(label(os.Getppid()))

	begun := time.Now()
	lab, err := labtest.RunContainer(ctx, img, labtest.Profile("local"), labtest.Set("simulator.alerts", "20"), labtest.Set("simulator.interval", "3s"),
		testcontainers.WithLabels(map[string]string{"suite": "e2e"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a lab of six brokers in a container: %.1f s", time.Since(begun).Seconds())
	testcontainers.CleanupContainer(t, lab)
	if _, err := engine.ContainerInspect(ctx, gone); !errdefs.IsNotFound(err) {
		t.Errorf("the container of a process that is gone: %v", err)
	}
	if _, err := engine.ContainerInspect(ctx, alive); err != nil {
		t.Errorf("the container of a process that lives: %v", err)
	}
	made, err := engine.ContainerInspect(ctx, lab.GetContainerID())
	if err != nil || made.Config.Labels["suite"] != "e2e" {
		t.Errorf("testcontainers' own option: %v, %v", made.Config.Labels, err)
	}

	// Every broker at the address that it announces, and everything else: no check of
	// smoke's is any the wiser.
	report, err := smoke.Run(ctx, smoke.Options{Endpoints: lab.Endpoints, Credentials: lab.Credentials})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		t.Logf("%-7s %s %s", r.Status, r.Sentence, r.Reason)
		if r.Status == smoke.Failed {
			t.Errorf("%s: %s", r.Check, r.Reason)
		}
	}
	if n := report.Count(smoke.Passed); n < 12 {
		t.Errorf("%d checks passed", n)
	}
	consumer, err := lab.Kafka("antares", kgo.ConsumeTopics(lab.Endpoints.Simulator.Topic), kgo.ConsumerGroup("antares-e2e"))
	if err != nil {
		t.Fatal(err)
	}
	if fetches := consumer.PollFetches(ctx); fetches.Err() != nil || fetches.Empty() {
		t.Errorf("no alert: %v", fetches.Err())
	}

	// A second one beside it takes other ports; one that cannot come up says why.
	_, err = labtest.RunContainer(ctx, img, testcontainers.WithCmdArgs("--stack", "nope"))
	if err == nil || !strings.Contains(err.Error(), "ended with exit code 2 before it was up") || !strings.Contains(err.Error(), "nope") {
		t.Errorf("a lab that cannot be: %v", err)
	}

	bootstrap := lab.Endpoints.Kafka.Bootstrap
	if err := testcontainers.TerminateContainer(lab); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", bootstrap); err == nil {
		c.Close()
		t.Errorf("%s answers after its container is gone", bootstrap)
	}
	if err := consumer.Ping(ctx); err == nil {
		t.Error("a client outlives its lab")
	}
}
