package objectstore

import (
	"context"
	"crypto/tls"
	"errors"
	"iter"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"
)

// defaultRegion is the region that every deployment of the alert database
// signs with, whatever store stands behind it.
const defaultRegion = "us-east-1"

// defaultConnections lets the ingester's parallel PUTs all keep their
// connections; Go's own default of two idle ones per host would dial anew for
// most requests.
const defaultConnections = 64

// ClientConfig says how to reach an S3 store.
type ClientConfig struct {
	// Endpoint is the store's base URL, for example http://127.0.0.10:9000.
	Endpoint string
	// Region is us-east-1 if empty.
	Region               string
	AccessKey, SecretKey string
	// VirtualHost puts the bucket before the endpoint's host (BUCKET.HOST), not
	// first in the path, as AWS wants it of new buckets. Most other stores are
	// reached by the path alone.
	VirtualHost bool
	// Checksum sends a CRC-32C of each object that is put, so that the store
	// refuses what came damaged, and needs no checksum of its own making. The
	// stores at the sites do not all know the header.
	Checksum bool
	// TLS is for a private CA; nil means the system's.
	TLS *tls.Config
	// Connections bounds the connections to the store; 64 if zero. Requests
	// beyond it wait.
	Connections int
}

// Client is an S3 client. It is safe for concurrent use. It does not retry: a
// *UnavailableError tells the caller that it may.
type Client struct {
	s3   *s3.Client
	idle *http.Transport

	// For the requests of object.go.
	http        *http.Client
	base        base
	endpointErr error // the endpoint is no URL
	region      string
	keys        aws.CredentialsProvider
	signer      *v4.Signer
	checksum    bool
}

// NewClient makes a client; it does not connect yet.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	if cfg.Connections <= 0 {
		cfg.Connections = defaultConnections
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     cfg.TLS,
		MaxConnsPerHost:     cfg.Connections,
		MaxIdleConns:        cfg.Connections,
		MaxIdleConnsPerHost: cfg.Connections,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		// Alert objects are gzip already, and their bytes must arrive as
		// they are stored.
		DisableCompression: true,
		// One write per request: an alert of 60 kB and its headers.
		WriteBufferSize: 128 << 10,
		ReadBufferSize:  32 << 10,
	}
	c := &Client{
		idle: transport,
		// A signature holds for one address: what is elsewhere is an error.
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		region: cfg.Region, checksum: cfg.Checksum,
		keys:   aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey, "")),
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), // S3 alone signs paths as they are
	}
	c.base, c.endpointErr = newBase(cfg.Endpoint, cfg.VirtualHost)
	c.s3 = s3.New(s3.Options{
		BaseEndpoint: aws.String(cfg.Endpoint),
		Region:       cfg.Region,
		Credentials:  c.keys,
		UsePathStyle: !cfg.VirtualHost,
		HTTPClient:   c.http,
		Retryer:      aws.NopRetryer{},
		// The stores at the sites do not all know the newer checksum headers.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
	return c
}

// Close drops idle connections. The client may still be used.
func (c *Client) Close() {
	c.idle.CloseIdleConnections()
}

// EnsureBucket makes the bucket unless it is there.
func (c *Client) EnsureBucket(ctx context.Context, bucket string) error {
	const op = "HeadBucket"
	_, err := c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket})
	err = wrap(ctx, op, bucket, "", err)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	_, err = c.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "BucketAlreadyOwnedByYou" {
		return nil // someone else made it between our two requests
	}
	return wrap(ctx, "CreateBucket", bucket, "", err)
}

// DeleteBucket deletes a bucket with every object in it; a missing one is no error.
// Objects that are written meanwhile make it fail.
func (c *Client) DeleteBucket(ctx context.Context, bucket string) error {
	const side = 16 // deletions side by side: each is a round trip and little else
	group, deleting := errgroup.WithContext(ctx)
	group.SetLimit(side)
	var listed error
	for info, err := range c.List(deleting, bucket, "") {
		if errors.Is(err, ErrNoBucket) {
			return group.Wait()
		}
		if listed = err; err != nil {
			break
		}
		group.Go(func() error { return c.Delete(deleting, bucket, info.Key) })
	}
	if err := group.Wait(); err != nil { // it ends the listing, too
		return err
	}
	if listed != nil {
		return listed
	}
	_, err := c.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	if err = wrap(ctx, "DeleteBucket", bucket, "", err); errors.Is(err, ErrNoBucket) {
		return nil
	}
	return err
}

// Stat returns the size of an object in bytes. S3 gives no reason with a HEAD,
// so a missing bucket shows as a missing object.
func (c *Client) Stat(ctx context.Context, bucket, key string) (int64, error) {
	out, err := c.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return 0, wrap(ctx, "HeadObject", bucket, key, err)
	}
	return length(out.ContentLength), nil
}

func length(n *int64) int64 {
	if n == nil {
		return -1
	}
	return *n
}

// Delete removes an object; a missing one is no error.
func (c *Client) Delete(ctx context.Context, bucket, key string) error {
	_, err := c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	return wrap(ctx, "DeleteObject", bucket, key, err)
}

// DeleteUnchanged removes an object unless it was written again after modified, the
// time that a listing gave: then the error matches ErrChanged. A missing object is no
// error. Stores that know x-amz-if-match-last-modified-time look and delete in one
// (to the second, as S3 keeps time); with others a write in between the two is lost.
func (c *Client) DeleteUnchanged(ctx context.Context, bucket, key string, modified time.Time) error {
	const op = "DeleteObject"
	head, err := c.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	err = wrap(ctx, "HeadObject", bucket, key, err)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	changed := &ChangedError{Bucket: bucket, Key: key}
	// A listing may be more exact than the header of an answer.
	if aws.ToTime(head.LastModified).Unix() > modified.Unix() {
		return changed
	}
	_, err = c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key, IfMatchLastModifiedTime: aws.Time(modified)})
	err = wrap(ctx, op, bucket, key, err)
	var refused *RequestError
	var unavailable *UnavailableError
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusPreconditionFailed:
		return changed
	case errors.As(err, &unavailable) && unavailable.Status == http.StatusNotImplemented:
		return c.Delete(ctx, bucket, key)
	}
	return err
}

// ObjectInfo is one entry of a listing.
type ObjectInfo struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}

// List yields the objects whose key begins with prefix, in key order, fetching
// pages as they are needed. After an error it ends.
func (c *Client) List(ctx context.Context, bucket, prefix string) iter.Seq2[ObjectInfo, error] {
	return func(yield func(ObjectInfo, error) bool) {
		pages := s3.NewListObjectsV2Paginator(c.s3, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(ObjectInfo{}, wrap(ctx, "ListObjectsV2", bucket, "", err))
				return
			}
			for _, o := range page.Contents {
				info := ObjectInfo{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)}
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// wrap sorts an error of the SDK into ours. An error that only says that the
// caller's own context ended stays what it is.
func wrap(ctx context.Context, op, bucket, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	status, code := 0, ""
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	return sorted(op, bucket, key, status, code, err)
}

// sorted makes the error of an answer by its HTTP status, 0 where there was none,
// and S3's code.
func sorted(op, bucket, key string, status int, code string, err error) error {
	switch {
	case code == "NoSuchBucket":
		return &NotFoundError{Bucket: bucket}
	case code == "NoSuchKey", status == http.StatusNotFound:
		return &NotFoundError{Bucket: bucket, Key: key}
	case status == 0, status >= 500, status == http.StatusTooManyRequests:
		return &UnavailableError{Op: op, Bucket: bucket, Key: key, Status: status, Err: err}
	}
	return &RequestError{Op: op, Bucket: bucket, Key: key, Status: status, Code: code, Err: err}
}
