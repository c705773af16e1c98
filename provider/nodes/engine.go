package nodes

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	docker "github.com/docker/docker/client"
	k3druntime "github.com/k3d-io/k3d/v5/pkg/runtimes/docker"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/internal/node"
	"github.com/alertlab/alertlab/lab/fault"
)

// Connection is the engine of DOCKER_HOST or of Docker's context, which both makers use.
// The zero value connects at the first use.
type Connection struct {
	mu  sync.Mutex
	api docker.APIClient
}

// Client gives an engine that answers.
func (d *Connection) Client(ctx context.Context) (docker.APIClient, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.api == nil {
		api, err := k3druntime.GetDockerClient() // reads Docker's contexts as its program does
		if err != nil {
			return nil, silent("", err)
		}
		d.api = api
	}
	bound, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := d.api.Ping(bound); err != nil {
		return nil, silent(" at "+d.api.DaemonHost(), err)
	}
	return d.api, nil
}

// API gives the engine that Client connected to; nil before.
func (d *Connection) API() docker.APIClient {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.api
}

func silent(where string, err error) error {
	return fault.Wrap(fault.StepFailed, "the Docker engine"+where+" does not answer", err,
		"start it, or name another one: export DOCKER_HOST=unix:///PATH/docker.sock")
}

// Marks is what a maker writes on a container, each in a way of its own.
type Marks struct {
	Role    string // Server, Agent or a helper's
	Lab     string // "": the container is no lab's
	Network string // in which the container has its address
}

// Inspect lists the containers that a filter finds, also those that do not run. read
// reads the maker's marks.
func (d *Connection) Inspect(ctx context.Context, which filters.Args, read func(container.InspectResponse) Marks) ([]Container, error) {
	api, err := d.Client(ctx)
	if err != nil {
		return nil, err
	}
	list, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: which})
	if err != nil {
		return nil, err
	}
	var out []Container
	for _, one := range list {
		c, err := api.ContainerInspect(ctx, one.ID)
		if cerrdefs.IsNotFound(err) {
			continue // it went while we looked
		}
		if err != nil {
			return nil, err
		}
		marks := read(c)
		found := Container{ID: c.ID, Name: strings.TrimPrefix(c.Name, "/"), Role: marks.Role, Lab: marks.Lab, Running: c.State.Running}
		if found.Running {
			if found.Started, err = time.Parse(time.RFC3339Nano, c.State.StartedAt); err != nil {
				return nil, fmt.Errorf("container %s: start time: %w", found.Name, err)
			}
			if e := c.NetworkSettings.Networks[marks.Network]; e != nil {
				found.Address = e.IPAddress
			}
		}
		out = append(out, found)
	}
	return out, nil
}

// Start starts one container.
func (d *Connection) Start(ctx context.Context, id string) error {
	api, err := d.Client(ctx)
	if err != nil {
		return err
	}
	return api.ContainerStart(ctx, id, container.StartOptions{})
}

// Stop stops one container, and lets what runs in it end.
func (d *Connection) Stop(ctx context.Context, id string) error {
	api, err := d.Client(ctx)
	if err != nil {
		return err
	}
	// k3d's entrypoint drains its node first. Pods may take a minute to end; on two cores
	// all of a lab's took 14 s.
	grace := 70 // seconds
	return api.ContainerStop(ctx, id, container.StopOptions{Timeout: &grace})
}

// Running gives the nodes among containers that run, to bring images into.
func (d *Connection) Running(ctx context.Context, list []Container) ([]bundle.Node, error) {
	api, err := d.Client(ctx)
	if err != nil {
		return nil, err
	}
	var out []bundle.Node
	for _, c := range list {
		if c.Node() && c.Running {
			out = append(out, node.Node{Label: c.Name, Container: c.ID, Docker: api})
		}
	}
	return out, nil
}
