package gateway

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

func TestLockIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if err := lock(context.Background(), path, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var held *LockedError
	if err := lock(context.Background(), path, time.Now().Add(50*time.Millisecond)); !errors.As(err, &held) || held.Path != path {
		t.Errorf("held lock: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := lock(ctx, path, time.Now().Add(time.Minute)); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}
