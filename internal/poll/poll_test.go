package poll_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alertlab/alertlab/internal/poll"
)

func TestUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var asked []time.Duration
		var told []string
		err := poll.Until(t.Context(), 2*time.Second, 4*time.Second, func(what string) { told = append(told, what) },
			func(context.Context) (bool, string, error) {
				asked = append(asked, time.Since(begun))
				return len(asked) == 5, "closed", nil
			})
		want := []time.Duration{0, 2 * time.Second, 5 * time.Second, 9 * time.Second, 13 * time.Second}
		if err != nil || !slices.Equal(asked, want) || len(told) != 4 {
			t.Errorf("asked at %v, told %v, %v; want %v", asked, told, err, want)
		}
	})
}

func TestUntilEnds(t *testing.T) {
	t.Parallel()
	asked := 0
	bad := errors.New("in vain")
	ask := func(err error) func(context.Context) (bool, string, error) {
		return func(context.Context) (bool, string, error) {
			asked++
			return false, "", err
		}
	}
	if err := poll.Until(t.Context(), time.Hour, time.Hour, func(string) {}, ask(bad)); !errors.Is(err, bad) || asked != 1 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := poll.Until(ctx, time.Hour, time.Hour, func(string) { cancel() }, ask(nil)); !errors.Is(err, context.Canceled) || asked != 2 {
		t.Errorf("asked %d times, %v", asked, err)
	}
}
