package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"

	"github.com/alertlab/alertlab/alerts/objectstore/internal/childproto"
)

const (
	// takeoverLimit bounds the wait for a predecessor that has lost its parent
	// but not yet let go of the folder or the port. It ends within drainLimit
	// of its parent's death, so this is ample.
	takeoverLimit = 10 * time.Second
	// drainLimit bounds how long requests in progress may still finish.
	drainLimit = 2 * time.Second
	// portRetry is how often a port that is still held is tried again: the
	// kernel has no event for a port that becomes free.
	portRetry = 20 * time.Millisecond
	// maxRequests is well above the clients' connection pools.
	maxRequests = 1024
	// copyBuffer holds one alert: the backend's own default of 1 MiB for each
	// request in progress would be most of the child's memory.
	copyBuffer = 128 << 10
	// maxCopySource is S3's limit of what one CopyObject takes. The backend says
	// that it is its default, and refuses every copy without it: boto3 showed it.
	maxCopySource = 5 << 30
)

// ServeMain is the main of the child process. It reads one line of JSON
// configuration from stdin, serves, says on stdout that it is ready, and
// returns nil when ctx ends or stdin does, which means that the parent is gone.
// The process must exit when it returns: requests that did not finish within a
// short grace, and the lock on the folder, live until then.
func ServeMain(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	err := serve(ctx, stdin, stdout)
	if err != nil {
		// If the parent is gone too, there is no one to tell.
		_ = json.NewEncoder(stdout).Encode(childproto.Message{Alertlab: childproto.Mark, Failed: err.Error()})
	}
	return err
}

func serve(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	var cfg childproto.Config
	if err := json.Unmarshal(line, &cfg); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()

	// 0700: objects are for this service's accounts, not for the host's users.
	if err := os.MkdirAll(cfg.Root, 0o700); err != nil {
		return err
	}
	deadline := time.Now().Add(takeoverLimit)
	if err := lock(ctx, filepath.Join(cfg.Root, "lock"), deadline); err != nil {
		return quiet(ctx, err)
	}
	buckets := filepath.Join(cfg.Root, "buckets")
	if err := os.MkdirAll(buckets, 0o700); err != nil {
		return err
	}
	store, err := openMetadata(cfg.Root, buckets)
	if err != nil {
		return err
	}

	for {
		err := run(ctx, cfg, buckets, store, stdout)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return quiet(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(portRetry):
		}
	}
}

// quiet drops an error that only says that we were told to stop.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// run serves until ctx ends or the gateway fails.
func run(ctx context.Context, cfg childproto.Config, buckets string, store metadata, stdout io.Writer) error {
	address, err := pickPort(cfg.Address)
	if err != nil {
		return err
	}
	opts := posix.PosixOpts{
		SideCarDir: store.sidecar,
		// The lock on the folder already keeps every other process out, and
		// one advisory lock file per publish would be two system calls more.
		ForceNoObjLockFile:  true,
		IOBufferSize:        copyBuffer,
		Concurrency:         maxRequests,
		CopyObjectThreshold: maxCopySource,
	}
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	backend, err := posix.New(buckets, store.storer, opts)
	if err != nil {
		return fmt.Errorf("open %s: %w", buckets, err)
	}

	listening := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
			RootUserAccess:    cfg.AccessKey,
			RootUserSecret:    cfg.SecretKey,
			Region:            cfg.Region,
			Ports:             []string{address},
			IAMService:        oneAccount{auth.NewIAMServiceSingle(auth.Account{Access: cfg.AccessKey, Secret: cfg.SecretKey, Role: auth.RoleAdmin})},
			MaxConnections:    maxRequests,
			MaxRequests:       maxRequests,
			MultipartMaxParts: 10000,
			KeepAlive:         true,
			Quiet:             true,
			HealthPath:        healthPath,
			S3Options:         []s3api.Option{s3api.WithOnListen(func() { close(listening) })},
		})
	}()

	select {
	case err := <-ended:
		return err
	case <-listening:
	}
	if err := checkHealth(ctx, address); err != nil {
		return err
	}
	err = json.NewEncoder(stdout).Encode(childproto.Message{
		Alertlab: childproto.Mark, Ready: true, Address: address, Metadata: store.kind,
	})
	if err != nil {
		return fmt.Errorf("say that it is ready: %w", err)
	}

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(drainLimit):
		return nil
	}
}

// pickPort replaces port 0 by a free port: the gateway does not tell which one
// it took.
func pickPort(address string) (string, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("listen address: %w", err)
	}
	if port != "0" {
		return address, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen address: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// oneAccount is the service of accounts with the lab's keys alone. The gateway's
// own one answers an unknown key with 404 and a code of its administration, which
// a client takes for a missing object; S3 answers 403, InvalidAccessKeyId. boto3
// showed it.
type oneAccount struct{ auth.IAMService }

func (a oneAccount) GetUserAccount(access string) (auth.Account, error) {
	account, err := a.IAMService.GetUserAccount(access)
	if err != nil {
		err = auth.ErrNoSuchUser
	}
	return account, err
}

// metadata is where the gateway keeps what S3 knows of an object beside its
// bytes.
type metadata struct {
	kind    string // xattr or sidecar
	storer  meta.MetadataStorer
	sidecar string // folder, if kind is sidecar
}

// openMetadata chooses extended attributes, or a sidecar folder on file systems
// that have none. A folder once used with a sidecar keeps it: its objects'
// metadata is only there.
func openMetadata(root, buckets string) (metadata, error) {
	sidecar := filepath.Join(root, "metadata")
	_, err := os.Stat(sidecar)
	if errors.Is(err, os.ErrNotExist) {
		if xattrsWork(root) {
			return metadata{kind: "xattr", storer: meta.XattrMeta{}}, nil
		}
		err = os.Mkdir(sidecar, 0o700)
	}
	if err != nil {
		return metadata{}, err
	}
	storer, err := meta.NewSideCar(sidecar)
	if err != nil {
		return metadata{}, fmt.Errorf("open sidecar metadata: %w", err)
	}
	return metadata{kind: "sidecar", storer: storer, sidecar: sidecar}, nil
}

// xattrsWork writes one, because asking for one proves nothing: a file system
// may know attributes and yet refuse those of users.
func xattrsWork(root string) bool {
	f, err := os.CreateTemp(root, ".xattr-*")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return meta.XattrMeta{}.StoreAttribute(f, root, filepath.Base(f.Name()), "probe", []byte("1")) == nil
}
