package objectstore

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound matches every *NotFoundError: no such object or no such
	// bucket.
	ErrNotFound = errors.New("not found")
	// ErrNoBucket matches a *NotFoundError whose bucket is missing, which is a
	// mistake of set-up rather than an ordinary miss.
	ErrNoBucket = errors.New("no such bucket")
	// ErrChanged matches every *ChangedError.
	ErrChanged = errors.New("written again")
)

// NotFoundError names what the store does not hold. A missing bucket has an
// empty Key.
type NotFoundError struct{ Bucket, Key string }

func (e *NotFoundError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("no such bucket: %s", e.Bucket)
	}
	return fmt.Sprintf("no such object: %s/%s", e.Bucket, e.Key)
}

// Is matches ErrNotFound, and ErrNoBucket where the bucket is missing.
func (e *NotFoundError) Is(target error) bool {
	return target == ErrNotFound || target == ErrNoBucket && e.Key == ""
}

// UnavailableError is a failure that may pass by itself: the store could not
// be reached, broke off, or answered 5xx or 429. The same request may be sent
// again.
type UnavailableError struct {
	// Op is the S3 operation, Bucket and Key its object where it has one.
	Op, Bucket, Key string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	Err    error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("object store unavailable: %s %s/%s: %v", e.Op, e.Bucket, e.Key, e.Err)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// RequestError is every other refusal, such as wrong credentials: sending the
// same request again will not help until someone changes something.
type RequestError struct {
	Op, Bucket, Key string
	Status          int
	// Code is S3's error code, for example SignatureDoesNotMatch.
	Code string
	Err  error
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("object store refused %s %s/%s: %v", e.Op, e.Bucket, e.Key, e.Err)
}

func (e *RequestError) Unwrap() error { return e.Err }

// ChangedError says that an object is not what it was when it was looked at.
type ChangedError struct{ Bucket, Key string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("object %s/%s was written again meanwhile", e.Bucket, e.Key)
}

// Is matches ErrChanged.
func (e *ChangedError) Is(target error) bool { return target == ErrChanged }
