package bundle

import (
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// What can be wrong with a bundle. A *Problem unwraps to one of them.
var (
	// ErrFormat says that the file is no bundle, or one of another version.
	ErrFormat = errors.New("not a bundle of this format")
	// ErrTruncated says that the file ends too early.
	ErrTruncated = errors.New("truncated")
	// ErrDamaged says that bytes are not what their digest, or the format,
	// says they are.
	ErrDamaged = errors.New("damaged")
	// ErrMissing says that an entry is not where it should be, nor behind.
	ErrMissing = errors.New("missing")
	// ErrWrongSize says that an entry's header gives another size than the
	// index or its manifest, or one that the file cannot hold.
	ErrWrongSize = errors.New("wrong size")
	// ErrUnknownEntry says that there is something in the archive that neither
	// the index nor a manifest names.
	ErrUnknownEntry = errors.New("unknown entry")
	// ErrName says that an entry's name would lead out of the directory in
	// which the archive is unpacked, or that it is a link or a device.
	ErrName = errors.New("unsafe entry")
	// ErrLimit says that something is larger than the format allows.
	ErrLimit = errors.New("too large")
)

// What can be wrong with a request.
var (
	// ErrPartial says that the name is that of an unfinished save.
	ErrPartial = errors.New("the file of an unfinished save is not a bundle")
	// ErrBusy says that another process is writing this bundle.
	ErrBusy = errors.New("another process is writing this bundle")
	// ErrNotFound says that the bundle has no such image, chart or blob.
	ErrNotFound = errors.New("not in the bundle")
	// ErrReference says that a text is no usable reference.
	ErrReference = errors.New("not a usable reference")
	// ErrPlatform says that an image is made for another platform.
	ErrPlatform = errors.New("wrong platform")
	// ErrChart says that a file is no usable chart archive.
	ErrChart = errors.New("not a usable chart")
	// ErrSource says that a source gave other bytes than it had announced, or
	// something that a bundle cannot hold.
	ErrSource = errors.New("source cannot be used")
	// ErrPlainHTTP says that a registry would have been spoken to without TLS.
	ErrPlainHTTP = errors.New("plain HTTP refused")
)

// Problem is one thing that is wrong in a bundle.
type Problem struct {
	// Err is the kind: ErrDamaged and so on.
	Err error
	// Entry is the name in the archive; empty if that cannot be known.
	Entry string
	// Digest is that of the blob that is concerned; zero if it is none.
	Digest v1.Hash
	// Owners are the references of the images and charts that need the entry,
	// sorted.
	Owners []string
	// Offset is where in the file the bytes concerned begin, Size how many
	// they are. A digest says that a region is damaged, not which byte of it.
	Offset, Size int64
	// Detail says in words what was seen.
	Detail string
}

// Error names the entry, whom it belongs to, where it lies and what was seen.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Entry != "" {
		b.WriteString(p.Entry)
		b.WriteString(" ")
	}
	if n := len(p.Owners); n > 0 {
		const most = 3
		fmt.Fprintf(&b, "of %s ", strings.Join(p.Owners[:min(n, most)], ", "))
		if n > most {
			fmt.Fprintf(&b, "and %d more ", n-most)
		}
	}
	fmt.Fprintf(&b, "at byte %d", p.Offset)
	if p.Size > 0 {
		fmt.Fprintf(&b, " (%d bytes)", p.Size)
	}
	fmt.Fprintf(&b, ": %v", p.Err)
	if p.Detail != "" {
		fmt.Fprintf(&b, ": %s", p.Detail)
	}
	return b.String()
}

// Unwrap gives the kind.
func (p *Problem) Unwrap() error { return p.Err }

// DamageError holds everything that was found wrong in a bundle, in the order
// of the file.
type DamageError struct {
	// Path is empty if the bundle was not opened by its path.
	Path     string
	Problems []*Problem
}

// Error lists the first problems and counts the others.
func (e *DamageError) Error() string {
	const most = 20
	var b strings.Builder
	name := e.Path
	if name == "" {
		name = "bundle"
	}
	fmt.Fprintf(&b, "%s: ", name)
	if len(e.Problems) > 1 {
		fmt.Fprintf(&b, "%d problems: ", len(e.Problems))
	}
	for i, p := range e.Problems {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e.Problems)-most)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

// Unwrap gives the problems.
func (e *DamageError) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// Progress says how far a long job is.
type Progress struct {
	// Step is "check" while what an earlier save left is looked at, "write",
	// "verify", "send" to a node, or "push" to a registry.
	Step string
	// Node is the node that is sent to; empty in other steps.
	Node string
	// Reference is an image or chart that the current blob belongs to; it may
	// be empty.
	Reference string
	// Done and Total are bytes of the whole step.
	Done, Total int64
}

// ProgressFunc is told how far a job is, about once a MiB. It is never called
// by two goroutines at once and must not block.
type ProgressFunc func(Progress)
