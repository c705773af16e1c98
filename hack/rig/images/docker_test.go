package images

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/alertlab/alertlab/lab/fault"
)

// engine is a Docker engine as far as images are loaded into it.
type engine struct {
	t       *testing.T
	tags    map[string][]string // by image ID
	removed []string
	answer  string // what it says to an archive
	busy    bool
}

func (e *engine) id(name string) string {
	for id, tags := range e.tags {
		if id == name || slices.Contains(tags, name) {
			return id
		}
	}
	return ""
}

func (e *engine) ImageInspect(_ context.Context, name string, _ ...client.ImageInspectOption) (image.InspectResponse, error) {
	id := e.id(name)
	if id == "" {
		return image.InspectResponse{}, errdefs.ErrNotFound
	}
	return image.InspectResponse{ID: id, RepoTags: e.tags[id]}, nil
}

func (e *engine) ImageLoad(_ context.Context, r io.Reader, _ ...client.ImageLoadOption) (image.LoadResponse, error) {
	file := filepath.Join(e.t.TempDir(), "archive.tar")
	f, err := os.Create(file)
	if err != nil {
		return image.LoadResponse{}, err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return image.LoadResponse{}, err
	}
	if !strings.Contains(e.answer, "error") {
		manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(file) })
		if err != nil {
			return image.LoadResponse{}, err
		}
		for _, m := range manifest {
			for _, tag := range m.RepoTags {
				e.tag("sha256:"+strings.TrimSuffix(m.Config, ".json"), strings.TrimPrefix(tag, "docker.io/library/"))
			}
		}
	}
	return image.LoadResponse{Body: io.NopCloser(strings.NewReader(e.answer)), JSON: true}, nil
}

func (e *engine) tag(id, name string) {
	if old := e.id(name); old != "" && old != id {
		e.tags[old] = slices.DeleteFunc(e.tags[old], func(t string) bool { return t == name })
	}
	if !slices.Contains(e.tags[id], name) {
		e.tags[id] = append(e.tags[id], name)
	}
}

func (e *engine) ImageTag(_ context.Context, source, target string) error {
	e.tag(source, target)
	return nil
}

func (e *engine) ImageRemove(_ context.Context, name string, _ image.RemoveOptions) ([]image.DeleteResponse, error) {
	if e.busy {
		return nil, errdefs.ErrConflict
	}
	e.removed = append(e.removed, name)
	delete(e.tags, name)
	return nil, nil
}

func TestLoadInto(t *testing.T) {
	text := strings.Replace(recipes, "rig.local/rooted:${root}", "docker.io/library/rooted:${root}", 1)
	made, _ := built(t, Options{Recipes: parse(t, text), Parts: fakeParts(t), Cache: t.TempDir()})
	both := []string{"rig.local/node:v1.2.3", "docker.io/library/rooted:trixie"}
	node := made.Node.ID.String()
	const done = `{"stream":"Loaded image"}`
	for _, c := range []struct {
		name   string
		engine engine
		want   []string
		gone   []string
	}{
		{"an empty engine", engine{tags: map[string][]string{}}, both, nil},
		{"an older image", engine{tags: map[string][]string{"sha256:old": {"rig.local/node:v1.2.3"}}}, both, []string{"sha256:old"}},
		{"an older image with another name", engine{tags: map[string][]string{"sha256:old": {"rig.local/node:v1.2.3", "mine:1"}}}, both, nil},
		{"an older image in use", engine{tags: map[string][]string{"sha256:old": {"rig.local/node:v1.2.3"}}, busy: true}, both, nil},
		{"the image under another name", engine{tags: map[string][]string{node: {"x:1"}}}, both, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &c.engine
			e.t, e.answer = t, done
			for run, want := range [][]string{c.want, nil} {
				loaded, err := LoadInto(t.Context(), e, made)
				if err != nil || !slices.Equal(loaded, want) {
					t.Fatalf("run %d loaded %v (%v), want %v", run, loaded, err, want)
				}
			}
			if e.id("rig.local/node:v1.2.3") != node || !slices.Equal(e.removed, c.gone) {
				t.Errorf("the engine has %v, removed %v", e.tags, e.removed)
			}
		})
	}
	t.Run("an error in the stream", func(t *testing.T) {
		e := &engine{t: t, tags: map[string][]string{}, answer: `{"stream":"x"}{"error":"no space left on device"}`}
		_, err := LoadInto(t.Context(), e, made)
		if text := fault.Text(err); !strings.Contains(text, "no space left on device") || !strings.Contains(text, "next: ") {
			t.Errorf("got %q", text)
		}
	})
	t.Run("a damaged archive", func(t *testing.T) {
		// The node's archive last: nothing behind it is looked at.
		for _, file := range []string{imageOf(t, made, "rooted").layers[1].file, made.Node.File} {
			flip(t, file)
			e := &engine{t: t, tags: map[string][]string{}, answer: done}
			_, err := LoadInto(t.Context(), e, made)
			var damage *CorruptError
			if !errors.As(err, &damage) || damage.File != file {
				t.Errorf("got %v", err)
			}
			if slices.ContainsFunc(slices.Collect(maps.Values(e.tags)), func(tags []string) bool { return slices.Contains(tags, "rooted:trixie") }) {
				t.Error("the engine was sent a damaged layer")
			}
		}
	})
}
