package runner

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
)

// ErrNotRunning says that no runner answers for the lab.
var ErrNotRunning = errors.New("no runner answers")

// Client speaks with the runner of one lab.
type Client struct {
	dir  state.Dir
	http *http.Client
}

// Dial finds the runner of a lab; ErrNotRunning when none answers. A runner that
// was just killed may still take a connection, so it has to answer a request.
func Dial(ctx context.Context, dir state.Dir) (*Client, error) {
	dialer := &net.Dialer{}
	c := &Client{dir: dir, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", dir.Socket())
		},
	}}}
	bound, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(bound, http.MethodGet, "http://runner/v1/ping", nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	resp.Body.Close()
	return c, nil
}

// Up has the runner bring the lab to what the description says; see Change.
func (c *Client) Up(ctx context.Context, desc state.Description, sink event.Sink) error {
	return c.Change(ctx, Change{Description: desc}, sink)
}

// Change has the runner bring the lab to what is asked for and follows the walk.
// When ctx ends, the walk is cancelled and followed to its end. The error is
// ErrChanged, and nothing was done, when the change was made of a description that
// is not the lab's any more.
func (c *Client) Change(ctx context.Context, change Change, sink event.Sink) error {
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	// The request itself is not bound to ctx: when ctx ends the walk is
	// cancelled in the runner, which ends the stream.
	lasting := context.WithoutCancel(ctx)
	resp, err := c.do(lasting, http.MethodPost, "/v1/up", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	stop := context.AfterFunc(ctx, func() {
		if resp, err := c.do(lasting, http.MethodPost, "/v1/cancel", nil); err == nil {
			resp.Body.Close()
		}
	})
	defer stop()
	return c.read(resp.Body, sink)
}

// Down has the runner stop the lab, and delete it when purge is set, and follows
// the walk. The runner ends after it, and is gone when Down returns. A Down that
// began is not cancelled.
func (c *Client) Down(ctx context.Context, purge bool, sink event.Sink) error {
	ctx = context.WithoutCancel(ctx)
	gone, err := state.Watch(c.dir.LockPath())
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodPost, fmt.Sprintf("/v1/down?purge=%t", purge), nil)
	if err != nil { // refused: the runner stays
		return err
	}
	defer resp.Body.Close()
	err = c.read(resp.Body, sink)
	bound, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if late := gone(bound); late != nil && err == nil {
		err = fmt.Errorf("the lab is down, but its runner did not end: %w", late)
	}
	return err
}

// Attach follows the walk that goes on, or shows the last one. When ctx ends it
// returns and the walk goes on.
func (c *Client) Attach(ctx context.Context, sink event.Sink) error {
	resp, err := c.do(ctx, http.MethodGet, "/v1/events", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.read(resp.Body, sink)
}

// Snapshot asks what the runner sees of the lab that desc describes.
func (c *Client) Snapshot(ctx context.Context, desc state.Description) (plan.Snapshot, error) {
	body, err := json.Marshal(desc)
	if err != nil {
		return nil, err
	}
	var seen plan.Snapshot
	return seen, c.get(ctx, "/v1/snapshot", body, &seen)
}

// Status asks what the lab does.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var st Status
	return st, c.get(ctx, "/v1/status", nil, &st)
}

// Control gives an order to a running part of the lab, see Controllable, and returns
// what the part said to it.
func (c *Client) Control(ctx context.Context, part, verb string, args ...string) (string, error) {
	body, err := json.Marshal(order{part, verb, args})
	if err != nil {
		return "", err
	}
	resp, err := c.do(ctx, http.MethodPost, "/v1/control", body)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer said
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return answer.Said, err
}

func (c *Client) get(ctx context.Context, path string, body []byte, v any) error {
	resp, err := c.do(ctx, http.MethodGet, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(v)
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://runner"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.gone(err)
	}
	if resp.StatusCode == http.StatusPreconditionFailed {
		resp.Body.Close()
		return nil, ErrChanged
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		var p event.Problem
		if json.Unmarshal(text, &p) == nil && p.What != "" {
			return nil, problem(&p)
		}
		return nil, fmt.Errorf("the runner answered %s: %s", resp.Status, bytes.TrimSpace(text))
	}
	return resp, nil
}

// read hands on events up to event.Finished, whose problem is the result.
func (c *Client) read(r io.Reader, sink event.Sink) error {
	dec := json.NewDecoder(bufio.NewReader(r))
	for {
		var e event.Event
		if err := dec.Decode(&e); err != nil {
			return c.gone(err)
		}
		sink(e)
		if e.Kind == event.Finished {
			return problem(e.Problem)
		}
	}
}

// gone explains a stream or a connection that broke off.
func (c *Client) gone(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &fault.Fault{What: "the runner of lab " + c.dir.Lab() + " went away", Why: err.Error(),
		Next: fmt.Sprintf("alertlab up --lab %s   # heals; alertlab logs runner --lab %s says why", c.dir.Lab(), c.dir.Lab()), Code: fault.StepFailed, Err: err}
}

func problem(p *event.Problem) error {
	if p == nil {
		return nil
	}
	return &fault.Fault{What: p.What, Why: p.Why, Next: p.Next, Code: fault.Code(p.Code)}
}
