package bundle

import (
	"fmt"
	"net"
	"regexp"
	"strings"
)

// The grammar is that of the OCI distribution specification 1.1 (names, tags)
// and of containerd's references (hosts).
var (
	component = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)
	tagText   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	hostText  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?$`)
	sha256hex = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	// Helm wants a semantic version; build metadata after a plus.
	versionText = regexp.MustCompile(`^v?[0-9]+(\.[0-9]+){0,2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

// maxRepository is the longest repository, registry included, that Docker's
// reference grammar allows.
const maxRepository = 255

// reference is an image reference in its parts; either tag or digest is set.
type reference struct{ host, repository, tag, digest string }

func (r reference) String() string {
	if r.digest != "" {
		return r.host + "/" + r.repository + "@" + r.digest
	}
	return r.host + "/" + r.repository + ":" + r.tag
}

func parseReference(text string) (reference, error) {
	var r reference
	bad := func(why string) (reference, error) {
		return reference{}, fmt.Errorf("%w: image %q %s", ErrReference, text, why)
	}
	rest, digest, pinned := strings.Cut(text, "@")
	if pinned {
		if !sha256hex.MatchString(digest) {
			return bad("has a digest that is not sha256: and 64 lower-case hexadecimal digits")
		}
		r.digest = digest
	}
	slash := strings.LastIndex(rest, "/")
	if colon := strings.LastIndex(rest, ":"); colon > slash {
		tag := rest[colon+1:]
		if !tagText.MatchString(tag) {
			return bad("has a tag that is not 1 to 128 letters, digits, dots, hyphens and underscores")
		}
		// As in containerd, the digest decides where both are given.
		if !pinned {
			r.tag = tag
		}
		rest = rest[:colon]
	}
	if r.tag == "" && r.digest == "" {
		return bad("has neither tag nor digest, so that it would mean something else tomorrow")
	}
	r.host, r.repository = "docker.io", rest
	if first, others, more := strings.Cut(rest, "/"); more {
		if first == "localhost" || strings.ContainsAny(first, ".:") {
			r.host, r.repository = strings.ToLower(first), others
		}
	}
	if r.host == "index.docker.io" {
		r.host = "docker.io"
	}
	if r.host == "docker.io" && !strings.Contains(r.repository, "/") {
		r.repository = "library/" + r.repository
	}
	if !hostText.MatchString(r.host) {
		return bad("names a registry that is not HOST or HOST:PORT")
	}
	if !isRepository(r.repository) {
		return bad("has a repository that is not of lower-case letters and digits, with single separators between them")
	}
	if len(r.host)+1+len(r.repository) > maxRepository {
		return bad(fmt.Sprintf("is longer than %d characters", maxRepository))
	}
	return r, nil
}

func isRepository(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if !component.MatchString(part) {
			return false
		}
	}
	return true
}

// Normalize gives the full form of an image reference, as containerd writes it:
// with the registry's host, "library/" where Docker Hub means it, and a tag or a
// digest (the digest where both are given). ErrReference if the text is none, or
// has neither tag nor digest.
func Normalize(image string) (string, error) {
	r, err := parseReference(image)
	if err != nil {
		return "", err
	}
	return r.String(), nil
}

// chartReference gives the name under which a chart lies in a bundle.
func chartReference(name, version string) string { return name + ":" + version }

func checkChart(name, version string) error {
	if len(name) > 128 || !component.MatchString(name) {
		return fmt.Errorf("%w: name %q is not of lower-case letters and digits with single separators, which a registry wants", ErrChart, name)
	}
	if len(version) > 128 || !versionText.MatchString(version) {
		return fmt.Errorf("%w: version %q of chart %s is not a semantic version", ErrChart, version, name)
	}
	return nil
}

// Image says where an image lies in the registry:
//
//	registry.k8s.io/pause:3.10.1  ->  HOST/PREFIX/registry.k8s.io/pause:3.10.1
//	redis:8.0                     ->  HOST/PREFIX/docker.io/library/redis:8.0
//	localhost:5000/x:1            ->  HOST/PREFIX/localhost_5000/x:1
//
// Two images never get the same place: a registry's host has no underscore,
// and it has a dot or a port, or is localhost, so that it is never "charts".
// A node reads from there with a mirror of
// https://HOST/v2/PREFIX/registry.k8s.io for registry.k8s.io (containerd's
// override_path), and the like.
func (r Registry) Image(image string) (string, error) {
	ref, err := parseReference(image)
	if err != nil {
		return "", err
	}
	base, err := r.base()
	if err != nil {
		return "", err
	}
	// A port's colon may not stand in a repository.
	path := strings.TrimPrefix(base.path+"/"+strings.ReplaceAll(ref.host, ":", "_")+"/"+ref.repository, "/")
	if len(base.host)+1+len(path) > maxRepository {
		return "", fmt.Errorf("%w: image %q would get the name %s/%s, longer than %d characters", ErrReference, image, base.host, path, maxRepository)
	}
	ref.host, ref.repository = base.host, path
	return ref.String(), nil
}

// Chart says where a chart lies in the registry: HOST/PREFIX/charts/NAME:VERSION,
// which Helm calls oci://HOST/PREFIX/charts/NAME with that version. A plus in a
// version becomes an underscore in the tag, as Helm has it.
func (r Registry) Chart(name, version string) (string, error) {
	if err := checkChart(name, version); err != nil {
		return "", err
	}
	base, err := r.base()
	if err != nil {
		return "", err
	}
	path := strings.TrimPrefix(base.path+"/charts/"+name, "/")
	return base.host + "/" + path + ":" + strings.ReplaceAll(version, "+", "_"), nil
}

type registryBase struct{ host, path string }

func (r Registry) base() (registryBase, error) {
	b := registryBase{strings.ToLower(r.Host), strings.Trim(r.Prefix, "/")}
	if !hostText.MatchString(b.host) && !isIPv6Host(b.host) {
		return b, fmt.Errorf("%w: registry %q is not HOST or HOST:PORT", ErrReference, r.Host)
	}
	// Without one of these, every client takes the first part of a reference
	// for a repository of Docker Hub.
	if b.host != "localhost" && !strings.ContainsAny(b.host, ".:") {
		return b, fmt.Errorf("%w: registry %q has neither a dot nor a port, so that it would be taken for a repository; write %s:443", ErrReference, r.Host, b.host)
	}
	if b.path != "" && !isRepository(b.path) {
		return b, fmt.Errorf("%w: prefix %q is not a path of lower-case letters and digits with single separators between them", ErrReference, r.Prefix)
	}
	return b, nil
}

// isIPv6Host accepts [address] and [address]:port.
func isIPv6Host(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return strings.HasPrefix(host, "[") && net.ParseIP(h) != nil
	}
	return strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") && net.ParseIP(host[1:len(host)-1]) != nil
}
