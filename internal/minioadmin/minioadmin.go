// Package minioadmin is a client of the few calls of MinIO's administration protocol that
// users with least rights take: users, policies, and which user has which policy. MinIO's
// own client of it brings a monitoring system along. It knows nothing of labs.
//
// The protocol is version 3 of /minio/admin, as MinIO's server RELEASE.2026-02-12 serves
// it: requests are signed as S3's are, and a body with a secret in it is sealed with the
// key of whoever asks.
package minioadmin

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/secure-io/sio-go"
	"golang.org/x/crypto/argon2"
)

// Config says how to reach a server, and as whom: someone who may do everything.
type Config struct {
	Endpoint             string // URL, for example http://127.0.0.1:9000
	Region               string
	AccessKey, SecretKey string
}

// Client asks one server. Safe for concurrent use.
type Client struct {
	endpoint *url.URL
	region   string
	keys     aws.Credentials
	signer   *v4.Signer
	http     *http.Client
}

// New makes a client; it does not connect yet. The error says that the endpoint is no URL.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	return &Client{endpoint: u, region: cfg.Region, keys: aws.Credentials{AccessKeyID: cfg.AccessKey, SecretAccessKey: cfg.SecretKey},
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
		http:   &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}}, nil
}

// Error is an answer of the server that is not what was asked for.
type Error struct {
	Op      string // the call, as list-users
	Status  int    // of HTTP
	Code    string // MinIO's, as XMinioAdminNoSuchUser
	Message string // MinIO's
}

func (e *Error) Error() string {
	return fmt.Sprintf("MinIO refused %s: %d %s: %s", e.Op, e.Status, e.Code, e.Message)
}

// Is matches ErrNoUser and ErrNoPolicy.
func (e *Error) Is(target error) bool {
	return target == ErrNoUser && e.Code == "XMinioAdminNoSuchUser" || target == ErrNoPolicy && e.Code == "XMinioAdminNoSuchPolicy"
}

// What there is not.
var (
	ErrNoUser   = errors.New("no such user")
	ErrNoPolicy = errors.New("no such policy")
)

// User is a user as the server has it.
type User struct {
	// Policy is what is attached to the user itself: names, separated by commas.
	Policy string `json:"policyName"`
	// Status is enabled or disabled.
	Status string `json:"status"`
	// Groups may give it more.
	Groups []string `json:"memberOf"`
}

// Enabled is the status of a user who may log in.
const Enabled = "enabled"

// User gives a user by its access key; ErrNoUser when there is none.
func (c *Client) User(ctx context.Context, name string) (User, error) {
	var u User
	err := c.call(ctx, http.MethodGet, "user-info", url.Values{"accessKey": {name}}, nil, &u)
	return u, err
}

// SetUser makes a user or gives one that is there another key, and enables it.
func (c *Client) SetUser(ctx context.Context, name, secretKey string) error {
	text, err := json.Marshal(struct {
		SecretKey string `json:"secretKey"`
		Status    string `json:"status"`
	}{secretKey, Enabled})
	if err != nil {
		return err
	}
	body, err := seal(c.keys.SecretAccessKey, text)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, "add-user", url.Values{"accessKey": {name}}, body, nil)
}

// RemoveUser removes a user, who leaves its groups and loses its policies; one that is not
// there is no error.
func (c *Client) RemoveUser(ctx context.Context, name string) error {
	err := c.call(ctx, http.MethodDelete, "remove-user", url.Values{"accessKey": {name}}, nil, nil)
	if errors.Is(err, ErrNoUser) {
		return nil
	}
	return err
}

// Policy gives a policy as the server has it, which sorts lists its own way; ErrNoPolicy
// when there is none.
func (c *Client) Policy(ctx context.Context, name string) (Policy, error) {
	var p Policy
	err := c.call(ctx, http.MethodGet, "info-canned-policy", url.Values{"name": {name}}, nil, &p)
	return p, err
}

// SetPolicy makes a policy, or puts it in the place of the one of that name.
func (c *Client) SetPolicy(ctx context.Context, name string, p Policy) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, "add-canned-policy", url.Values{"name": {name}}, body, nil)
}

// RemovePolicy removes a policy that no user has; one that is not there is no error.
func (c *Client) RemovePolicy(ctx context.Context, name string) error {
	err := c.call(ctx, http.MethodDelete, "remove-canned-policy", url.Values{"name": {name}}, nil, nil)
	if errors.Is(err, ErrNoPolicy) {
		return nil
	}
	return err
}

// Attach gives a user this policy in the place of all that it had itself.
func (c *Client) Attach(ctx context.Context, policy, user string) error {
	return c.call(ctx, http.MethodPut, "set-user-or-group-policy", url.Values{"policyName": {policy}, "userOrGroup": {user}, "isGroup": {"false"}}, nil, nil)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// call makes one signed request. out is what the answer is read into, nil for nothing.
func (c *Client) call(ctx context.Context, method, op string, query url.Values, body []byte, out any) error {
	u := c.endpoint.JoinPath("minio/admin/v3", op)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", digest)
	if err := c.signer.SignHTTP(ctx, c.keys, req, digest, "s3", c.region, time.Now()); err != nil {
		return err
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		refused := &Error{Op: op, Status: answer.StatusCode}
		if json.Unmarshal(text, refused) != nil || refused.Code == "" {
			refused.Code, refused.Message = http.StatusText(answer.StatusCode), "the answer is none of MinIO's"
		}
		return refused
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("MinIO's answer to %s: %w", op, err)
	}
	return nil
}

// How a body is sealed: a salt, which the key is derived by together with the secret key
// of whoever sends it (Argon2id with these costs); the cipher's number; a nonce; and the
// text in sio's stream of AES-256 in GCM, which is number 0.
const (
	saltSize      = 32
	aes256GCM     = 0
	argonTime     = 1
	argonMemory   = 64 << 10 // KiB
	argonThreads  = 4
	sealedKeySize = 32
)

// seal encrypts a text for a server that knows the secret key of whoever sends it.
func seal(secretKey string, text []byte) ([]byte, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	stream, err := sio.AES_256_GCM.Stream(argon2.IDKey([]byte(secretKey), salt, argonTime, argonMemory, argonThreads, sealedKeySize))
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, stream.NonceSize())
	rand.Read(nonce)
	var out bytes.Buffer
	out.Write(salt)
	out.WriteByte(aes256GCM)
	out.Write(nonce)
	w := stream.EncryptWriter(&out, nonce, nil)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
