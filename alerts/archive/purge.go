package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/alerts/objectstore"
)

// Cleaner is what a purge needs of an object store; *objectstore.Client is one.
// DeleteUnchanged must leave an object that was written again after modified, with
// an error that matches objectstore.ErrChanged.
type Cleaner interface {
	List(ctx context.Context, bucket, prefix string) iter.Seq2[objectstore.ObjectInfo, error]
	DeleteUnchanged(ctx context.Context, bucket, key string, modified time.Time) error
}

// Purge says which alerts go.
type Purge struct {
	Objects Cleaner
	// Bucket is that of the alerts. Schemas and dead letters, which may lie in the
	// same bucket, are never touched: a schema is of use as long as any alert is,
	// here or in somebody's hands, and a dead letter until somebody has looked at it.
	Bucket string
	// Before is the time before which an alert was stored, by the store's clock, to go.
	Before time.Time
	// DryRun counts and deletes nothing.
	DryRun bool
	// Progress is called after each object that was looked at, by one goroutine at a
	// time; may be nil.
	Progress func(Purged)
}

// Purged is the account of a purge.
type Purged struct {
	// Seen counts alerts, Deleted those that went (or would go, in a dry run), Bytes
	// what they took.
	Seen, Deleted, Bytes int64
}

// AlertPrefixes are where alerts lie, in both layouts; no schema and no dead letter does.
func AlertPrefixes() []string { return []string{"v2/alerts/", "v1/alerts/"} }

// purgeWorkers is how many objects are deleted at a time.
const purgeWorkers = 8

// Run deletes the alerts of both layouts that were stored before a time, as the store
// lists them, page by page. An alert that is stored again meanwhile stays. An error
// ends it; what is gone by then is in the account.
func (p Purge) Run(ctx context.Context) (Purged, error) {
	var mu sync.Mutex
	var sum Purged
	count := func(seen, deleted, size int64) {
		mu.Lock()
		defer mu.Unlock()
		sum.Seen += seen
		sum.Deleted += deleted
		sum.Bytes += size
		if p.Progress != nil {
			p.Progress(sum)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(purgeWorkers)
	list := func() error {
		for _, prefix := range AlertPrefixes() {
			for o, err := range p.Objects.List(ctx, p.Bucket, prefix) {
				if err != nil {
					return err
				}
				if !o.Modified.Before(p.Before) {
					count(1, 0, 0)
					continue
				}
				if p.DryRun {
					count(1, 1, o.Size)
					continue
				}
				g.Go(func() error {
					err := p.Objects.DeleteUnchanged(ctx, p.Bucket, o.Key, o.Modified)
					switch {
					case errors.Is(err, objectstore.ErrChanged):
						count(1, 0, 0)
						return nil
					case err != nil:
						return err
					}
					count(1, 1, o.Size)
					return nil
				})
			}
		}
		return nil
	}
	listed := list()
	err := g.Wait()
	// A deletion that failed also ends the listing.
	if err == nil {
		err = listed
	}
	return sum, err
}

// Purger runs a Purge at its start and once a day for ever.
type Purger struct {
	Objects Cleaner
	Bucket  string // of the alerts
	// Age is how long an alert is kept.
	Age time.Duration
	// Log gets each purge; nil discards.
	Log *slog.Logger
	// Clock is the system's if nil.
	Clock Clock

	mu   sync.Mutex
	last LastPurge
}

// LastPurge is what a Purger did last.
type LastPurge struct {
	At     time.Time // its beginning; zero if there was none yet
	Purged Purged
	Err    error
}

// Clock is the time as a Purger has it.
type Clock interface {
	Now() time.Time
	// Sleep returns when the clock shows until, or with the error of ctx.
	Sleep(ctx context.Context, until time.Time) error
}

const (
	// purgeEvery is the pace of purging: object stores' own lifecycle rules work by
	// the day.
	purgeEvery = 24 * time.Hour
	// purgeRetry is when a purge that failed is tried again.
	purgeRetry = 10 * time.Minute
)

// Run purges until ctx ends, and returns nil then. An Age that is not above zero is an
// error: every alert would go.
func (p *Purger) Run(ctx context.Context) error {
	clock, log := p.Clock, p.Log
	if clock == nil {
		clock = systemClock{}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if p.Age <= 0 {
		err := fmt.Errorf("purge: alerts cannot be kept for %v", p.Age)
		log.Error("alert database: nothing is purged", "error", err)
		p.done(LastPurge{At: clock.Now(), Err: err})
		return err
	}
	for {
		at := clock.Now()
		purged, err := Purge{Objects: p.Objects, Bucket: p.Bucket, Before: at.Add(-p.Age)}.Run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		next := at.Add(purgeEvery)
		if err != nil {
			err = fmt.Errorf("purge: %w", err)
			next = clock.Now().Add(purgeRetry)
			log.Warn("alert database: purge failed", "error", err, "again", next)
		} else {
			log.Info("alert database: purged", "before", at.Add(-p.Age), "seen", purged.Seen, "deleted", purged.Deleted, "bytes", purged.Bytes)
		}
		p.done(LastPurge{at, purged, err})
		if err := clock.Sleep(ctx, next); err != nil {
			return nil
		}
	}
}

func (p *Purger) done(last LastPurge) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = last
}

// Last tells of the last purge.
func (p *Purger) Last() LastPurge {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// systemClock is the clock on the wall.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

// longestSleep is how long a timer runs at most: it does not count the time that a
// machine is suspended, nor a clock that is set.
const longestSleep = time.Hour

func (systemClock) Sleep(ctx context.Context, until time.Time) error {
	for {
		// Without the monotonic reading, which stands still in a suspended machine.
		left := until.Round(0).Sub(time.Now().Round(0))
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(min(left, longestSleep))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}
