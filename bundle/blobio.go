package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// bufferSize is what is read at once from a blob.
const bufferSize = 1 << 20

func digestOf(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

func digestFrom(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// verifier reads a blob and checks it. The last bytes are handed out only when
// the digest is right, so that nobody who reads the announced size can miss it.
type verifier struct {
	source io.Reader
	left   int64
	want   v1.Hash
	sum    hash.Hash
	// fail makes the error: short says that the source ended early.
	fail func(short bool, cause error) error
	err  error
}

func newVerifier(source io.Reader, size int64, want v1.Hash, fail func(short bool, cause error) error) *verifier {
	return &verifier{source: source, left: size, want: want, sum: sha256.New(), fail: fail}
}

func (v *verifier) Read(buf []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if v.left == 0 {
		v.finish()
		return 0, v.err
	}
	if len(buf) == 0 {
		return 0, nil
	}
	n, err := v.source.Read(buf[:min(int64(len(buf)), v.left)])
	v.sum.Write(buf[:n])
	v.left -= int64(n)
	if v.left == 0 {
		if v.finish(); v.err != io.EOF {
			return 0, v.err
		}
		return n, nil
	}
	if err != nil {
		short := errors.Is(err, io.EOF)
		if short {
			// Whatever fail makes of it must not look like the proper end.
			err = io.ErrUnexpectedEOF
		}
		v.err = v.fail(short, err)
		return n, v.err
	}
	return n, nil
}

func (v *verifier) finish() {
	v.err = io.EOF
	if got := digestFrom(v.sum); got != v.want {
		v.err = v.fail(false, wrongDigest{got})
	}
}

// wrongDigest says that all bytes of a blob could be read, and are others. It is
// a kind of ErrDamaged.
type wrongDigest struct{ got v1.Hash }

func (e wrongDigest) Error() string { return "its content has the digest " + e.got.String() }
func (e wrongDigest) Unwrap() error { return ErrDamaged }

// blobReader reads a blob that lies in an archive.
func (b *blob) reader(r io.ReaderAt) *verifier {
	return newVerifier(io.NewSectionReader(r, b.offset, b.size), b.size, b.digest, func(short bool, cause error) error {
		if short {
			return b.problem(ErrTruncated, "the file ends within it")
		}
		return b.problem(ErrDamaged, cause.Error())
	})
}

// asProblem finds the problem in an error, or makes one of it.
func asProblem(err error, b *blob) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return b.problem(ErrDamaged, err.Error())
}

// copyContext copies until the end of r or of ctx, a buffer at a time, and tells
// after each how many bytes it was.
func copyContext(ctx context.Context, w io.Writer, r io.Reader, buf []byte, told func(int)) error {
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			told(n)
		}
		if err == io.EOF { // bare, and not wrapped in a failure
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
