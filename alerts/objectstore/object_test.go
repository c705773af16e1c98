package objectstore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/alertlab/alertlab/alerts/objectstore"
)

// TestKeysOfAnyKind: what is put under a key is what the SDK, which escapes and signs
// by itself, finds there, and the other way round.
func TestKeysOfAnyKind(t *testing.T) {
	t.Parallel()
	child := start(t, config(filepath.Join(t.TempDir(), "store")))
	c, foreign := client(t, child.Endpoint()), foreignClient(child, accessKey, secretKey)
	must(t, c.EnsureBucket(ctx(t), bucketName))
	for _, key := range []string{
		"v2/alerts/281323/281323062375219200.avro.gz", "v2/deadletters/lsst-alerts-v11.0/3/17.json",
		"a b", "plus+plus", "percent%20", "ü/ß", "a:b@c,d;e=f&g?h#i", "tilde~", "(brackets)[square]",
	} {
		must(t, c.Put(ctx(t), bucketName, key, []byte("ours "+key)))
		out, err := foreign.GetObject(ctx(t), &s3.GetObjectInput{Bucket: aws.String(bucketName), Key: aws.String(key)})
		if err != nil {
			t.Errorf("%q: the SDK does not find it: %v", key, err)
			continue
		}
		got, err := io.ReadAll(out.Body)
		must(t, err)
		if string(got) != "ours "+key {
			t.Errorf("%q: the SDK finds %q", key, got)
		}
		if got, err := c.Bytes(ctx(t), bucketName, key); err != nil || string(got) != "ours "+key {
			t.Errorf("%q: we find %q, %v", key, got, err)
		}
	}
}

// TestChecksum: the store keeps the checksum that was sent, and refuses an object that
// does not fit it.
func TestChecksum(t *testing.T) {
	t.Parallel()
	child := start(t, config(filepath.Join(t.TempDir(), "store")))
	c := objectstore.NewClient(objectstore.ClientConfig{Endpoint: child.Endpoint(), AccessKey: accessKey, SecretKey: secretKey, Checksum: true})
	t.Cleanup(c.Close)
	must(t, c.EnsureBucket(ctx(t), bucketName))
	body := []byte("an alert")
	must(t, c.Put(ctx(t), bucketName, "k", body))
	must(t, c.Put(ctx(t), bucketName, "empty", nil))
	head, err := foreignClient(child, accessKey, secretKey).HeadObject(ctx(t), &s3.HeadObjectInput{
		Bucket: aws.String(bucketName), Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled,
	})
	must(t, err)
	want := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))))
	if got := aws.ToString(head.ChecksumCRC32C); got != want {
		t.Errorf("the store says CRC-32C %q, want %q", got, want)
	}

	// A proxy on the way that damages what it passes on.
	damaging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		body[0] ^= 1
		req, _ := http.NewRequestWithContext(r.Context(), r.Method, child.Endpoint()+r.URL.Path, bytes.NewReader(body))
		req.Header, req.ContentLength, req.Host = r.Header, int64(len(body)), r.Host
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	defer damaging.Close()
	for checksum, want := range map[bool]string{true: "BadDigest", false: ""} {
		c := objectstore.NewClient(objectstore.ClientConfig{Endpoint: damaging.URL, AccessKey: accessKey, SecretKey: secretKey, Checksum: checksum})
		err := c.Put(ctx(t), bucketName, "damaged", body)
		var refused *objectstore.RequestError
		code := ""
		if errors.As(err, &refused) {
			code = refused.Code
		}
		if code != want {
			t.Errorf("checksum %v: a damaged object gives %v, want code %q", checksum, err, want)
		}
		c.Close()
	}
}

// TestAddresses: where requests go by the path and by the host, and that nothing is
// followed elsewhere, where the signature would not hold.
func TestAddresses(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Host + r.URL.EscapedPath())
		if r.Method != http.MethodPut && r.URL.Path != "/elsewhere" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	host := server.Listener.Addr().String()
	for _, one := range []struct {
		endpoint string
		virtual  bool
		want     string
	}{
		{"http://" + host, false, host + "/b/v1/a%20b"},
		{"http://" + host + "/", false, host + "/b/v1/a%20b"},
		{"http://" + host + "/s3/", false, host + "/s3/b/v1/a%20b"},
		{"http://" + host, true, "b." + host + "/v1/a%20b"},
	} {
		c := objectstore.NewClient(objectstore.ClientConfig{Endpoint: one.endpoint, VirtualHost: one.virtual, AccessKey: "a", SecretKey: "s"})
		if one.virtual {
			c.DialTo(host)
		}
		must(t, c.Put(ctx(t), "b", "v1/a b", nil))
		if got := asked.Load(); got != one.want {
			t.Errorf("%s, virtual %v: asked %s, want %s", one.endpoint, one.virtual, got, one.want)
		}
		var refused *objectstore.RequestError
		if _, err := c.Get(ctx(t), "b", "v1/a b"); !errors.As(err, &refused) || refused.Status != http.StatusTemporaryRedirect {
			t.Errorf("redirected: %v", err)
		}
		// A page that is there, elsewhere, is no object that is there, or deleted.
		if _, err := c.Stat(ctx(t), "b", "v1/a b"); !errors.As(err, &refused) {
			t.Errorf("redirected when asked for its size: %v", err)
		}
		if err := c.Delete(ctx(t), "b", "v1/a b"); !errors.As(err, &refused) {
			t.Errorf("redirected when deleting: %v", err)
		}
		c.Close()
	}
	if err := objectstore.NewClient(objectstore.ClientConfig{Endpoint: "http://bad host/"}).Put(context.Background(), "b", "k", nil); err == nil {
		t.Error("an endpoint that is no URL was used")
	}
}
