package node

import (
	"strings"
	"testing"
)

func TestParseImages(t *testing.T) {
	const d = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	head := "REF                           TYPE                                                 DIGEST SIZE PLATFORMS LABELS\n"
	got, err := parseImages([]byte(head + "registry.k8s.io/pause:3.10.1 application/vnd.oci.image.manifest.v1+json " + d + " 1.4 MiB linux/amd64 io.cri-containerd.image=managed\n" +
		"docker.io/library/redis@" + d + "  application/vnd.docker.distribution.manifest.v2+json " + d + " 9 MiB - -\n"))
	if err != nil || len(got) != 2 || got["registry.k8s.io/pause:3.10.1"] != d || got["docker.io/library/redis@"+d] != d {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := parseImages([]byte(head)); err != nil || len(got) != 0 {
		t.Errorf("no images: %v, %v", got, err)
	}
	for _, bad := range []string{"ctr: cannot connect\n", "NAME ID TAG\n", head + "a b\n", head + "a b c\n"} {
		if got, err := parseImages([]byte(bad)); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

func FuzzParseImages(f *testing.F) {
	f.Add([]byte("REF TYPE DIGEST\na b sha256:c\n"))
	f.Add([]byte("REF TYPE DIGEST SIZE\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		images, err := parseImages(b)
		for ref, digest := range images {
			if ref == "" || !strings.HasPrefix(digest, "sha256:") {
				t.Errorf("%q -> %q (%v)", ref, digest, err)
			}
		}
	})
}
