package k3d

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	cerrdefs "github.com/containerd/errdefs"
	docker "github.com/docker/docker/client"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	k3dtypes "github.com/k3d-io/k3d/v5/pkg/types"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/lab/fault"
)

// ToolsImage is the image of the container that k3d runs while it makes a cluster:
// K3D_IMAGE_TOOLS in the environment, or k3d's own.
func ToolsImage() string {
	if img := os.Getenv(k3dtypes.K3dEnvImageTools); img != "" { // of which k3d would write a line each time
		return img
	}
	return k3dtypes.GetToolsImage()
}

// provide brings images from the lab's bundle into the engine, where the engine lacks
// them and the bundle has them: the nodes themselves are containers of the engine, so
// that without internet nobody else could. What neither has is left to the engine to
// pull, which says what it cannot.
func (d *Docker) provide(ctx context.Context, api docker.APIClient, images ...string) error {
	if d.Bundle == "" {
		return nil
	}
	var b *bundle.Bundle
	for _, ref := range images {
		_, err := api.ImageInspect(ctx, ref)
		if err == nil {
			continue
		}
		if !cerrdefs.IsNotFound(err) {
			return err
		}
		if b == nil {
			if b, err = bundle.Open(d.Bundle); err != nil {
				return err
			}
			defer b.Close()
		}
		img, err := b.Image(ref)
		if errors.Is(err, bundle.ErrNotFound) {
			continue
		}
		if err == nil {
			err = load(ctx, api, ref, img)
		}
		if err != nil {
			return fault.Wrap(fault.StepFailed, "the engine did not take "+ref+" from the bundle", err, "alertlab bundle verify "+d.Bundle)
		}
		if d.Log != nil {
			d.Log.Info("loaded from the bundle", "image", ref)
		}
	}
	return nil
}

// load gives an image to an engine in the form that every version of Docker reads.
func load(ctx context.Context, api docker.APIClient, reference string, img v1.Image) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := tarball.Write(tag, img, w)
		w.CloseWithError(err)
		written <- err
	}()
	loaded, err := api.ImageLoad(ctx, r)
	if err == nil {
		_, err = io.Copy(io.Discard, loaded.Body)
		loaded.Body.Close()
	}
	r.CloseWithError(errors.New("the engine does not read on")) // so that the writer ends
	if broken := <-written; broken != nil && err == nil {
		err = broken
	}
	if err == nil {
		_, err = api.ImageInspect(ctx, reference)
	}
	if err != nil {
		return fmt.Errorf("loading: %w", err)
	}
	return nil
}
