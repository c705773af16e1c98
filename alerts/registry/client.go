package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// Client reads from any registry that speaks the Confluent API.
type Client struct{ sr *sr.Client }

// NewClient makes a client of the registry at baseURL (scheme, host, port).
// Options add TLS, authentication or another http.Client; the default one waits
// longer than a registry that passes a write on to its leader does, so that it gives
// up with the registry's own reason.
func NewClient(baseURL string, opts ...sr.ClientOpt) (*Client, error) {
	client, err := sr.NewClient(append([]sr.ClientOpt{sr.URLs(baseURL), sr.UserAgent("alertlab"),
		sr.HTTPClient(&http.Client{Timeout: forwardTimeout + 5*time.Second})}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("schema registry client for %s: %w", baseURL, err)
	}
	return &Client{sr: client}, nil
}

// API gives the underlying client, which covers the whole API.
func (c *Client) API() *sr.Client { return c.sr }

// SchemaByID returns the text of a schema as the registry holds it, or an
// error that is ErrNotFound if the registry has no such id.
func (c *Client) SchemaByID(ctx context.Context, id int) (string, error) {
	schema, err := c.sr.SchemaByID(ctx, id)
	if isNotFound(err) {
		return "", fmt.Errorf("id %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("schema %d from the registry: %w", id, err)
	}
	return schema.Schema, nil
}

// isNotFound tells a registry's "no such schema" from a 404 of something else
// in between, such as an ingress without a backend: only the former has that
// Confluent error code. Taking the latter for it would turn every alert that is
// being archived into a dead letter.
func isNotFound(err error) bool {
	var answer *sr.ResponseError
	return errors.As(err, &answer) && answer.ErrorCode == codeSchemaNotFound
}
