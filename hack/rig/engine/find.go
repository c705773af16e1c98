package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alertlab/alertlab/lab/fault"
)

// ErrNone says that no engine answers, so that one may be started.
var ErrNone = errors.New("no Docker engine answers")

const fromEnvironment = "DOCKER_HOST"

// candidate is an address where an engine may answer.
type candidate struct {
	host, origin string
	own          bool
	named        bool // somebody asked for this one: another must not be taken for it
}

// Find connects to the Docker that is there. What DOCKER_HOST or a context of
// Docker's client names is the only one asked; else the rig's own engine, which
// may hold clusters, comes before the one at Docker's usual place. The error is
// ErrNone when none answers and nobody named one.
func Find(ctx context.Context, o Options) (*Engine, error) {
	h, err := o.home()
	if err != nil {
		return nil, err
	}
	list, err := candidates(o.getenv, h)
	if err != nil {
		return nil, err
	}
	var refused error
	for _, c := range list {
		if err := local(c); err != nil {
			return nil, err
		}
		e, err := connect(ctx, c.host, c.origin)
		if err == nil {
			e.Own = c.own
			return e, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if c.named {
			return nil, &fault.Fault{Code: fault.StepFailed, What: fmt.Sprintf("no Docker answers at %s, which %s names", c.host, c.origin),
				Why: err.Error(), Next: "start that Docker, or name none (unset DOCKER_HOST DOCKER_CONTEXT; docker context use default) and the rig starts its own", Err: err}
		}
		if errors.Is(err, syscall.EACCES) {
			refused = err
		}
	}
	if refused != nil && os.Geteuid() != 0 {
		return nil, &fault.Fault{Code: fault.StepFailed, What: "the Docker of this machine does not let this user in", Why: refused.Error(),
			Next: "run the rig as root, or let the user in: sudo usermod -aG docker $USER, and log in again", Err: refused}
	}
	return nil, ErrNone
}

func candidates(getenv func(string) string, h home) ([]candidate, error) {
	if host := getenv("DOCKER_HOST"); host != "" {
		return []candidate{{host, fromEnvironment, host == h.host(), true}}, nil
	}
	name, host, err := dockerContext(getenv)
	if err != nil {
		return nil, err
	}
	if host != "" {
		return []candidate{{host, fmt.Sprintf("the context %q of Docker's client", name), host == h.host(), true}}, nil
	}
	list := []candidate{
		{host: h.host(), origin: "the rig's own engine", own: true},
		{host: "unix:///var/run/docker.sock", origin: "the Docker of this machine"},
	}
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		list = append(list, candidate{host: "unix://" + filepath.Join(dir, "docker.sock"), origin: "this user's Docker"})
	}
	return list, nil
}

// dockerContext reads which context Docker's client uses and where it leads, as
// the client keeps them: a folder for each context, named by the SHA-256 of the
// context's name. The context "default", and none, give no host.
func dockerContext(getenv func(string) string) (name, host string, err error) {
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		if getenv("HOME") == "" {
			return "", "", nil
		}
		dir = filepath.Join(getenv("HOME"), ".docker")
	}
	if name = getenv("DOCKER_CONTEXT"); name == "" {
		path := filepath.Join(dir, "config.json")
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", "", nil
		}
		var config struct {
			CurrentContext string `json:"currentContext"`
		}
		if err == nil {
			err = json.Unmarshal(b, &config)
		}
		if err != nil {
			return "", "", fault.Wrap(fault.BadInput, "the settings of Docker's client cannot be read: "+path, err, "mend or remove "+path)
		}
		name = config.CurrentContext
	}
	if name == "" || name == "default" {
		return name, "", nil
	}
	path := filepath.Join(dir, "contexts", "meta", fmt.Sprintf("%x", sha256.Sum256([]byte(name))), "meta.json")
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &meta)
	}
	if err == nil && meta.Endpoints["docker"].Host == "" {
		err = errors.New("it names no host")
	}
	if err != nil {
		return "", "", fault.Wrap(fault.BadInput, fmt.Sprintf("the context %q of Docker's client cannot be read", name), err,
			"docker context ls shows those that are there; docker context use default takes none")
	}
	return name, meta.Endpoints["docker"].Host, nil
}

// local refuses an engine of another machine: its nodes could not be reached
// from here by their own addresses.
func local(c candidate) error {
	u, err := url.Parse(c.host)
	if err != nil {
		return fault.New(fault.BadInput, fmt.Sprintf("%s is no address of a Docker engine (%s)", c.host, c.origin), err.Error(), "unset DOCKER_HOST, or correct it")
	}
	if u.Scheme == "unix" {
		return nil
	}
	if name := u.Hostname(); u.Scheme != "ssh" && (strings.EqualFold(name, "localhost") || net.ParseIP(name).IsLoopback()) {
		return nil
	}
	return fault.New(fault.BadInput, fmt.Sprintf("the Docker at %s (%s) is on another machine", c.host, c.origin),
		"the rig reaches its nodes by their own addresses, which exist only where the engine runs",
		"run the rig on that machine, or name a local engine: unset DOCKER_HOST DOCKER_CONTEXT")
}
