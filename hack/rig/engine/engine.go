package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/docker/docker/client"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
)

// Options say where the rig keeps its things and how it speaks.
type Options struct {
	// Cache is the rig's cache folder; the own engine lives in Cache/engine.
	Cache string
	// Getenv reads the environment; nil: os.Getenv.
	Getenv func(string) string
	// Say is told every thing that is done to the machine, a line each; nil: nobody.
	Say func(line string)
	// Program gives the path of the static program hack/rig/programs/runc for
	// this machine. It is asked only when it is needed: for the check of
	// privileges, and where CAP_SYS_RESOURCE is missing.
	Program func(ctx context.Context) (string, error)
}

func (o Options) getenv(name string) string {
	if o.Getenv == nil {
		return os.Getenv(name)
	}
	return o.Getenv(name)
}

func (o Options) say(format string, a ...any) {
	if o.Say != nil {
		o.Say(fmt.Sprintf(format, a...))
	}
}

// Engine is a Docker engine that answers.
type Engine struct {
	Host    string // its address, as DOCKER_HOST has it
	Origin  string // why this one, e.g. "DOCKER_HOST" or "the rig's own engine"
	Own     bool   // it is the rig's own
	Version string // of the engine, e.g. "20.10.24+dfsg1"
	API     string // version of the API that both sides speak, e.g. "1.41"

	client *client.Client
}

// Client is the connection to the engine; Close ends it.
func (e *Engine) Client() *client.Client { return e.client }

// Close ends the connection. The engine goes on.
func (e *Engine) Close() error { return e.client.Close() }

// Environ is what a program needs in its environment to use this engine.
func (e *Engine) Environ() []string { return []string{"DOCKER_HOST=" + e.Host} }

// String says which engine it is, for a user.
func (e *Engine) String() string {
	return fmt.Sprintf("Docker %s at %s (%s)", e.Version, e.Host, e.Origin)
}

// pingPatience bounds how long an engine may take to say that it is there.
const pingPatience = 5 * time.Second

// connect speaks to the engine at host. The error is that of the connection.
func connect(ctx context.Context, host, origin string) (*Engine, error) {
	opts := []client.Opt{client.WithAPIVersionNegotiation()}
	if origin == fromEnvironment {
		// DOCKER_CERT_PATH and its kin; the address is the caller's in any case.
		opts = append(opts, client.WithTLSClientConfigFromEnv(), client.WithVersionFromEnv())
	}
	opts = append(opts, client.WithHost(host))
	c, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	v, err := c.ServerVersion(ctx)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &Engine{Host: host, Origin: origin, Version: v.Version, API: c.ClientVersion(), client: c}, nil
}

// Ensure finds an engine, or starts the rig's own where none answers, and checks
// that it can run nodes.
func Ensure(ctx context.Context, o Options) (*Engine, error) {
	e, err := Find(ctx, o)
	if errors.Is(err, ErrNone) {
		e, err = Start(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	if err := e.CheckPrivileged(ctx, o); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// home is the folder of the own engine and the names that are made of it.
type home struct{ dir string }

func (o Options) home() (home, error) {
	if o.Cache == "" {
		return home{}, errors.New("engine: no cache folder is given")
	}
	dir, err := filepath.Abs(filepath.Join(o.Cache, "engine"))
	if err != nil {
		return home{}, err
	}
	// The longest address below it, of the containerd that dockerd speaks to; the
	// kernel takes 107 bytes (unix(7)).
	if n := len(home{dir}.containerd() + ".ttrpc"); n > 107 {
		return home{}, fault.New(fault.BadInput, "the rig's engine cannot live in "+dir,
			fmt.Sprintf("the paths of its sockets would have %d bytes, the kernel takes 107", n),
			"set ALERTLAB_RIG_CACHE to a folder with a shorter path")
	}
	return home{dir}, nil
}

func (h home) file(name string) string { return filepath.Join(h.dir, name) }
func (h home) socket() string          { return h.file("docker.sock") }
func (h home) host() string            { return "unix://" + h.socket() }
func (h home) data() string            { return h.file("data") }
func (h home) exec() string            { return h.file("exec") }
func (h home) log() string             { return h.file("docker.log") }
func (h home) settings() string        { return h.file("daemon.json") }
func (h home) containerdSettings() string {
	return h.file("containerd.toml")
}
func (h home) containerd() string { return h.file("exec/containerd.sock") }

// tag tells the engines of several cache folders apart: 8 hexadecimal digits.
func (h home) tag() string {
	sum := sha256.Sum256([]byte(h.dir))
	return fmt.Sprintf("%x", sum[:4])
}

// cgroup is the name of the cgroup that all containers are in.
func (h home) cgroup() string { return "alertlab-rig-" + h.tag() }

// bridge is the interface of the default network; the kernel takes 15 characters.
func (h home) bridge() string { return "rig-" + h.tag() }

// chain is the name of the own firewall chain; iptables takes 28 characters.
func (h home) chain() string { return "ALERTLAB-RIG-" + h.tag() }

// lock takes the engine's lock, and waits for another rig that has it: Start and
// Stop are one at a time.
func (h home) lock(ctx context.Context, o Options) (*state.Lock, error) {
	path := h.file("lock")
	for said := false; ; said = true {
		if err := os.MkdirAll(h.dir, 0o700); err != nil {
			return nil, err
		}
		lock, err := state.TryLock(path)
		if err == nil {
			// Only for people: who to ask, when it takes long.
			return lock, os.WriteFile(path, fmt.Appendf(nil, "process %d\n", os.Getpid()), 0o600)
		}
		if errors.Is(err, os.ErrNotExist) {
			continue // another rig removed the folder in between
		}
		if !errors.Is(err, state.ErrLocked) {
			return nil, err
		}
		if !said {
			who, _ := os.ReadFile(path)
			o.say("another rig (%s) starts or stops the engine in %s; waiting for it", trimmed(who, "just begun"), h.dir)
		}
		free, err := state.Watch(path)
		if err != nil {
			return nil, err
		}
		if err := free(ctx); err != nil {
			return nil, err
		}
	}
}
