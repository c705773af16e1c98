package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alertlab/alertlab/alerts/registry/election"
)

const (
	// leaderWait is how long a write waits for a leader to be known.
	leaderWait = 5 * time.Second
	// reignAgain is the shortest time between two reigns of one registry, so that
	// two that take each other's reign away, which takes two groups over one
	// topic, do not fill the topic with it.
	reignAgain = time.Second
	// forwardHeader marks a request that a registry passed on, which is not
	// passed on again (Confluent's RestService).
	forwardHeader = "X-Forward"
)

// leadership is a registry's part in the group that decides who writes. Without a
// group it is nobody's to decide, and the registry writes.
type leadership struct {
	member *election.Member
	// writer tells this registry's records from those of any other, for ever.
	writer string
	// wake makes tend look again.
	wake chan struct{}
	end  context.CancelFunc
	over sync.WaitGroup

	standing struct {
		sync.Mutex
		leader election.Leader
		// mine is the last reign that this registry began, and began when.
		mine  reign
		began time.Time
		// changed is closed, and made anew, with every change.
		changed chan struct{}
	}
}

// prepare refuses an address that nobody could forward to.
func (l *leadership) prepare(r *Registry) error {
	l.wake, l.standing.changed, l.end = make(chan struct{}, 1), make(chan struct{}), func() {}
	if r.cfg.Advertise == "" {
		return nil
	}
	identity, err := election.Parse(r.cfg.Advertise)
	if err != nil {
		return fmt.Errorf("the address told to other registries: %w", err)
	}
	l.writer = rand.Text()
	l.member = election.New(election.Config{
		Client: r.client, Group: r.cfg.Group, Identity: identity, Session: r.cfg.Session, Log: r.cfg.Log,
		Changed: func(leader election.Leader) {
			r.cfg.Log.Info("schema registry's leader", "url", leader.URL, "self", leader.Self)
			l.set(func() { l.standing.leader = leader })
			l.look()
		},
	})
	return nil
}

// start joins the group.
func (l *leadership) start(r *Registry) {
	if l.member == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.end = cancel
	l.over.Go(func() { l.member.Run(ctx) })
	l.over.Go(func() { r.tend(ctx) })
}

// stop leaves the group.
func (l *leadership) stop() {
	l.end()
	l.over.Wait()
}

// set changes the state and tells those who wait for that.
func (l *leadership) set(change func()) {
	l.standing.Lock()
	defer l.standing.Unlock()
	change()
	close(l.standing.changed)
	l.standing.changed = make(chan struct{})
}

// look makes tend look again.
func (l *leadership) look() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// reigning gives the reign in which this registry may write now; ok is false if
// there is none.
func (r *Registry) reigning() (in reign, ok bool) {
	if r.member == nil {
		return reign{}, true
	}
	r.standing.Lock()
	leader, mine := r.standing.leader, r.standing.mine
	r.standing.Unlock()
	r.mu.RLock()
	defer r.mu.RUnlock()
	return mine, leader.Self && mine != (reign{}) && mine == r.fence.current
}

// tend begins a reign when this registry is elected, and mends what late records
// would do to the topic once it is compacted.
func (r *Registry) tend(ctx context.Context) {
	retry := time.NewTimer(readRetry)
	defer retry.Stop()
	retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-retry.C:
		}
		if err := r.rule(); err != nil && ctx.Err() == nil {
			r.cfg.Log.Warn("schema registry cannot take over", "error", err)
			retry.Reset(readRetry)
		}
	}
}

// rule does what a leader owes the topic.
func (r *Registry) rule() error {
	r.standing.Lock()
	leader := r.standing.leader
	r.standing.Unlock()
	if !leader.Self {
		return nil
	}
	_, reigns := r.reigning()
	r.mu.RLock()
	spoilt := len(r.fence.spoilt)
	r.mu.RUnlock()
	if reigns && spoilt == 0 {
		return nil
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	ctx, cancel := context.WithTimeout(r.ctx, writeTimeout)
	defer cancel()
	in, reigns := r.reigning()
	if !reigns {
		// Who was frozen and does not know yet what went on must not take the
		// reign from who leads.
		if !r.member.Counted() {
			return nil
		}
		r.standing.Lock()
		since := time.Since(r.standing.began)
		r.standing.Unlock()
		if since < reignAgain {
			return errors.New("another registry has just taken over; do all of them use the same group?")
		}
		r.mu.RLock()
		in = r.fence.following(time.Now(), r.writer)
		r.mu.RUnlock()
		if err := r.append(ctx, in, noop); err != nil {
			return err
		}
		r.leadership.set(func() { r.standing.mine, r.standing.began = in, time.Now() })
		r.cfg.Log.Info("schema registry takes over", "reign", in.String())
	}
	mend := r.mend()
	if len(mend) == 0 {
		return nil
	}
	r.cfg.Log.Warn("schema registry writes again what late records would replace", "records", len(mend))
	return r.append(ctx, in, mend...)
}

// mend gives the records that say, after late records, what held before them.
func (r *Registry) mend() []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []entry
	again := func(versions []*schemaValue) {
		for _, v := range versions {
			out = append(out, entry{Key: schemaKey(v.Subject, v.Version), Value: v})
		}
	}
	for text := range r.fence.spoilt {
		var k recordKey
		key, err := []byte(nil), json.Unmarshal([]byte(text), &k)
		if err == nil {
			key, err = encodeJSON(k)
		}
		// A key that this registry would not write is none that it can mend.
		if err != nil || string(key) != text {
			delete(r.fence.spoilt, text)
			continue
		}
		switch k.KeyType {
		case keySchema:
			e := entry{Key: k}
			if v := r.state.subjects[k.Subject][k.Version]; v != nil {
				e.Value = v
			}
			out = append(out, e)
		case keyConfig, keyMode:
			e := entry{Key: k}
			if value, ok := r.state.settings[text]; ok {
				e.Value = json.RawMessage(value)
			}
			out = append(out, e)
		case keyDeleteSubject:
			// What was deleted before it, and what was not, is said version by
			// version.
			out = append(out, entry{Key: k})
			again(r.state.versions(k.Subject, true))
		case keyClearSubject:
			out = append(out, entry{Key: k})
			for _, name := range r.state.names("", true) {
				if k.Subject == "" || name == k.Subject {
					again(slices.DeleteFunc(r.state.versions(name, true), func(v *schemaValue) bool { return !v.Deleted }))
				}
			}
		case keyNoop:
			out = append(out, noop)
		default:
			delete(r.fence.spoilt, text)
		}
	}
	return out
}

// leader waits for a leader to be known: this registry, ready to write, or
// another one.
func (r *Registry) leader(ctx context.Context) (url string, self bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	for {
		r.standing.Lock()
		leader, changed := r.standing.leader, r.standing.changed
		r.standing.Unlock()
		r.mu.RLock()
		advanced := r.advanced
		r.mu.RUnlock()
		if _, ok := r.reigning(); ok {
			return leader.URL, true, nil
		}
		if !leader.Self && leader.URL != "" {
			return leader.URL, false, nil
		}
		select {
		case <-changed:
		case <-advanced:
		case <-r.ctx.Done():
			return "", false, fail(codeStore, "%v", ErrClosed)
		case <-ctx.Done():
			return "", false, fail(codeNoLeader, "no leader of the group of schema registries is known; only reading is possible now")
		}
	}
}

// WaitForLeader returns once writes can be answered, here or elsewhere. Without a
// group that is at once.
func (r *Registry) WaitForLeader(ctx context.Context) error {
	if r.member == nil {
		return nil
	}
	for {
		_, _, err := r.leader(ctx)
		if err == nil || ctx.Err() != nil || r.ctx.Err() != nil {
			return err
		}
	}
}

// passed is an answer of the leader's, handed on as it is.
type passed struct {
	status int
	body   []byte
}

// led makes an endpoint that writes run where the leader is.
func (r *Registry) led(run endpoint) endpoint {
	if r.member == nil {
		return run
	}
	return func(req *http.Request) (any, error) {
		body, err := readBody(req)
		if err != nil {
			return nil, err
		}
		for {
			url, self, err := r.leader(req.Context())
			switch {
			case err != nil:
				return nil, err
			case self:
				req.Body = io.NopCloser(bytes.NewReader(body))
				value, err := run(req)
				if errors.Is(err, errDeposed) && req.Context().Err() == nil {
					continue // nothing of it was applied; ask who leads now
				}
				return value, err
			case strings.EqualFold(req.Header.Get(forwardHeader), "true"):
				return nil, fail(codeNoLeader, "this schema registry does not lead the group, and %s, which does, was not asked", url)
			}
			return r.forward(req, url, body)
		}
	}
}

// forward asks the leader.
func (r *Registry) forward(req *http.Request, url string, body []byte) (any, error) {
	out, err := http.NewRequestWithContext(req.Context(), req.Method, url+req.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, fail(codeForwarding, "the request cannot be forwarded to the leader: %v", err)
	}
	out.Header.Set("Content-Type", ContentType)
	out.Header.Set("Accept", ContentType)
	out.Header.Set(forwardHeader, "true")
	resp, err := r.cfg.Forward.Do(out)
	if err != nil {
		return nil, fail(codeForwarding, "the leader of the group of schema registries, %s, does not answer: %v", url, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fail(codeForwarding, "the leader of the group of schema registries, %s, did not finish its answer: %v", url, err)
	case len(answer) > maxBody, !json.Valid(answer):
		return nil, fail(codeForwarding, "%s, which should lead the group of schema registries, does not answer as one: %s", url, resp.Status)
	}
	return passed{status: resp.StatusCode, body: answer}, nil
}
