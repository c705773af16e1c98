package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/tui/visits"
)

// pods are those of a part on Kubernetes, which tells little more of itself than how they
// are.
type pods struct {
	Pods []struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
		Seen  string `json:"seen"`
	} `json:"pods"`
	Paused  bool  `json:"paused"`  // of the simulator
	Skipped int64 `json:"skipped"` // visits, in pauses
}

// podsOf gives the pods of a part, and whether it consists of some.
func podsOf(st runner.Status, key string) (pods, bool) {
	for _, p := range st.Parts {
		var of pods
		if p.Key == key && len(p.Detail) > 0 && json.Unmarshal(p.Detail, &of) == nil {
			return of, len(of.Pods) > 0
		}
	}
	return pods{}, false
}

// ready says whether all are, or what is seen of the first that is not.
func (p pods) ready() (bool, string) {
	for _, one := range p.Pods {
		if !one.Ready {
			return false, one.Name + ": " + one.Seen
		}
	}
	return true, ""
}

const (
	// playedKept is how many visits are kept of a log, about as many as a simulator
	// in the runner keeps.
	playedKept = 200
	// playedRead is how many lines at the end of a log are read at first.
	playedRead = 1000
)

// playedLog follows the log of a simulator in a pod, whose program writes each visit.
type playedLog struct {
	tail   *tail
	visits []visits.Visit
	missed int64
}

func (p *playedLog) close() {
	if p.tail != nil {
		p.tail.close()
	}
}

// read gives the visits since the pod's program began, the oldest first.
func (p *playedLog) read() error {
	lines, err := p.tail.read()
	if err != nil {
		return err
	}
	for _, l := range lines {
		v, ok := visitOf(l.text)
		if !ok {
			continue
		}
		if n := len(p.visits); n > 0 && v.Number <= p.visits[n-1].Number { // it began anew
			p.visits, p.missed = nil, 0
		}
		p.missed += int64(v.Missed)
		if p.visits = append(p.visits, v); len(p.visits) >= 2*playedKept {
			p.visits = append(p.visits[:0], p.visits[len(p.visits)-playedKept:]...)
		}
	}
	return nil
}

// played is what the player logs of a visit: see alerts/simulator.
var played = regexp.MustCompile(`^time=(\S+) .*\bmsg="visit played" visit=(\d+) alerts=(\d+) bytes=(\d+) seconds=(\S+) late=(\S+) missed=(\d+)(?: error=(.*))?$`)

// visitOf reads a visit from a line of a pod's log, whose message is the line that the
// program wrote.
func visitOf(line string) (visits.Visit, bool) {
	_, rest, found := strings.Cut(line, ` msg="time=`)
	if !found {
		return visits.Visit{}, false
	}
	quoted, err := strconv.QuotedPrefix(`"time=` + rest)
	if err != nil {
		return visits.Visit{}, false
	}
	text, err := strconv.Unquote(quoted)
	m := played.FindStringSubmatch(text)
	if err != nil || m == nil {
		return visits.Visit{}, false
	}
	at, e1 := time.Parse(time.RFC3339Nano, m[1])
	number, e2 := strconv.Atoi(m[2])
	count, e3 := strconv.ParseInt(m[3], 10, 64)
	size, e4 := strconv.ParseInt(m[4], 10, 64)
	seconds, e5 := strconv.ParseFloat(m[5], 64)
	late, e6 := time.ParseDuration(m[6])
	missed, e7 := strconv.Atoi(m[7])
	for _, err := range []error{e1, e2, e3, e4, e5, e6, e7} {
		if err != nil {
			return visits.Visit{}, false
		}
	}
	began := at.Add(-time.Duration(seconds * float64(time.Second)))
	problem := m[8]
	if said, err := strconv.Unquote(problem); err == nil {
		problem = said
	}
	return visits.Visit{Number: number, Due: began.Add(-late), Started: began, Finished: at, Late: late, Alerts: count, Bytes: size, Missed: missed, Error: problem}, true
}

// loggedVisits is what the log of the simulator's pod says, with what its profile wants.
func (b *board) loggedVisits(of pods) (visits.State, error) {
	_, applied, err := b.a.wantedProfile()
	if err != nil {
		return visits.State{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.played == nil {
		b.played = &playedLog{tail: newTail(b.dir, []string{simulatorComponent}, playedRead)}
	}
	if err := b.played.read(); err != nil {
		return visits.State{}, fmt.Errorf("the log of the simulator's pod: %w", err)
	}
	list := b.played.visits[max(len(b.played.visits)-playedKept, 0):]
	out := visits.State{Interval: applied.Simulator.Interval, Paused: of.Paused, Skipped: of.Skipped, Missed: b.played.missed, Visits: append([]visits.Visit(nil), list...)}
	if n := len(list); n > 0 {
		out.Played = int64(list[n-1].Number)
	}
	for _, v := range list {
		out.Published += v.Alerts
	}
	if n := len(list); n > 0 && list[0].Number > 1 {
		out.Notes = append(out.Notes, fmt.Sprintf("of the visits before %d nothing is told: these are from the end of the pod's log", list[0].Number))
	}
	if ready, why := of.ready(); !ready {
		out.Notes = append(out.Notes, "the simulator's pod is not ready: "+why)
	}
	return out, nil
}

// untoldByPod is why the page of the alert database has no counts of an ingester in a pod.
const untoldByPod = "its counts since it began are in its pod, at /metrics"

// inPods says whether the lab's brokers are pods.
func (b *board) inPods(ctx context.Context) bool {
	st, err := b.status(ctx)
	if err != nil {
		return false
	}
	_, are := podsOf(st, simulatorComponent)
	return are
}
