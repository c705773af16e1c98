// Package objectstore is the embedded twin of the lab's S3 server: versitygw over
// a folder, in a child process, because it changes the working directory of the
// process that it runs in.
package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

// Subcommand is the hidden verb under which this binary is the server.
const Subcommand = "object-store"

// Region is what S3 clients name; the reference services use it with every
// endpoint.
const Region = "us-east-1"

type input struct {
	Address string `json:"address"` // host:port
	Region  string `json:"region"`
}

// Want describes the object store; every profile has the same.
func Want(*profiles.Profile) plan.Want {
	return plan.Want{
		Title:   "S3 object store, versitygw in a child process",
		Input:   plan.Input(input{Address: "${addresses.object-store}", Region: Region}),
		Outputs: []string{"url", "region"}, Runs: true, Stores: "the archived alerts and schemas",
	}
}

// New makes the part.
func New(host *embedded.Host) plan.Part {
	store := host.Dir.Data("object-store")
	return &embedded.Twin[input]{Name: "the object store", Store: store,
		Start: func(ctx context.Context, in input, _ plan.Order) (embedded.Process, map[string]string, error) {
			keys, err := host.Secrets.ObjectStore()
			if err != nil {
				return nil, nil, err
			}
			log := host.Log("object-store")
			cfg := objectstore.Config{Executable: host.Executable, Args: []string{Subcommand}, Root: store, Address: in.Address,
				AccessKey: keys.AccessKey, SecretKey: keys.SecretKey, Region: in.Region, Log: lines{log}}
			child, err := objectstore.StartChild(ctx, cfg)
			if err != nil {
				return nil, nil, err
			}
			p := &process{endpoint: child.Endpoint(), ended: make(chan error, 1), over: make(chan struct{}), log: log}
			life, cancel := context.WithCancel(context.WithoutCancel(ctx))
			p.cancel = cancel
			go p.keep(life, cfg, child)
			return p, map[string]string{"url": child.Endpoint(), "region": in.Region}, nil
		}}
}

// lines logs what the child prints.
type lines struct{ log *slog.Logger }

func (l lines) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		l.log.Info(strings.TrimRight(line, "\r\n"))
	}
	return len(b), nil
}

var _ io.Writer = lines{}

type process struct {
	endpoint string
	ended    chan error
	cancel   context.CancelFunc
	over     chan struct{} // closed when keep has returned; then stopErr is set
	stopErr  error
	log      *slog.Logger
}

// keep starts the child again when it dies, as Kubernetes would its pod, and
// gives up when it dies at once each time.
func (p *process) keep(ctx context.Context, cfg objectstore.Config, child *objectstore.Child) {
	defer close(p.over)
	const attempts = 5
	for failures := 0; ; {
		began := time.Now()
		select {
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			p.stopErr = child.Stop(stop)
			return
		case err := <-child.Done():
			if time.Since(began) > time.Minute {
				failures = 0
			}
			for {
				failures++
				p.log.Error("the object store ended by itself", "error", err, "failures", failures)
				if failures >= attempts {
					p.ended <- fmt.Errorf("%d starts in a row failed: %w", attempts, err)
					return
				}
				var again *objectstore.Child
				if again, err = objectstore.StartChild(ctx, cfg); err == nil {
					child = again
					p.log.Info("the object store was started again", "pid", child.PID())
					break
				}
				if ctx.Err() != nil {
					return
				}
			}
		}
	}
}

// Probe implements embedded.Process: the child answers once it is started.
func (p *process) Probe(context.Context, string) (bool, string, error) { return true, "", nil }

// Facts implements embedded.Process.
func (p *process) Facts() []event.Fact { return []event.Fact{{Name: "endpoint", Value: p.endpoint}} }

// Ended implements embedded.Process.
func (p *process) Ended() <-chan error { return p.ended }

// Stop implements embedded.Process.
func (p *process) Stop(ctx context.Context) error {
	p.cancel()
	select {
	case <-p.over:
		return p.stopErr
	case <-ctx.Done():
		return errors.Join(errors.New("the object store's process did not end in time"), ctx.Err())
	}
}
