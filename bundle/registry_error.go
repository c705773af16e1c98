package bundle

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Why a registry did not do what was asked of it. A *RegistryError unwraps to one of
// them, or to none for what is not known.
var (
	// ErrUnreachable says that nothing answers there as a registry would.
	ErrUnreachable = errors.New("the registry does not answer")
	// ErrUnauthorised says that the registry wants to know who asks, or that whoever
	// asks may not.
	ErrUnauthorised = errors.New("the registry refuses the login")
	// ErrNoImage says that the registry has nothing of that name, or not for the
	// platform.
	ErrNoImage = errors.New("the registry has no such image")
)

// RegistryError says what a registry did not give or take.
type RegistryError struct {
	Registry  string // HOST or HOST:PORT
	Reference string // of the image or chart, as it is called there
	Kind      error  // one of the above, or nil
	Err       error
}

// Error names the registry and what was asked for.
func (e *RegistryError) Error() string {
	switch e.Kind {
	case ErrNoImage:
		return fmt.Sprintf("%s: %v", e.Reference, e.Kind)
	case nil:
		return fmt.Sprintf("%s: %v", e.Reference, e.Err)
	}
	return fmt.Sprintf("%s: %v: %v", e.Registry, e.Kind, e.Err)
}

// Unwrap gives the kind, and what was seen.
func (e *RegistryError) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Err}
	}
	return []error{e.Kind, e.Err}
}

// ofRegistry says which kind of failure err is; nil stays nil.
func ofRegistry(host, reference string, err error) error {
	if err == nil {
		return nil
	}
	e := &RegistryError{Registry: host, Reference: reference, Err: err}
	var answer *transport.Error
	var request *url.Error
	var network net.Error
	switch {
	case errors.Is(err, ErrPlainHTTP):
	case errors.As(err, &answer):
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			e.Kind = ErrUnauthorised
		case http.StatusNotFound:
			e.Kind = ErrNoImage
		}
	case errors.As(err, &request), errors.As(err, &network):
		e.Kind = ErrUnreachable
	}
	return e
}
