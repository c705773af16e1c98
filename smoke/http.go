package smoke

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody bounds what is read of an answer: far above the largest alert
// message that brokers take (10 MB), far below what would hurt.
const maxBody = 32 << 20

func newHTTPClient(conf *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     conf,
			TLSHandshakeTimeout: dialTimeout,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     30 * time.Second,
			ForceAttemptHTTP2:   true,
			// The alert database serves gzip as content: the bytes must
			// come through as they are stored.
			DisableCompression: true,
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			// A write that is redirected has not been refused.
			if via[0].Method != http.MethodGet || len(via) >= 5 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// answer is a whole HTTP answer.
type answer struct {
	status    int
	body      []byte
	challenge string // WWW-Authenticate
}

// String shows the status and the beginning of the body.
func (a answer) String() string {
	const most = 120
	body := strings.Join(strings.Fields(string(a.body[:min(len(a.body), most)])), " ")
	text := fmt.Sprintf("%d", a.status)
	if name := http.StatusText(a.status); name != "" {
		text += " " + name
	}
	if body != "" {
		text += fmt.Sprintf(" %q", body)
	}
	return text
}

// do sends one request; body may be "".
func (e *Env) do(ctx context.Context, method, address, contentType, body string) (answer, error) {
	head := http.Header{}
	if contentType != "" {
		head.Set("Content-Type", contentType)
	}
	return e.send(ctx, method, address, head, body)
}

// send sends one request with headers; body may be "".
func (e *Env) send(ctx context.Context, method, address string, head http.Header, body string) (answer, error) {
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, in)
	if err != nil {
		return answer{}, err
	}
	req.Header = head
	resp, err := e.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: reading the answer: %w", method, address, err)
	}
	if len(out) > maxBody {
		return answer{}, fmt.Errorf("%s %s: answer is longer than %d bytes", method, address, maxBody)
	}
	return answer{status: resp.StatusCode, body: out, challenge: resp.Header.Get("WWW-Authenticate")}, nil
}

func (e *Env) get(ctx context.Context, address string) (answer, error) {
	return e.do(ctx, http.MethodGet, address, "", "")
}

// fetch asks the alert database, with a token when it asks for one.
func (e *Env) fetch(ctx context.Context, address string) (answer, error) {
	return e.getAs(ctx, address, e.token())
}

// getAs asks with a token; none when it is "".
func (e *Env) getAs(ctx context.Context, address, token string) (answer, error) {
	head := http.Header{}
	if token != "" {
		head.Set("Authorization", "Bearer "+token)
	}
	return e.send(ctx, http.MethodGet, address, head, "")
}

// statusError is an answer with another status than was asked for.
type statusError struct {
	address string
	answer  answer
}

func (s *statusError) Error() string { return fmt.Sprintf("GET %s: %s", s.address, s.answer) }

// isStatus says whether err is an answer with this status.
func isStatus(err error, status int) bool {
	var s *statusError
	return errors.As(err, &s) && s.answer.status == status
}

// getJSON asks for a document that must be there.
func (e *Env) getJSON(ctx context.Context, address string, into any) error {
	a, err := e.get(ctx, address)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return &statusError{address: address, answer: a}
	}
	if err := json.NewDecoder(bytes.NewReader(a.body)).Decode(into); err != nil {
		return fmt.Errorf("GET %s: the answer is not the JSON expected: %w", address, err)
	}
	return nil
}

// under joins a base address and path segments, escaping each.
func under(base string, segments ...string) string {
	var b strings.Builder
	b.WriteString(strings.TrimRight(base, "/"))
	for _, s := range segments {
		b.WriteString("/")
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}
