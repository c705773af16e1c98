package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/lab/fault"
)

// Engine is what this package needs of a Docker engine; *client.Client has it.
type Engine interface {
	ImageInspect(ctx context.Context, image string, options ...client.ImageInspectOption) (image.InspectResponse, error)
	ImageLoad(ctx context.Context, archive io.Reader, options ...client.ImageLoadOption) (image.LoadResponse, error)
	ImageTag(ctx context.Context, source, target string) error
	ImageRemove(ctx context.Context, image string, options image.RemoveOptions) ([]image.DeleteResponse, error)
}

// LoadInto brings into an engine what it lacks of the node image and of the
// images that run beside the nodes, and gives the references of what it brought. An
// image that had a name before is removed, unless a container uses it.
//
// Layers are verified before they are sent: what an engine says of a damaged one
// names neither the file nor the reason. Errors are faults, but for a
// *CorruptError, for which only the caller knows what to type.
func LoadInto(ctx context.Context, engine Engine, made Result) (loaded []string, err error) {
	one := func(reference string, id v1.Hash, open func() (io.ReadCloser, error)) error {
		sent, err := load(ctx, engine, reference, id, open)
		if sent {
			loaded = append(loaded, reference)
		}
		return err
	}
	if n := made.Node; n.File != "" {
		open := func() (io.ReadCloser, error) {
			img, err := readArchive(n.File)
			if err != nil {
				return nil, err
			}
			if err := verify(ctx, img.layers); err != nil {
				return nil, err
			}
			return os.Open(n.File)
		}
		if err := one(n.Reference, n.ID, open); err != nil {
			return loaded, err
		}
	}
	s, err := openStore(made.Layout)
	if err != nil {
		return loaded, fault.Wrap(fault.StepFailed, "the images cannot be read", err, "go run ./hack/rig images")
	}
	for _, i := range made.Images {
		if !i.Engine {
			continue
		}
		_, img, ok := s.find(i.Reference)
		if !ok {
			return loaded, fault.New(fault.StepFailed, "the image "+i.Reference+" is not there", "it is not in "+filepath.Join(made.Layout, "index.json"), "go run ./hack/rig images")
		}
		open := func() (io.ReadCloser, error) {
			if err := verify(ctx, img.layers); err != nil {
				return nil, err
			}
			a := archive{images: []tagged{{i.Reference, img}}}
			return a.open()
		}
		if err := one(i.Reference, img.manifest.Config.Digest, open); err != nil {
			return loaded, err
		}
	}
	return loaded, nil
}

func verify(ctx context.Context, layers []*layer) error {
	for _, l := range layers {
		if err := l.verify(ctx); err != nil {
			return err
		}
	}
	return nil
}

func load(ctx context.Context, engine Engine, reference string, id v1.Hash, open func() (io.ReadCloser, error)) (bool, error) {
	sent, err := loadMissing(ctx, engine, reference, id, open)
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		return sent, err
	}
	return sent, fault.Wrap(fault.StepFailed, "the image "+reference+" cannot be loaded into the Docker engine", err, "go run ./hack/rig doctor")
}

func loadMissing(ctx context.Context, engine Engine, reference string, id v1.Hash, open func() (io.ReadCloser, error)) (bool, error) {
	there, err := inspect(ctx, engine, id.String())
	if err != nil {
		return false, err
	}
	// An engine writes the names of Docker Hub without the registry.
	if slices.ContainsFunc(there.RepoTags, func(tag string) bool { full, err := bundle.Normalize(tag); return err == nil && full == reference }) {
		return false, nil
	}
	old, err := inspect(ctx, engine, reference)
	if err != nil {
		return false, err
	}
	if there.ID != "" {
		err = engine.ImageTag(ctx, id.String(), reference)
	} else {
		err = send(ctx, engine, open)
	}
	if err != nil {
		return false, err
	}
	if there, err = inspect(ctx, engine, id.String()); err != nil || there.ID == "" {
		return true, errors.Join(err, fmt.Errorf("the engine took it as another image than %s", id))
	}
	if old.ID != "" && len(old.RepoTags) == 1 {
		// One that is in use stays until its containers are gone.
		if _, err := engine.ImageRemove(ctx, old.ID, image.RemoveOptions{PruneChildren: true}); err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) {
			return true, err
		}
	}
	return true, nil
}

// inspect gives an image of the engine; the zero value when there is none.
func inspect(ctx context.Context, engine Engine, name string) (image.InspectResponse, error) {
	found, err := engine.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		return image.InspectResponse{}, nil
	}
	return found, err
}

func send(ctx context.Context, engine Engine, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	response, err := engine.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if !response.JSON {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	// The engine answers 200 before it has read anything: errors are in the
	// stream.
	for decoder := json.NewDecoder(response.Body); ; {
		var message struct {
			Error string `json:"error"`
		}
		switch err := decoder.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case message.Error != "":
			return errors.New(strings.TrimSpace(message.Error))
		}
	}
}
