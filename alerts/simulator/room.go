package simulator

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// room bounds the bytes of records that are somewhere at one time. A record
// larger than all of it gets it to itself instead of waiting for ever.
type room struct {
	size int64
	free *semaphore.Weighted
}

func newRoom(size int64) *room { return &room{size, semaphore.NewWeighted(size)} }

func (r *room) enter(ctx context.Context, n int) error {
	return r.free.Acquire(ctx, min(int64(n), r.size))
}

func (r *room) leave(n int) { r.free.Release(min(int64(n), r.size)) }
