package objectstore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/objectstore/gateway"
)

const (
	serverArg  = "serve-as-child"
	parentArg  = "be-a-parent"
	accessKey  = "test-access"
	secretKey  = "test-secret-which-nobody-may-see"
	bucketName = "rubin-alert-archive"
)

// TestMain lets this binary play the child process, and for the kill test also
// a parent of it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case serverArg:
			if err := gateway.ServeMain(context.Background(), os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case parentArg:
			beParent(os.Args[2])
		}
	}
	os.Exit(m.Run())
}

// beParent starts a child, tells its PID and address, and waits to be killed.
func beParent(root string) {
	c, err := objectstore.StartChild(context.Background(), config(root))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(c.PID(), c.Address())
	select {}
}

func config(root string) objectstore.Config {
	return objectstore.Config{
		Args: []string{serverArg}, Root: root, Address: "127.0.0.1:0",
		AccessKey: accessKey, SecretKey: secretKey,
	}
}

func start(t testing.TB, cfg objectstore.Config) *objectstore.Child {
	t.Helper()
	c, err := objectstore.StartChild(ctx(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func client(t testing.TB, endpoint string) *objectstore.Client {
	t.Helper()
	c := objectstore.NewClient(objectstore.ClientConfig{Endpoint: endpoint, AccessKey: accessKey, SecretKey: secretKey})
	t.Cleanup(c.Close)
	return c
}

func ctx(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "store")
	child := start(t, config(root))
	c := client(t, child.Endpoint())

	must(t, c.EnsureBucket(ctx(t), bucketName))
	must(t, c.EnsureBucket(ctx(t), bucketName))

	const key = "v2/alerts/123132/1231321321.avro.gz"
	body := bytes.Repeat([]byte("alert\x00\xff"), 10_000)
	must(t, c.Put(ctx(t), bucketName, key, []byte("an older version")))
	must(t, c.Put(ctx(t), bucketName, key, body))
	got, err := c.Bytes(ctx(t), bucketName, key)
	must(t, err)
	if !bytes.Equal(got, body) {
		t.Errorf("read %d bytes back, not the %d that were put", len(got), len(body))
	}
	size, err := c.Stat(ctx(t), bucketName, key)
	must(t, err)
	if size != int64(len(body)) {
		t.Errorf("size %d, want %d", size, len(body))
	}
	o, err := c.Get(ctx(t), bucketName, key)
	must(t, err)
	defer o.Body.Close()
	if o.Size != int64(len(body)) {
		t.Errorf("Get says %d bytes, want %d", o.Size, len(body))
	}

	must(t, c.Delete(ctx(t), bucketName, key))
	must(t, c.Delete(ctx(t), bucketName, key))
	if _, err := c.Get(ctx(t), bucketName, key); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("after Delete: %v", err)
	}
	if err := c.Put(ctx(t), bucketName, "empty", nil); err != nil {
		t.Errorf("empty object: %v", err)
	}
}

// Copies are nothing that our own client makes; the observatory's tools do.
func TestCopy(t *testing.T) {
	t.Parallel()
	child := start(t, config(filepath.Join(t.TempDir(), "store")))
	c := client(t, child.Endpoint())
	must(t, c.EnsureBucket(ctx(t), bucketName))
	body := bytes.Repeat([]byte("alert"), 10_000)
	must(t, c.Put(ctx(t), bucketName, "v2/one", body))
	foreign := foreignClient(child, accessKey, secretKey)
	_, err := foreign.CopyObject(ctx(t), &s3.CopyObjectInput{
		Bucket: aws.String(bucketName), Key: aws.String("v2/two"), CopySource: aws.String(bucketName + "/v2/one"),
	})
	must(t, err)
	if got, err := c.Bytes(ctx(t), bucketName, "v2/two"); err != nil || !bytes.Equal(got, body) {
		t.Errorf("the copy has %d bytes (%v), want %d", len(got), err, len(body))
	}
}

func foreignClient(child *objectstore.Child, access, secret string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(child.Endpoint()), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(access, secret, ""),
	})
}

// Who is refused is told so in S3's words, and not that nothing is there.
func TestStrangers(t *testing.T) {
	t.Parallel()
	child := start(t, config(filepath.Join(t.TempDir(), "store")))
	c := client(t, child.Endpoint())
	must(t, c.EnsureBucket(ctx(t), bucketName))
	must(t, c.Put(ctx(t), bucketName, "there", []byte("x")))
	for want, stranger := range map[string]*s3.Client{
		"InvalidAccessKeyId":    foreignClient(child, "nobody", secretKey),
		"SignatureDoesNotMatch": foreignClient(child, accessKey, "wrong"),
	} {
		_, err := stranger.GetObject(ctx(t), &s3.GetObjectInput{Bucket: aws.String(bucketName), Key: aws.String("there")})
		var answer smithy.APIError
		var response *smithyhttp.ResponseError
		if !errors.As(err, &answer) || !errors.As(err, &response) || answer.ErrorCode() != want || response.HTTPStatusCode() != http.StatusForbidden {
			t.Errorf("want 403 %s, got %v", want, err)
		}
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	child := start(t, config(t.TempDir()))
	c := client(t, child.Endpoint())
	must(t, c.EnsureBucket(ctx(t), bucketName))

	const n = 1005 // a page of S3 holds 1000
	var g errgroup.Group
	g.SetLimit(32)
	for i := range n {
		g.Go(func() error { return c.Put(ctx(t), bucketName, fmt.Sprintf("a/%04d", i), []byte{1, 2, 3}) })
	}
	g.Go(func() error { return c.Put(ctx(t), bucketName, "b/other", nil) })
	must(t, g.Wait())

	i := 0
	for info, err := range c.List(ctx(t), bucketName, "a/") {
		must(t, err)
		if want := fmt.Sprintf("a/%04d", i); info.Key != want || info.Size != 3 {
			t.Fatalf("entry %d is %+v, want key %s, size 3", i, info, want)
		}
		i++
	}
	if i != n {
		t.Errorf("%d entries, want %d", i, n)
	}
	for range c.List(ctx(t), bucketName, "a/") {
		break // must not go on after the caller is done
	}
}

func TestErrorsNameTheObject(t *testing.T) {
	t.Parallel()
	child := start(t, config(t.TempDir()))
	c := client(t, child.Endpoint())
	must(t, c.EnsureBucket(ctx(t), bucketName))

	var missing *objectstore.NotFoundError
	_, err := c.Get(ctx(t), bucketName, "no/such")
	if !errors.As(err, &missing) || *missing != (objectstore.NotFoundError{Bucket: bucketName, Key: "no/such"}) {
		t.Errorf("missing object: %#v", err)
	}
	if errors.Is(err, objectstore.ErrNoBucket) {
		t.Errorf("missing object reads as a missing bucket: %v", err)
	}
	if _, err := c.Stat(ctx(t), bucketName, "no/such"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("stat of a missing object: %v", err)
	}
	for name, err := range map[string]error{
		"get":  second(c.Get(ctx(t), "no-such-bucket", "k")),
		"put":  c.Put(ctx(t), "no-such-bucket", "k", []byte("x")),
		"list": firstError(c, ctx(t), "no-such-bucket"),
	} {
		if !errors.As(err, &missing) || *missing != (objectstore.NotFoundError{Bucket: "no-such-bucket"}) ||
			!errors.Is(err, objectstore.ErrNoBucket) || !errors.Is(err, objectstore.ErrNotFound) {
			t.Errorf("%s in a missing bucket: %#v", name, err)
		}
	}

	stranger := objectstore.NewClient(objectstore.ClientConfig{Endpoint: child.Endpoint(), AccessKey: accessKey, SecretKey: "wrong"})
	defer stranger.Close()
	var refused *objectstore.RequestError
	err = stranger.Put(ctx(t), bucketName, "k", []byte("x"))
	if !errors.As(err, &refused) || refused.Code != "SignatureDoesNotMatch" || refused.Key != "k" {
		t.Errorf("wrong secret: %#v", err)
	}
	if strings.Contains(fmt.Sprint(err), secretKey) {
		t.Errorf("the error shows the secret: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func firstError(c *objectstore.Client, ctx context.Context, bucket string) error {
	for _, err := range c.List(ctx, bucket, "") {
		return err
	}
	return nil
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	statuses := map[string]int{"/b/busy": 503, "/b/broken": 500, "/b/slow": 429}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/b/cut" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(statuses[r.URL.Path])
	}))
	defer server.Close()
	c := client(t, server.URL)
	for _, key := range []string{"busy", "broken", "slow", "cut"} {
		var e *objectstore.UnavailableError
		if err := c.Put(ctx(t), "b", key, []byte("x")); !errors.As(err, &e) || e.Key != key || e.Status != statuses["/b/"+key] {
			t.Errorf("%s: %#v", key, err)
		}
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l.Close()
	var e *objectstore.UnavailableError
	if _, err := client(t, "http://"+l.Addr().String()).Get(ctx(t), "b", "k"); !errors.As(err, &e) {
		t.Errorf("nobody listens: %#v", err)
	}

	ended, cancel := context.WithCancel(ctx(t))
	cancel()
	if err := c.Put(ended, "b", "k", nil); !errors.Is(err, context.Canceled) || errors.As(err, &e) {
		t.Errorf("ended context: %#v", err)
	}
}

// TestKilledParent: after kill -9 of the parent the child must end by itself,
// and a new one must find folder and port free and all objects there.
func TestKilledParent(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	parent := exec.Command(os.Args[0], parentArg, root)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	var pid int
	var address string
	_, err = fmt.Fscan(bufio.NewReader(out), &pid, &address)
	must(t, err)
	c := client(t, "http://"+address)
	must(t, c.EnsureBucket(ctx(t), bucketName))
	must(t, c.Put(ctx(t), bucketName, "k", []byte("kept")))

	must(t, parent.Process.Kill())
	_ = parent.Wait()
	cfg := config(root)
	cfg.Address = address
	child := start(t, cfg)
	if child.Address() != address {
		t.Errorf("address %s, want %s", child.Address(), address)
	}
	if child.PID() == pid {
		t.Errorf("the old child (pid %d) still serves", pid)
	}
	got, err := client(t, child.Endpoint()).Bytes(ctx(t), bucketName, "k")
	must(t, err)
	if string(got) != "kept" {
		t.Errorf("read %q", got)
	}
}

// TestOneServerPerFolder: a second child waits until the first is gone.
func TestOneServerPerFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	first, err := objectstore.StartChild(ctx(t), config(root))
	must(t, err)
	type result struct {
		child *objectstore.Child
		err   error
	}
	results := make(chan result, 1)
	go func() {
		c, err := objectstore.StartChild(ctx(t), config(root))
		results <- result{c, err}
	}()
	select {
	case r := <-results:
		t.Fatalf("two children on one folder (%v)", r.err)
	case <-time.After(300 * time.Millisecond):
	}
	must(t, first.Stop(ctx(t)))
	r := <-results
	must(t, r.err)
	must(t, r.child.Stop(ctx(t)))
	if err, open := <-r.child.Done(); err != nil || !open {
		t.Errorf("Done yields %v (open %v), want nil once", err, open)
	}
	if _, open := <-r.child.Done(); open {
		t.Error("Done is not closed after its value")
	}
}

// TestPortIsRetried: the port may be held a little longer than the folder.
func TestPortIsRetried(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	cfg := config(t.TempDir())
	cfg.Address = l.Addr().String()
	time.AfterFunc(300*time.Millisecond, func() { l.Close() })
	child := start(t, cfg)
	must(t, client(t, child.Endpoint()).EnsureBucket(ctx(t), bucketName))
}

func TestDiesByItself(t *testing.T) {
	t.Parallel()
	child, err := objectstore.StartChild(ctx(t), config(t.TempDir()))
	must(t, err)
	p, err := os.FindProcess(child.PID())
	must(t, err)
	must(t, p.Kill())
	select {
	case err := <-child.Done():
		if err == nil {
			t.Error("an unasked end is reported as a stop")
		}
	case <-ctx(t).Done():
		t.Fatal("the end of the child was not noticed")
	}
	must(t, child.Stop(ctx(t)))
}

func TestDoesNotStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for name, tc := range map[string]struct {
		change func(*objectstore.Config)
		want   string
	}{
		"no program":   {func(c *objectstore.Config) { c.Executable = filepath.Join(file, "x") }, "not a directory"},
		"root a file":  {func(c *objectstore.Config) { c.Root = file }, "not a directory"},
		"no keys":      {func(c *objectstore.Config) { c.SecretKey = "" }, "secret"},
		"bad address":  {func(c *objectstore.Config) { c.Address = "nowhere" }, "address"},
		"other's host": {func(c *objectstore.Config) { c.Address = "192.0.2.1:0" }, "cannot assign"},
		"no answer":    {func(c *objectstore.Config) { c.Args = []string{"-test.run=^$"} }, "without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t.TempDir())
			tc.change(&cfg)
			child, err := objectstore.StartChild(ctx(t), cfg)
			var e *objectstore.StartError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want a StartError with %q", err, tc.want)
			}
			if child != nil {
				t.Error("a child that did not start")
			}
			if err != nil && strings.Contains(err.Error(), secretKey) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	cfg := config(t.TempDir())
	cfg.Address = l.Addr().String()
	short, cancel := context.WithTimeout(ctx(t), 400*time.Millisecond)
	defer cancel()
	if _, err := objectstore.StartChild(short, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("port taken: %v", err)
	}
}

// TestSidecar: a folder with a sidecar keeps it, as on file systems without
// extended attributes.
func TestSidecar(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "metadata"), 0o700))
	var log syncBuffer
	cfg := config(root)
	cfg.Log = &log
	child := start(t, cfg)
	if child.Metadata() != "sidecar" {
		t.Errorf("metadata in %s", child.Metadata())
	}
	c := client(t, child.Endpoint())
	must(t, c.EnsureBucket(ctx(t), bucketName))
	must(t, c.Put(ctx(t), bucketName, "a/b", []byte("x")))
	got, err := c.Bytes(ctx(t), bucketName, "a/b")
	must(t, err)
	if string(got) != "x" {
		t.Errorf("read %q", got)
	}
	must(t, child.Stop(ctx(t)))
	if strings.Contains(log.String(), secretKey) {
		t.Errorf("the log shows the secret:\n%s", log.String())
	}
}

func TestSecretsStayInThePipe(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("looks into /proc")
	}
	child := start(t, config(t.TempDir()))
	for _, file := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", child.PID(), file))
		must(t, err)
		if bytes.Contains(b, []byte(secretKey)) {
			t.Errorf("the secret is in the child's %s", file)
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
