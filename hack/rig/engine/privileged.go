package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"github.com/alertlab/alertlab/lab/fault"
)

const probeImage = "rig.local/privileged"

// CheckPrivileged runs one privileged container, of an image that holds a single
// program of our own, and removes both. A node mounts and sets its kernel's
// network; where a container may not, the fault says so.
func (e *Engine) CheckPrivileged(ctx context.Context, o Options) error {
	if o.Program == nil {
		return errors.New("engine: the check of privileges needs a program")
	}
	program, err := o.Program(ctx)
	if err != nil {
		return err
	}
	code, err := e.probe(ctx, program)
	why := ""
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		why = err.Error()
	case code == 0:
		return nil
	case code == 11:
		why = "a privileged container may not mount a file system"
	case code == 12:
		why = "a privileged container may not change its own network settings"
	default:
		why = fmt.Sprintf("the program in a privileged container ended with %d", code)
	}
	if info, err := e.client.Info(ctx); err == nil {
		for _, s := range info.SecurityOptions {
			for _, kind := range []string{"rootless", "userns"} {
				if strings.Contains(s, "name="+kind) {
					why += "; this engine runs " + map[string]string{"rootless": "without root (rootless)", "userns": "containers in a user namespace (userns-remap)"}[kind]
				}
			}
		}
	}
	next := "give the rig an engine that runs privileged containers: as root on Debian, with DOCKER_HOST and DOCKER_CONTEXT unset and that Docker stopped, it starts its own (go run ./hack/rig engine)"
	if e.Own {
		next = "see the engine's log, docker.log in the engine's folder of the cache; go run ./hack/rig doctor shows what the machine lacks"
	}
	return &fault.Fault{Code: fault.StepFailed, What: e.String() + " runs no privileged containers, so it cannot run Kubernetes nodes", Why: why, Next: next, Err: err}
}

// probe gives the exit code of the program in its container.
func (e *Engine) probe(ctx context.Context, program string) (code int64, err error) {
	bin, err := os.ReadFile(program)
	if err != nil {
		return 0, err
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	if err := errors.Join(
		w.WriteHeader(&tar.Header{Name: "runc", Mode: 0o755, Size: int64(len(bin)), Typeflag: tar.TypeReg}),
		second(w.Write(bin)), w.Close()); err != nil {
		return 0, err
	}
	// Two rigs at once have an image each.
	ref := fmt.Sprintf("%s:%d-%d", probeImage, os.Getpid(), time.Now().UnixNano())
	answer, err := e.client.ImageImport(ctx, image.ImportSource{Source: &root, SourceName: "-"}, ref, image.ImportOptions{})
	if err != nil {
		return 0, fmt.Errorf("importing an image: %w", err)
	}
	_, err = io.Copy(io.Discard, answer)
	answer.Close()
	if err != nil {
		return 0, fmt.Errorf("importing an image: %w", err)
	}
	// What was made is removed also when the caller gives up meanwhile.
	patience := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	}
	defer func() {
		clean, cancel := patience()
		defer cancel()
		_, rmErr := e.client.ImageRemove(clean, ref, image.RemoveOptions{Force: true})
		err = errors.Join(err, rmErr)
	}()
	made, err := e.client.ContainerCreate(ctx,
		&container.Config{Image: ref, Entrypoint: []string{"/runc", "rig-privileged"}},
		&container.HostConfig{Privileged: true, NetworkMode: "none"}, nil, nil, "")
	if err != nil {
		return 0, fmt.Errorf("creating a privileged container: %w", err)
	}
	defer func() {
		clean, cancel := patience()
		defer cancel()
		err = errors.Join(err, e.client.ContainerRemove(clean, made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}))
	}()
	done, failed := e.client.ContainerWait(ctx, made.ID, container.WaitConditionNextExit)
	if err := e.client.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		return 0, fmt.Errorf("starting a privileged container: %w", err)
	}
	select {
	case r := <-done:
		return r.StatusCode, nil
	case err := <-failed:
		return 0, fmt.Errorf("waiting for a privileged container: %w", err)
	}
}

func second[T any](_ T, err error) error { return err }

func trimmed(b []byte, otherwise string) string {
	if s := strings.TrimSpace(string(b)); s != "" {
		return s
	}
	return otherwise
}
