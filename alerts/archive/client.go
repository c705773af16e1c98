package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// ErrNotFound says that the alert database does not hold an alert or schema.
var ErrNotFound = errors.New("not in the alert database")

// StatusError is an answer that is neither the object nor a plain 404.
type StatusError struct {
	URL    string
	Status int
	// Detail is the server's reason, or the start of its answer.
	Detail string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("GET %s: %d %s: %s", e.URL, e.Status, http.StatusText(e.Status), e.Detail)
}

// Client reads from an alert database, ours or the reference's.
type Client struct {
	// URL is the address without /v1, for example http://127.0.0.10:3000.
	URL string
	// HTTP is http.DefaultClient if nil.
	HTTP *http.Client
	// Token is sent as a bearer token if it is set.
	Token string
}

// maxObject bounds what a client reads into memory: far above the largest
// message that the brokers take (10 MB), and small enough to survive a wrong
// URL or a gzip bomb.
const maxObject = 256 << 20

// Alert returns the wire bytes of an alert as they were in Kafka: Confluent
// header and Avro datum. It fails with ErrNotFound or *StatusError.
func (c Client) Alert(ctx context.Context, id int64) ([]byte, error) {
	stored, err := c.get(ctx, "/v1/alerts/"+strconv.FormatInt(id, 10))
	if err != nil {
		return nil, err
	}
	// Objects from sites without compression come as they are, with the same
	// headers. A wire message begins with 0, gzip with 1f 8b.
	if !bytes.HasPrefix(stored, []byte{0x1f, 0x8b}) {
		return stored, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(stored))
	if err != nil {
		return nil, fmt.Errorf("alert %d: %w", id, err)
	}
	wire, err := readAll(z)
	if err != nil {
		return nil, fmt.Errorf("alert %d: %w", id, err)
	}
	return wire, nil
}

// Schema returns a writer schema as the registry had it. It fails with
// ErrNotFound or *StatusError.
func (c Client) Schema(ctx context.Context, id int) (string, error) {
	b, err := c.get(ctx, "/v1/schemas/"+strconv.Itoa(id))
	return string(b), err
}

func (c Client) get(ctx context.Context, path string) ([]byte, error) {
	url := strings.TrimSuffix(c.URL, "/") + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := readAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", url, err)
	}
	if resp.StatusCode == http.StatusOK {
		return body, nil
	}
	var reason errorBody
	if json.Unmarshal(body, &reason) != nil || reason.Detail == "" {
		reason.Detail = string(body[:min(len(body), 200)])
	}
	// A 404 of something else, such as a proxy without this route, must not
	// read as "no such alert".
	if resp.StatusCode == http.StatusNotFound && strings.HasSuffix(reason.Detail, " not found") {
		return nil, fmt.Errorf("%s: %w", url, ErrNotFound)
	}
	return nil, &StatusError{URL: url, Status: resp.StatusCode, Detail: reason.Detail}
}

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxObject+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxObject {
		return nil, fmt.Errorf("larger than %d bytes", maxObject)
	}
	return b, nil
}
