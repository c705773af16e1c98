package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// engine answers GET /images/get on a unix socket and returns its path.
func engine(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(answer)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return path
}

func TestSave(t *testing.T) {
	var asked []string
	sock := engine(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/images/get" {
			http.NotFound(w, r)
			return
		}
		asked = r.URL.Query()["names"]
		if slices.Contains(asked, "absent") {
			http.Error(w, `{"message":"no such image: absent"}`, http.StatusNotFound)
			return
		}
		if slices.Contains(asked, "cut") { // the connection ends in the middle
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "half")
			return
		}
		fmt.Fprint(w, "archive")
	})
	file := filepath.Join(t.TempDir(), "k3d-x-images.tar")
	argv := []string{"./k3d-tools", "save-image", "-d", file, "a:1", "registry.example/b:2"}
	if err := run(t.Context(), argv, sock); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); string(got) != "archive" || !slices.Equal(asked, argv[4:]) {
		t.Errorf("wrote %q for %q", got, asked)
	}
	if err := run(t.Context(), []string{"rm", "-f", file + " " + file + ".other"}, ""); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ image, says string }{
		{"absent", "no such image: absent"},
		{"cut", "unexpected EOF"},
	} {
		err := run(t.Context(), []string{"k3d-tools", "save-image", "-d", file, c.image}, sock)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.image, err)
		}
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("%s: a file is left: %v", c.image, err)
		}
	}
	err := run(t.Context(), argv, filepath.Join(t.TempDir(), "none"))
	if err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("no engine: %v", err)
	}
}

func TestParseSave(t *testing.T) {
	for _, c := range []struct {
		args   string
		file   string
		images string
		bad    bool
	}{
		{"-d /images/x.tar a b", "/images/x.tar", "a b", false},
		{"a --dest=/x b", "/x", "a b", false},
		{"a --dest /x", "/x", "a", false},
		{"-d /x", "", "", true},
		{"a b", "", "", true},
		{"a -d", "", "", true},
		{"-d /x --quiet a", "", "", true},
	} {
		file, images, err := parseSave(strings.Fields(c.args))
		if (err != nil) != c.bad || file != c.file || strings.Join(images, " ") != c.images {
			t.Errorf("%q: %q %q %v", c.args, file, images, err)
		}
	}
}

func TestWords(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"/k3d-tools", "noop"}, "") }()
	select {
	case err := <-done:
		t.Fatalf("noop ended: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), []string{"k3d-tools", "load"}, ""); err == nil {
		t.Error("an unknown word is taken")
	}
}

func TestMountPoints(t *testing.T) {
	text := "601 590 0:22 / / rw - overlay overlay rw\n" +
		"612 601 254:0 /a/docker.sock /srv/my\\040engine/docker.sock rw - ext4 /dev/vda rw\n"
	if got := mountPoints(text); !slices.Equal(got, []string{"/", "/srv/my engine/docker.sock"}) {
		t.Errorf("%q", got)
	}
}
