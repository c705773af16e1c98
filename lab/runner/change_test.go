package runner_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

func silent(event.Event) {}

// holding describes a lab with topics of so many partitions, by name.
func holding(topics map[string]int32) state.Description {
	d := describe("local")
	for _, name := range []string{"a", "b"} {
		if n := topics[name]; n > 0 {
			d.Overlay.Topics = append(d.Overlay.Topics, profiles.Topic{Name: name, Partitions: n, Replicas: 1})
		}
	}
	return d
}

// A failed update and then a description that is as it was before: what the failed
// step did is not known, so that its part is applied again.
func TestRevertOfFailedUpdate(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), silent); err != nil {
		t.Fatal(err)
	}
	other := describe("local")
	other.Stack = "other"
	s.lab.topics.set(func(context.Context) error { return errors.New("half done") })
	if err := client.Up(ctx, other, silent); fault.CodeOf(err) != fault.StepFailed {
		t.Fatalf("got %v", err)
	}
	s.lab.topics.set(nil)
	s.lab.doings()
	if err := client.Up(ctx, describe("local"), silent); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "done", s.lab.doings(), "update topics")
	// Then it is known again.
	var tr trail
	if err := client.Up(ctx, describe("local"), tr.sink); err != nil || !tr.last().Unchanged {
		t.Errorf("once more: %+v, %v", tr.last(), err)
	}
}

// Whoever changed a description that is another one by now is told so, and nothing
// is done.
func TestChangeOfAnother(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), silent); err != nil {
		t.Fatal(err)
	}
	first, err := s.dir.Describe()
	if err != nil {
		t.Fatal(err)
	}
	second := first
	second.Overlay.SetReader(profiles.Reader{Name: "bob", Topics: []string{"*"}})
	if err := client.Change(ctx, runner.Change{Description: second, From: first.Digest()}, silent); err != nil {
		t.Fatal(err)
	}
	s.lab.doings()
	if err := client.Change(ctx, runner.Change{Description: describe("third"), From: first.Digest()}, silent); !errors.Is(err, runner.ErrChanged) {
		t.Errorf("got %v", err)
	}
	sameLines(t, "done", s.lab.doings())
	now, err := s.dir.Describe()
	if err != nil || now.Digest() != second.Digest() || now.Profile != "local" {
		t.Errorf("the lab is %+v, %v", now, err)
	}
	if st, err := client.Status(ctx); err != nil || !st.Ready || st.Walking || len(st.Overlay) != 1 || st.Overlay[0].ID != "reader/bob" {
		t.Errorf("status: %+v, %v", st, err)
	}
}

// What would destroy something is refused, and the lab stays what it is, unless it
// is asked for.
func TestRefusesToDestroy(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	both := holding(map[string]int32{"a": 4, "b": 2})
	if err := client.Up(ctx, both, silent); err != nil {
		t.Fatal(err)
	}
	s.lab.doings()
	less := holding(map[string]int32{"a": 3})
	err := client.Change(ctx, runner.Change{Description: less, Passwords: map[string]string{"kafka-admin": "new"}}, silent)
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.BadInput || !strings.Contains(f.What, "refused") || !strings.Contains(f.Next, "--allow-destroy") ||
		!strings.Contains(f.Why, "topic a would shrink from 4 to 3 partitions") || !strings.Contains(f.Why, "topic b is not wanted any more, and every record in it would be lost") {
		t.Fatalf("got %v", err)
	}
	sameLines(t, "done", s.lab.doings())
	if now, err := s.dir.Describe(); err != nil || now.Digest() != both.Digest() {
		t.Errorf("the lab is %+v, %v", now, err)
	}
	if creds, err := s.dir.Credentials(); err != nil || creds.Kafka["kafka-admin"] == "new" {
		t.Errorf("a refused change gave a password, %v", err)
	}
	if st, err := client.Status(ctx); err != nil || !st.Ready {
		t.Errorf("a lab that nothing was done to is not ready: %+v, %v", st, err)
	}
	// Allowed, but it fails: what it was allowed is not asked for again.
	s.lab.topics.set(func(context.Context) error { return errors.New("half done") })
	if err := client.Change(ctx, runner.Change{Description: less, AllowDestroy: true}, silent); fault.CodeOf(err) != fault.StepFailed {
		t.Fatalf("got %v", err)
	}
	s.lab.topics.set(nil)
	s.lab.doings()
	if err := client.Up(ctx, less, silent); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "done", s.lab.doings(), "update topics, destroying", "create registry") // the first attempt stopped it
	// What else is lost is.
	if err := client.Up(ctx, holding(nil), silent); fault.CodeOf(err) != fault.BadInput {
		t.Errorf("got %v", err)
	}
	if err := client.Change(ctx, runner.Change{Description: holding(nil), AllowDestroy: true}, silent); err != nil {
		t.Error(err)
	}
	var tr trail
	if err := client.Up(ctx, holding(nil), tr.sink); err != nil || !tr.last().Unchanged {
		t.Errorf("once more: %+v, %v", tr.last(), err)
	}
}

// New passwords are kept once what is asked for is sound, and reach the parts; they
// are in nothing that a runner says.
func TestPasswords(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), silent); err != nil {
		t.Fatal(err)
	}
	const word = "correct-horse"
	if err := client.Change(ctx, runner.Change{Description: describe("wrong"), Passwords: map[string]string{"kafka-admin": word}}, silent); fault.CodeOf(err) != fault.BadInput {
		t.Errorf("got %v", err)
	}
	if creds, err := s.dir.Credentials(); err != nil || creds.Kafka["kafka-admin"] == word {
		t.Errorf("bad input gave a password, %v", err)
	}
	var tr trail
	if err := client.Change(ctx, runner.Change{Description: describe("local"), Passwords: map[string]string{"kafka-admin": word}}, tr.sink); err != nil {
		t.Fatal(err)
	}
	if creds, err := s.dir.Credentials(); err != nil || creds.Kafka["kafka-admin"] != word || s.lab.creds.Kafka["kafka-admin"] != word {
		t.Errorf("the password is not kept, or the parts do not have it: %v", err)
	}
	if desc, err := s.dir.Describe(); err != nil || strings.Contains(desc.Resolved, word) {
		t.Errorf("described as %+v, %v", desc, err)
	}
}

// A change of a lab whose directory is not there any more finds no description.
func TestChangeOfPurged(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), silent); err != nil {
		t.Fatal(err)
	}
	desc, err := s.dir.Describe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Down(ctx, true, silent); err != nil {
		t.Fatal(err)
	}
	next := serve(t, s.dir)
	if err := next.dial(t).Change(ctx, runner.Change{Description: desc, From: desc.Digest()}, silent); !errors.Is(err, runner.ErrChanged) {
		t.Errorf("got %v", err)
	}
	next.gone(t) // it was started for this change, and has nothing to own
	if _, err := s.dir.Describe(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is described: %v", err)
	}
}

// What is left out of a description that a snapshot is asked of is not filled in from
// the lab's own.
func TestSnapshotOfAnother(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	mine := holding(map[string]int32{"a": 4})
	mine.Advertise = "192.0.2.1"
	if err := client.Up(ctx, mine, silent); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Snapshot(ctx, describe("local")); err != nil {
		t.Fatal(err)
	}
	if asked := s.lab.lastAsked(); asked.Digest() != describe("local").Digest() {
		t.Errorf("asked of %+v", asked)
	}
}
