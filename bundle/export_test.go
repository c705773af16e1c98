package bundle

import (
	"context"
	"io"
)

// VerifyAt is Verify on something else than a file, also if Read refuses it.
func VerifyAt(ctx context.Context, r io.ReaderAt, size int64) error {
	return verify(ctx, r, size, "", nil)
}
