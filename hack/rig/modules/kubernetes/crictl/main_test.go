package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type store map[string]*cri.Image

func (s store) ImageStatus(_ context.Context, in *cri.ImageStatusRequest, _ ...grpc.CallOption) (*cri.ImageStatusResponse, error) {
	name := in.GetImage().GetImage()
	if name == "broken" {
		return nil, errors.New("connection refused")
	}
	return &cri.ImageStatusResponse{Image: s[name]}, nil
}

func (s store) ListImages(context.Context, *cri.ListImagesRequest, ...grpc.CallOption) (*cri.ListImagesResponse, error) {
	r := &cri.ListImagesResponse{}
	for _, i := range s {
		r.Images = append(r.Images, i)
	}
	return r, nil
}

func TestInspect(t *testing.T) {
	s := store{"a:1": {Id: "sha256:00", RepoTags: []string{"docker.io/library/a:1"}, Size: 12345}}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"inspecti", "a:1"}, s, &out); err != nil {
		t.Fatal(err)
	}
	// The fields that kind v0.33 reads (nodeutils.ImageID, ImageTags).
	var doc struct {
		Status struct {
			ID       string   `json:"id"`
			RepoTags []string `json:"repoTags"`
			Size     string   `json:"size"`
		} `json:"status"`
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil || doc.Status.ID != "sha256:00" || len(doc.Status.RepoTags) != 1 || doc.Status.Size != "12345" {
		t.Errorf("%v %s", err, out.String())
	}
	for _, c := range []struct{ words, says string }{
		{"inspecti none", "no such image"},
		{"inspecti broken", "connection refused"},
		{"pull x", "not one of the words"},
		{"", "usage"},
	} {
		if err := run(t.Context(), strings.Fields(c.words), s, &out); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v", c.words, err)
		}
	}
}

func TestImages(t *testing.T) {
	s := store{"x": {Id: "sha256:01", RepoDigests: []string{"x@sha256:02"}, Size: 7}}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--output=table", "images"}, s, &out); err != nil || !strings.Contains(out.String(), "x@sha256:02  sha256:01  7") {
		t.Errorf("%v %q", err, out.String())
	}
}
