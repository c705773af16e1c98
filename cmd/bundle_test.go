package cmd_test

import (
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// mirror serves a registry that stands for the internet, as long as the script runs, and
// puts its address into a variable: mirror NAME PROFILE [-IMAGE | +IMAGE]... It has what
// labs of the profile on k3d need, of a few kilobytes each, without the images with a
// minus. With the profile "" it has nothing; with "private" as the first image it wants
// the login robot, secret.
func mirror(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mirror NAME PROFILE [private] [-IMAGE | +IMAGE]...")
	}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	private := slices.Contains(args, "private")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); private && (!ok || user != "robot" || password != "secret") {
			w.Header().Set("WWW-Authenticate", `Basic realm="site"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	ts.Setenv(args[0], host)
	var images []string
	if args[1] != "" {
		p, err := profiles.Load(args[1])
		ts.Check(err)
		// What the script sets is not in this process's environment.
		desc := state.Description{Name: "default", Provider: catalog.K3d, Stack: p.Stack, Profile: p.Name, Resolved: string(p.Source()),
			Cluster: state.Cluster{NodeImage: ts.Getenv("ALERTLAB_NODE_IMAGE"), Image: "alertlab.dev/alertlab:any"}}
		n, err := catalog.NeededBy(desc)
		ts.Check(err)
		images = catalog.References(n.Images)
	}
	for _, change := range args[2:] {
		image := change[1:]
		switch change[0] {
		case '-':
			if !slices.Contains(images, image) {
				ts.Fatalf("%s is not needed, which is %v", image, images)
			}
			images = slices.DeleteFunc(images, func(other string) bool { return other == image })
		case '+':
			images = append(images, image)
		}
	}
	for i, ref := range images {
		img, err := random.Image(4096, 2, random.WithSource(rand.NewSource(int64(i))))
		ts.Check(err)
		file, err := img.ConfigFile()
		ts.Check(err)
		file = file.DeepCopy()
		file.OS, file.Architecture, file.Created = "linux", "amd64", v1.Time{}
		img, err = mutate.ConfigFile(img, file)
		ts.Check(err)
		target, err := bundle.Registry{Host: host}.Image(ref)
		ts.Check(err)
		at, err := name.ParseReference(target)
		ts.Check(err)
		ts.Check(remote.Write(at, img))
	}
}

// digestAt writes the digest of an image in a registry to standard output: digestat
// REFERENCE.
func digestAt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: digestat REFERENCE")
	}
	at, err := name.ParseReference(args[0])
	ts.Check(err)
	d, err := remote.Head(at)
	ts.Check(err)
	_, err = fmt.Fprintln(ts.Stdout(), d.Digest)
	ts.Check(err)
}

// flip changes the byte of a file at an offset from its end: flip FILE OFFSET.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	var offset int
	_, err := fmt.Sscan(args[1], &offset)
	ts.Check(err)
	path := ts.MkAbs(args[0])
	content, err := os.ReadFile(path)
	ts.Check(err)
	content[len(content)-offset] ^= 1
	ts.Check(os.WriteFile(path, content, 0o644))
}
