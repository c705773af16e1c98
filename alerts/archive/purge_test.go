package archive_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/objectstore"
)

// age makes an object in the store as old as it says: a store over a folder keeps
// time by its files' own.
func (r *rig) age(bucket, key string, modified time.Time) {
	r.t.Helper()
	must(r.t, os.Chtimes(filepath.Join(r.server.Root, "buckets", bucket, filepath.FromSlash(key)), modified, modified))
}

func (r *rig) keys(bucket string) (keys []string) {
	r.t.Helper()
	for o, err := range r.objects.List(timeout(r.t), bucket, "") {
		must(r.t, err)
		keys = append(keys, o.Key)
	}
	slices.Sort(keys)
	return keys
}

// TestPurge: old alerts go, of both layouts; schemas, dead letters and what is not old
// enough stay, all in one bucket.
func TestPurge(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	now := time.Now().Truncate(time.Second)
	const day = 24 * time.Hour
	for key, old := range map[string]time.Duration{
		"v2/alerts/123132/1231321321.avro.gz":  29 * day,
		"v2/alerts/41/41.avro":                 28*day + time.Minute,
		"v1/alerts/42.avro.gz":                 400 * day,
		"v2/alerts/123132/1231321322.avro.gz":  28*day - time.Minute,
		"v1/alerts/43.avro":                    0,
		"v2/schemas/704.json":                  400 * day,
		"v1/schemas/300.json":                  400 * day,
		"v2/deadletters/alerts/0/7.bin":        400 * day,
		"v2/deadletters/alerts/0/7.json":       400 * day,
		"v2/alerts-of-somebody-else/1.avro.gz": 400 * day,
		"else":                                 400 * day,
	} {
		must(t, r.objects.Put(timeout(t), buckets.Alerts, key, []byte("12345")))
		r.age(buckets.Alerts, key, now.Add(-old))
	}
	all := r.keys(buckets.Alerts)
	purge := archive.Purge{Objects: r.objects, Bucket: buckets.Alerts, Before: now.Add(-28 * day), DryRun: true}
	want := archive.Purged{Seen: 5, Deleted: 3, Bytes: 15}
	if got, err := purge.Run(timeout(t)); err != nil || got != want {
		t.Errorf("dry run: %+v, %v, want %+v", got, err, want)
	}
	if left := r.keys(buckets.Alerts); !slices.Equal(left, all) {
		t.Errorf("a dry run left %v", left)
	}
	purge.DryRun = false
	var last archive.Purged
	purge.Progress = func(p archive.Purged) { last = p }
	if got, err := purge.Run(timeout(t)); err != nil || got != want || last != want {
		t.Errorf("%+v, last progress %+v, %v, want %+v", got, last, err, want)
	}
	gone := []string{"v2/alerts/123132/1231321321.avro.gz", "v2/alerts/41/41.avro", "v1/alerts/42.avro.gz"}
	if left, want := r.keys(buckets.Alerts), slices.DeleteFunc(all, func(k string) bool { return slices.Contains(gone, k) }); !slices.Equal(left, want) {
		t.Errorf("left are\n%v\nwant\n%v", left, want)
	}
	if _, err := (archive.Purge{Objects: r.objects, Bucket: "nobody-made-this", Before: now}).Run(timeout(t)); !errors.Is(err, objectstore.ErrNoBucket) {
		t.Errorf("a bucket that is not there: %v", err)
	}
}

// TestPurgePages: a listing that takes more than a page, deleted while it is read.
func TestPurgePages(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	const n = 1050 // a page of S3 holds 1000
	old := time.Now().AddDate(0, 0, -30)
	var g errgroup.Group
	g.SetLimit(32)
	for i := range int64(n) {
		g.Go(func() error {
			id := 281323062375219200 + i<<40
			if err := r.objects.Put(t.Context(), buckets.Alerts, archive.AlertKey(id), []byte("x")); err != nil || i%3 == 0 {
				return err
			}
			return os.Chtimes(filepath.Join(r.server.Root, "buckets", buckets.Alerts, archive.AlertKey(id)), old, old)
		})
	}
	must(t, g.Wait())
	got, err := archive.Purge{Objects: r.objects, Bucket: buckets.Alerts, Before: old.AddDate(0, 0, 2)}.Run(timeout(t))
	if want := (archive.Purged{Seen: n, Deleted: n * 2 / 3, Bytes: n * 2 / 3}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if left := len(r.keys(buckets.Alerts)); left != n/3 {
		t.Errorf("%d are left, want %d", left, n/3)
	}
}

// rewriting stores an object again just before it is deleted, as an ingester may.
type rewriting struct {
	*objectstore.Client
	key string
}

func (w rewriting) DeleteUnchanged(ctx context.Context, bucket, key string, modified time.Time) error {
	if key == w.key {
		if err := w.Put(ctx, bucket, key, []byte("new")); err != nil {
			return err
		}
	}
	return w.Client.DeleteUnchanged(ctx, bucket, key, modified)
}

// TestPurgeLeavesWhatIsStoredAgain: between the listing and the deletion an ingester
// stores the alert again.
func TestPurgeLeavesWhatIsStoredAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	old := time.Now().AddDate(0, 0, -30)
	for id := range int64(3) {
		must(t, r.objects.Put(timeout(t), buckets.Alerts, archive.AlertKey(id), []byte("old")))
		r.age(buckets.Alerts, archive.AlertKey(id), old)
	}
	purge := archive.Purge{Objects: rewriting{r.objects, archive.AlertKey(1)}, Bucket: buckets.Alerts, Before: time.Now().AddDate(0, 0, -1)}
	got, err := purge.Run(timeout(t))
	if want := (archive.Purged{Seen: 3, Deleted: 2, Bytes: 6}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if b, err := r.objects.Bytes(timeout(t), buckets.Alerts, archive.AlertKey(1)); err != nil || string(b) != "new" {
		t.Errorf("the alert that was stored again: %q, %v", b, err)
	}
}

// handClock moves when a test says so.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	wake   chan struct{}  // closed when the clock moves
	sleeps chan time.Time // each sleep's end
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) Sleep(ctx context.Context, until time.Time) error {
	c.sleeps <- until
	for {
		c.mu.Lock()
		now, wake := c.now, c.wake
		c.mu.Unlock()
		if !now.Before(until) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
	}
}

func (c *handClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	close(c.wake)
	c.wake = make(chan struct{})
}

// TestPurger: at its start and each day after, by a clock that the test moves; a purge
// that fails is tried again sooner.
func TestPurger(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	const day = 24 * time.Hour
	clock := &handClock{now: time.Now(), wake: make(chan struct{}), sleeps: make(chan time.Time, 1)}
	begin := clock.now
	for id := range int64(4) { // stored 3, 2, 1 and 0 days ago
		must(t, r.objects.Put(timeout(t), buckets.Alerts, archive.AlertKey(id), []byte("alert")))
		r.age(buckets.Alerts, archive.AlertKey(id), begin.Add(-time.Duration(3-id)*day))
	}
	must(t, r.objects.Put(timeout(t), buckets.Alerts, "v2/schemas/704.json", []byte(schemaText)))
	r.age(buckets.Alerts, "v2/schemas/704.json", begin.Add(-100*day))
	p := &archive.Purger{Objects: r.objects, Bucket: buckets.Alerts, Age: 2*day + time.Hour, Clock: clock}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	next := func() time.Time {
		t.Helper()
		select {
		case until := <-clock.sleeps:
			return until
		case <-timeout(t).Done():
			t.Fatal("no purge ended")
			return time.Time{}
		}
	}
	for n := range 3 {
		until := next()
		if want := begin.Add(time.Duration(n+1) * day); !until.Equal(want) {
			t.Errorf("purge %d: the next is at %v, want %v", n, until, want)
		}
		last := p.Last()
		if last.Err != nil || last.Purged.Deleted != 1 || !last.At.Equal(begin.Add(time.Duration(n)*day)) {
			t.Errorf("purge %d: %+v", n, last)
		}
		if left, want := len(r.keys(buckets.Alerts)), 4-n; left != want {
			t.Errorf("purge %d: %d objects are left, want %d", n, left, want)
		}
		if n == 1 {
			clock.move(day - time.Minute) // too early: it sleeps on
			clock.move(time.Minute)
			continue
		}
		if n == 2 {
			r.stopStore()
		}
		clock.move(day)
	}
	if until, want := next(), begin.Add(3*day+10*time.Minute); !until.Equal(want) || p.Last().Err == nil {
		t.Errorf("after a purge that failed (%v): the next is at %v, want %v", p.Last().Err, until, want)
	}
	r.startStore()
	clock.move(10 * time.Minute)
	next()
	if last := p.Last(); last.Err != nil || last.Purged.Deleted != 1 {
		t.Errorf("with the store back: %+v", last)
	}
	if left := r.keys(buckets.Alerts); fmt.Sprint(left) != "[v2/schemas/704.json]" {
		t.Errorf("left are %v", left)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestPurgerOfNoAge: an age below zero, such as that of too many days for a duration,
// would be a time to come, before which all alerts were stored.
func TestPurgerOfNoAge(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	must(t, r.objects.Put(timeout(t), buckets.Alerts, archive.AlertKey(1), []byte("alert")))
	days := 200_000
	p := &archive.Purger{Objects: r.objects, Bucket: buckets.Alerts, Age: time.Duration(days) * 24 * time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	eventually(t, func() bool { return !p.Last().At.IsZero() }, func() string { return "a purge" })
	cancel()
	if err := <-ended; err == nil || p.Last().Err == nil {
		t.Errorf("an age of %v: %v, %+v", p.Age, err, p.Last())
	}
	if len(r.keys(buckets.Alerts)) != 1 {
		t.Error("the alert is gone")
	}
}
