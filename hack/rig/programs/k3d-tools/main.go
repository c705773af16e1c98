// k3d-tools is the program of k3d's tools node. It knows what k3d v5 runs
// there:
//
//	k3d-tools noop                          wait until stopped
//	k3d-tools save-image -d FILE IMAGE...   write images of the engine to an archive
//	rm -f FILE...                           the same program under another name: remove archives
//
// It talks to the engine by the socket that k3d mounts into the node.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// dockerSocket is where the engine's socket is unless k3d was told otherwise.
const dockerSocket = "/var/run/docker.sock"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args, socketPath()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// socketPath finds the engine's socket. k3d mounts it at the place where the
// host has it ($DOCKER_SOCK of k3d's own environment) and says no more of it.
func socketPath() string {
	if _, err := os.Stat(dockerSocket); err == nil {
		return dockerSocket
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return dockerSocket
	}
	for _, path := range mountPoints(string(mounts)) {
		if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
			return path
		}
	}
	return dockerSocket
}

// mountPoints reads the fifth field of each line of /proc/self/mountinfo
// (proc_pid_mountinfo(5)), in which blanks are written as \040.
func mountPoints(text string) []string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if f := strings.Fields(line); len(f) > 4 {
			out = append(out, strings.ReplaceAll(f[4], `\040`, " "))
		}
	}
	return out
}

func run(ctx context.Context, argv []string, socket string) error {
	name, args := filepath.Base(argv[0]), argv[1:]
	switch {
	case name == "rm":
		return remove(args)
	case len(args) == 1 && args[0] == "noop":
		<-ctx.Done()
		return nil
	case len(args) > 0 && args[0] == "save-image":
		file, images, err := parseSave(args[1:])
		if err != nil {
			return err
		}
		return save(ctx, socket, file, images)
	}
	return fmt.Errorf("%q are not words that k3d says to its tools: use noop, or save-image -d FILE with the images", args)
}

// parseSave reads the words after save-image.
func parseSave(args []string) (file string, images []string, err error) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case (a == "-d" || a == "--dest") && i+1 < len(args):
			i++
			file = args[i]
		case strings.HasPrefix(a, "--dest="):
			file = strings.TrimPrefix(a, "--dest=")
		case strings.HasPrefix(a, "-"):
			return "", nil, fmt.Errorf("save-image: unknown or unfinished option %q", a)
		default:
			images = append(images, a)
		}
	}
	if file == "" || len(images) == 0 {
		return "", nil, errors.New("save-image: name an archive with -d FILE, and at least one image")
	}
	return file, images, nil
}

// save writes an archive of the images, by GET /images/get of the Docker
// Engine API. A file that is not complete is removed.
func save(ctx context.Context, socket, file string, images []string) (err error) {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/images/get?"+url.Values{"names": images}.Encode(), nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the engine does not answer at %s: %w", socket, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
		return fmt.Errorf("the engine does not give the images %s: %s: %s", strings.Join(images, ", "), answer.Status, strings.TrimSpace(string(why)))
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if e := out.Close(); err == nil {
			err = e
		}
		if err != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}()
	_, err = io.Copy(out, answer.Body)
	return err
}

// remove is rm -f: files that are not there are no error. k3d joins several
// names by blanks in one argument.
func remove(args []string) error {
	var errs []error
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			continue
		}
		for _, f := range strings.Fields(a) {
			if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
