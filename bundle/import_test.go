package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alertlab/alertlab/bundle"
)

// node keeps what it is sent, as containerd would.
type node struct {
	name string
	// list and load replace what the node does.
	list func() error
	load func(ctx context.Context, archive io.Reader) error

	mu     sync.Mutex
	images map[string]string
	got    []int // bytes of each archive
}

func (n *node) Name() string { return n.name }

func (n *node) Images(context.Context) (map[string]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.list != nil {
		if err := n.list(); err != nil {
			return nil, err
		}
	}
	out := map[string]string{"sha256:abc": "sha256:abc"} // containerd lists ids too
	for ref, d := range n.images {
		out[ref] = d
	}
	return out, nil
}

func (n *node) Load(ctx context.Context, archive io.Reader) error {
	if n.load != nil {
		return n.load(ctx, archive)
	}
	data, err := io.ReadAll(archive)
	if err != nil {
		return err
	}
	b, err := bundle.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	if err := b.Verify(ctx, nil); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.images == nil {
		n.images = map[string]string{}
	}
	for _, e := range b.Images() {
		n.images[e.Reference] = e.Digest.String()
	}
	n.got = append(n.got, len(data))
	return nil
}

func TestImport(t *testing.T) {
	t.Parallel()
	path, _ := saved(t, sample(t))
	b := opened(t, path)
	digest := map[string]string{}
	for _, e := range b.Images() {
		digest[e.Reference] = e.Digest.String()
	}
	img, err := b.Image(redis)
	must(t, err)
	id, err := img.ConfigName()
	must(t, err)
	all := []string{redis, other, pause}
	nodes := []*node{
		{name: "empty"},
		{name: "has all", images: digest},
		{name: "has one by a short name", images: map[string]string{"redis:8.0": digest[redis]}},
		{name: "has one by its id", images: map[string]string{redis: id.String()}},
		{name: "has another redis", images: map[string]string{redis: digest[pause]}},
	}
	skipped := [][]string{nil, all, {redis}, {redis}, nil}
	sent := [][]string{all, nil, {other, pause}, {other, pause}, all}
	var ask []bundle.Node
	for _, n := range nodes {
		ask = append(ask, n)
	}
	var last bundle.Progress
	reports, err := b.Import(context.Background(), ask, bundle.ImportOptions{Concurrency: 2, Progress: func(p bundle.Progress) {
		if p.Node == "empty" {
			last = p
		}
	}})
	must(t, err)
	for i, r := range reports {
		if r.Node != nodes[i].name || !slices.Equal(r.Skipped, skipped[i]) || !slices.Equal(r.Sent, sent[i]) {
			t.Errorf("%+v, want sent %q, skipped %q", r, sent[i], skipped[i])
		}
		if (len(r.Sent) == 0) != (len(nodes[i].got) == 0) || len(r.Sent) > 0 && r.Bytes != int64(nodes[i].got[0]) {
			t.Errorf("%+v, and it got %v", r, nodes[i].got)
		}
	}
	if last.Done != last.Total || last.Total != reports[0].Bytes || last.Step != "send" {
		t.Errorf("last progress %+v", last)
	}
	again, err := b.Import(context.Background(), ask, bundle.ImportOptions{Images: []string{"redis:8.0"}})
	must(t, err)
	for _, r := range again {
		if len(r.Sent) != 0 || !slices.Equal(r.Skipped, []string{redis}) {
			t.Errorf("the second time: %+v", r)
		}
	}
	if _, err := b.Import(context.Background(), ask, bundle.ImportOptions{Images: []string{redis, "x:1", "y:2"}}); !errors.Is(err, bundle.ErrNotFound) {
		t.Error(err)
	}
}

func TestImportFailures(t *testing.T) {
	t.Parallel()
	path, _ := saved(t, sample(t))
	b := opened(t, path)
	errNode := errors.New("no room")
	good := &node{name: "good"}
	nodes := []bundle.Node{
		&node{name: "does not list", list: func() error { return errNode }},
		&node{name: "stops in the middle", load: func(_ context.Context, r io.Reader) error {
			_, _ = io.CopyN(io.Discard, r, 5000)
			return errNode
		}},
		&node{name: "does nothing", load: func(_ context.Context, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		}},
		good,
	}
	reports, err := b.Import(context.Background(), nodes, bundle.ImportOptions{Concurrency: 1})
	var failed *bundle.NodeError
	if !errors.As(err, &failed) || failed.Node != "does not list" || failed.Step != "list" || !errors.Is(err, errNode) {
		t.Errorf("%v", err)
	}
	for i, step := range []string{"list", "load", "confirm"} {
		var e *bundle.NodeError
		if !errors.As(reports[i].Err, &e) || e.Step != step || len(reports[i].Sent) != 0 {
			t.Errorf("%+v", reports[i])
		}
	}
	if r := reports[3]; r.Err != nil || len(r.Sent) != 3 || len(good.images) != 3 {
		t.Errorf("%+v", r)
	}
}

func TestImportDamaged(t *testing.T) {
	t.Parallel()
	path, content := saved(t, sample(t))
	b := opened(t, path)
	// A layer that the client has not read yet goes bad on disk.
	names, _ := tarEntries(t, content)
	at := bytes.Index(content, []byte(names[len(names)-8])) + 512 + 1
	content[at] ^= 1
	must(t, os.WriteFile(path, content, 0o600))
	n := &node{name: "n", load: func(_ context.Context, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		if err == nil {
			t.Error("the node got all of it")
		}
		return errors.New("exit status 1") // what a program on the node makes of it
	}}
	_, err := b.Import(context.Background(), []bundle.Node{n}, bundle.ImportOptions{})
	var p *bundle.Problem
	if !errors.As(err, &p) || len(p.Owners) == 0 {
		t.Errorf("%v", err)
	}
}

func TestImportCancelled(t *testing.T) {
	t.Parallel()
	path, _ := saved(t, sample(t))
	b := opened(t, path)
	ctx, cancel := context.WithCancel(context.Background())
	started := make(chan struct{}, 2)
	stuck := func(ctx context.Context, r io.Reader) error {
		_, _ = io.CopyN(io.Discard, r, 1000)
		started <- struct{}{}
		<-ctx.Done()
		_, err := io.Copy(io.Discard, r)
		return err
	}
	nodes := []bundle.Node{&node{name: "a", load: stuck}, &node{name: "b", load: stuck}, &node{name: "never begun"}}
	go func() {
		<-started
		<-started
		cancel()
	}()
	begin := time.Now()
	reports, err := b.Import(ctx, nodes, bundle.ImportOptions{Concurrency: 2})
	if !errors.Is(err, context.Canceled) || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
	for _, r := range reports {
		if !errors.Is(r.Err, context.Canceled) {
			t.Errorf("%+v", r)
		}
	}
}
