package smoke

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alertlab/alertlab/endpoints"
	"golang.org/x/sync/errgroup"
)

// The values of Options left zero.
const (
	DefaultTimeout  = 30 * time.Second
	DefaultParallel = 4
)

// Options says what to check, and how.
type Options struct {
	Endpoints   endpoints.Endpoints
	Credentials endpoints.Credentials

	// Checks are the checks to choose from; nil means All().
	Checks []Check
	// Only names the checks to run; the others are left out of the report.
	// Empty means every check.
	Only []string
	// Skip names checks that are reported as skipped.
	Skip []string

	// Disruptive lets checks run that take parts of the lab away for a while.
	Disruptive bool

	// Timeout is the time for one check, without what it may wait for the
	// lab to do by itself. Zero means DefaultTimeout.
	Timeout time.Duration
	// Parallel is how many checks run side by side. Zero means DefaultParallel.
	Parallel int
	// Seed repeats the random choices of an earlier run. Zero picks one.
	Seed uint64

	// Observer, when set, is told each result as it comes, one at a time.
	Observer func(Result)
	// Waiting, when set, is told what a check begins to wait for, one at a time.
	Waiting func(check, what string)
}

// UnknownCheckError says that Options.Only or Options.Skip names no check.
type UnknownCheckError struct {
	Name    string
	Nearest []string // the nearest names that exist, best first
}

func (u *UnknownCheckError) Error() string {
	if u.Name == "" {
		return "an empty name is no smoke check"
	}
	return fmt.Sprintf("no smoke check is named %q; nearest: %s", u.Name, strings.Join(u.Nearest, ", "))
}

// Run runs the chosen checks and reports them in the order in which they are
// listed, whichever ends first. The error is about the options only (an
// unknown name, an unreadable CA file); what the checks find is in the Report.
func Run(ctx context.Context, o Options) (Report, error) {
	checks := o.Checks
	if checks == nil {
		checks = All()
	}
	if err := known(checks, o.Only, o.Skip); err != nil {
		return Report{}, err
	}
	if len(o.Only) > 0 {
		checks = slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return !slices.Contains(o.Only, c.Name) })
	}
	seed := o.Seed
	if seed == 0 {
		seed = randomSeed()
	}
	env, err := NewEnv(o.Endpoints, o.Credentials, seed)
	if err != nil {
		return Report{}, err
	}
	defer env.http.CloseIdleConnections()

	report := Report{
		Lab: o.Endpoints.Lab, Profile: o.Endpoints.Profile, Provider: o.Endpoints.Provider,
		Started: time.Now(), Seed: seed, Results: make([]Result, len(checks)),
	}
	env.timeout = cmp.Or(max(o.Timeout, 0), DefaultTimeout)
	var tell sync.Mutex
	one := func(i int, c Check) func() error {
		return func() error {
			own := *env
			var last waitNote
			own.waiting = func(what string) {
				if !last.set(what) || o.Waiting == nil {
					return
				}
				tell.Lock()
				defer tell.Unlock()
				o.Waiting(c.Name, what)
			}
			var r Result
			switch {
			case slices.Contains(o.Skip, c.Name):
				r = skipped(c, "asked to skip it")
			case c.Disruptive && !o.Disruptive:
				r = skipped(c, "disruptive checks run with --disruptive only")
			default:
				r = runOne(ctx, c, &own, &last)
			}
			report.Results[i] = r
			if o.Observer != nil {
				tell.Lock()
				defer tell.Unlock()
				o.Observer(r)
			}
			return nil
		}
	}
	// What takes the lab apart would make the others fail, so it comes last.
	for _, disruptive := range []bool{false, true} {
		var group errgroup.Group
		group.SetLimit(cmp.Or(max(o.Parallel, 0), DefaultParallel))
		if disruptive {
			group.SetLimit(1)
		}
		for i, c := range checks {
			if c.Disruptive == disruptive {
				group.Go(one(i, c))
			}
		}
		_ = group.Wait() // findings are results, never errors
	}
	report.Duration = time.Since(report.Started)
	return report, nil
}

// waitNote keeps what a check said last that it waits for.
type waitNote struct {
	mu   sync.Mutex
	what string
}

// set says whether this is news.
func (w *waitNote) set(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := w.what != what
	w.what = what
	return news
}

func (w *waitNote) get() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.what
}

func skipped(c Check, reason string) Result {
	return Result{Check: c.Name, Sentence: c.Sentence, Status: Skipped, Reason: reason, Started: time.Now()}
}

// runOne runs one check and turns whatever it returns into a result.
func runOne(ctx context.Context, c Check, env *Env, last *waitNote) Result {
	r := Result{Check: c.Name, Sentence: c.Sentence, Started: time.Now()}
	if ctx.Err() != nil {
		r.Status, r.Reason = Skipped, "the run was stopped before this check began"
		return r
	}
	for _, need := range c.Needs {
		if why := need.Missing(env); why != "" {
			r.Status, r.Reason = Skipped, why
			return r
		}
	}
	timeout := env.timeout
	if c.Wait != nil {
		timeout += max(c.Wait(env), 0)
	}
	inner, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	seen, err := c.Run(inner, env)
	r.Duration, r.Evidence = time.Since(r.Started), seen

	var skip *Skip
	var failure *Failure
	switch {
	case err == nil:
		r.Status = Passed
		return r
	case errors.As(err, &skip):
		r.Status, r.Reason = Skipped, skip.Reason
		return r
	case errors.As(err, &failure):
	case ctx.Err() != nil:
		failure = &Failure{Expected: "time to finish", Seen: "the run was stopped"}
	case inner.Err() != nil:
		failure = &Failure{Expected: fmt.Sprintf("an answer within %s", round(timeout)), Seen: err.Error(), Next: nextStatus}
		if what := last.get(); what != "" {
			failure.Seen = "it still waited for " + what
		}
	default:
		failure = &Failure{Expected: "that " + c.Sentence, Seen: err.Error(), Next: nextStatus}
	}
	r.Status, r.Reason = Failed, failure.Error()
	r.Expected, r.Seen, r.Next = failure.Expected, failure.Seen, failure.Next
	return r
}

// nextStatus is the command that shows what of a lab runs.
const nextStatus = "alertlab status"

func randomSeed() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	// 32 bits are plenty for choosing samples, and short enough to type.
	return max(binary.LittleEndian.Uint64(b[:])>>32, 1)
}

// Known looks whether there is a check of each name; the error is an
// *UnknownCheckError.
func Known(lists ...[]string) error { return known(All(), lists...) }

func known(checks []Check, lists ...[]string) error {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.Name
	}
	for _, list := range lists {
		for _, name := range list {
			if !slices.Contains(names, name) {
				return &UnknownCheckError{Name: name, Nearest: nearest(name, names)}
			}
		}
	}
	return nil
}

// nearest gives at most three names, by edit distance; names that contain
// what was typed, or are contained in it, come first.
func nearest(typed string, names []string) []string {
	typed = strings.ToLower(typed)
	rank := func(name string) int {
		d := distance(typed, name)
		if typed != "" && (strings.Contains(name, typed) || strings.Contains(typed, name)) {
			d -= 1000
		}
		return d
	}
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return sorted[:min(3, len(sorted))]
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
