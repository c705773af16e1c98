package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	socket  = "unix:///run/containerd/containerd.sock"
	timeout = 10 * time.Second
	usage   = "usage: crictl inspecti IMAGE | crictl images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := connected(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "crictl:", err)
		os.Exit(1)
	}
}

func connected(ctx context.Context, args []string, out io.Writer) error {
	conn, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	return run(ctx, args, cri.NewImageServiceClient(conn), out)
}

// images is the part of the runtime interface that is asked.
type images interface {
	ImageStatus(ctx context.Context, in *cri.ImageStatusRequest, opts ...grpc.CallOption) (*cri.ImageStatusResponse, error)
	ListImages(ctx context.Context, in *cri.ListImagesRequest, opts ...grpc.CallOption) (*cri.ListImagesResponse, error)
}

func run(ctx context.Context, args []string, service images, out io.Writer) error {
	var words []string
	for _, a := range args { // options such as --output=json change nothing here
		if !strings.HasPrefix(a, "-") {
			words = append(words, a)
		}
	}
	switch {
	case len(words) == 2 && words[0] == "inspecti":
		return inspect(ctx, words[1], service, out)
	case len(words) == 1 && words[0] == "images":
		return list(ctx, service, out)
	}
	return fmt.Errorf("%q: not one of the words that this crictl knows; %s", strings.Join(args, " "), usage)
}

// status has the names that cri-tools prints and kind reads.
type status struct {
	ID          string   `json:"id"`
	RepoTags    []string `json:"repoTags"`
	RepoDigests []string `json:"repoDigests"`
	Size        string   `json:"size"` // bytes; cri-tools prints 64-bit numbers as text
}

func inspect(ctx context.Context, name string, service images, out io.Writer) error {
	r, err := service.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	if err != nil {
		return err
	}
	if r.GetImage() == nil {
		return fmt.Errorf("no such image %q present", name)
	}
	i := r.GetImage()
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]status{"status": {
		ID: i.GetId(), RepoTags: i.GetRepoTags(), RepoDigests: i.GetRepoDigests(),
		Size: strconv.FormatUint(i.GetSize(), 10),
	}})
}

func list(ctx context.Context, service images, out io.Writer) error {
	r, err := service.ListImages(ctx, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tIMAGE ID\tSIZE")
	for _, i := range r.GetImages() {
		names := i.GetRepoTags()
		if len(names) == 0 {
			names = i.GetRepoDigests()
		}
		fmt.Fprintf(w, "%s\t%s\t%d\n", strings.Join(names, " "), i.GetId(), i.GetSize())
	}
	return w.Flush()
}
