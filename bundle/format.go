package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Names and limits of the format; doc.go describes it.
const (
	blockSize  = 512 // of tar
	layoutName = "oci-layout"
	indexName  = "index.json"
	blobPrefix = "blobs/sha256/"
	formatNow  = "1"

	maxBlob     = 1<<33 - 1 // eleven octal digits
	maxManifest = 4 << 20   // what registries accept
	maxIndex    = 4 << 20
	// maxManifests bounds what a reader keeps in memory.
	maxManifests = 64 << 20
	maxConfig    = 8 << 20
	maxTotal     = 1 << 50

	trailerSize = 2 * blockSize

	annotationPrefix    = "dev.alertlab.bundle."
	annotationCreated   = "org.opencontainers.image.created"
	annotationRef       = "org.opencontainers.image.ref.name"
	annotationImageName = "io.containerd.image.name"

	// The media types of Helm's charts, from Helm's specification HIP-6.
	chartConfigType types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	chartLayerType  types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// About says what a bundle is for.
type About struct {
	// Stack and Profile name what the content was chosen for.
	Stack, Profile string
	// Platform is OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT; empty means
	// linux/amd64. Every image in a bundle is for this one.
	Platform string
	// CreatedBy is the program and version that wrote the bundle.
	CreatedBy string
	// Created is written with seconds, in UTC; the zero time is left out, so
	// that the same content gives the same bytes.
	Created time.Time
}

// DefaultPlatform is what a bundle is for unless it says otherwise.
const DefaultPlatform = "linux/amd64"

func (a About) platform() (v1.Platform, error) {
	text := a.Platform
	if text == "" {
		text = DefaultPlatform
	}
	p, err := v1.ParsePlatform(text)
	if err != nil || p.OS == "" || p.Architecture == "" || p.OSVersion != "" {
		return v1.Platform{}, fmt.Errorf("%w: %q is not OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT", ErrPlatform, a.Platform)
	}
	return *p, nil
}

// fits says whether something made for has runs where want is asked for.
func fits(want, has v1.Platform) bool {
	return want.OS == has.OS && want.Architecture == has.Architecture && (want.Variant == "" || want.Variant == has.Variant)
}

func (a About) annotations() map[string]string {
	m := map[string]string{
		annotationPrefix + "format":     formatNow,
		annotationPrefix + "stack":      a.Stack,
		annotationPrefix + "profile":    a.Profile,
		annotationPrefix + "platform":   a.Platform,
		annotationPrefix + "created-by": a.CreatedBy,
	}
	if !a.Created.IsZero() {
		m[annotationCreated] = a.Created.UTC().Format(time.RFC3339)
	}
	return m
}

func aboutFrom(m map[string]string) (About, error) {
	a := About{
		Stack: m[annotationPrefix+"stack"], Profile: m[annotationPrefix+"profile"],
		Platform: m[annotationPrefix+"platform"], CreatedBy: m[annotationPrefix+"created-by"],
	}
	if v := m[annotationPrefix+"format"]; v != formatNow {
		return a, fmt.Errorf("format %q, and this program reads %q", v, formatNow)
	}
	if text, ok := m[annotationCreated]; ok {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return a, fmt.Errorf("time of creation %q is not RFC 3339", text)
		}
		a.Created = t
	}
	return a, nil
}

// layoutFile is the content of oci-layout. Readers of OCI layouts ignore the
// field that the specification does not know.
type layoutFile struct {
	Version string     `json:"imageLayoutVersion"`
	Index   *indexMark `json:"dev.alertlab.bundle.index,omitempty"`
}

type indexMark struct {
	Digest v1.Hash `json:"digest"`
	Size   int64   `json:"size"`
}

func encodeLayout(index []byte) []byte {
	return marshal(layoutFile{"1.0.0", &indexMark{digestOf(index), int64(len(index))}})
}

// decodeLayout accepts only what encodeLayout writes.
func decodeLayout(content []byte) (indexMark, error) {
	var f layoutFile
	if err := json.Unmarshal(content, &f); err != nil || f.Index == nil {
		return indexMark{}, fmt.Errorf("no %s of a bundle", layoutName)
	}
	if !bytes.Equal(marshal(f), content) || f.Version != "1.0.0" {
		return indexMark{}, fmt.Errorf("not written as this format has it")
	}
	if f.Index.Size < 0 || f.Index.Size > maxIndex {
		return indexMark{}, fmt.Errorf("%s of %d bytes, more than %d", indexName, f.Index.Size, maxIndex)
	}
	return *f.Index, nil
}

// entry is one image or chart.
type entry struct {
	desc      v1.Descriptor
	reference string
	chart     bool
	manifest  *v1.Manifest // nil if it could not be read
}

// blobs gives the config and the layers.
func (e *entry) blobs() []v1.Descriptor {
	if e.manifest == nil {
		return nil
	}
	return append([]v1.Descriptor{e.manifest.Config}, e.manifest.Layers...)
}

// blob is one entry of the archive under blobs/.
type blob struct {
	digest v1.Hash
	size   int64
	offset int64 // of the content
	owners []string
}

func (b *blob) name() string { return blobPrefix + b.digest.Hex }

// reader gives the content of a manifest that has been placed, verified.
type manifestReader func(*blob) ([]byte, error)

// plan is where everything lies in a bundle. It follows from the index and the
// manifests alone.
type plan struct {
	layout, index []byte
	about         About
	entries       []*entry
	blobs         []*blob // in the order of the archive
	byDigest      map[v1.Hash]*blob
	total         int64 // bytes of the whole archive
	// incomplete says that a manifest could not be read, so that blobs are
	// missing here.
	incomplete bool
}

// newPlan works out a bundle's layout. What is wrong with the index is an error;
// what is wrong with manifests comes as problems, and the plan is without their
// blobs.
func newPlan(index []byte, read manifestReader) (*plan, []*Problem, error) {
	p := &plan{layout: encodeLayout(index), index: index, byDigest: map[v1.Hash]*blob{}}
	im, err := parseIndex(index)
	if err != nil {
		return nil, nil, err
	}
	if p.about, err = aboutFrom(im.Annotations); err != nil {
		return nil, nil, err
	}
	want, err := p.about.platform()
	if err != nil {
		return nil, nil, err
	}
	p.total = 2*blockSize + padded(int64(len(p.layout))) + padded(int64(len(index)))
	seen := map[string]bool{}
	var inMemory int64
	for _, d := range im.Manifests {
		e, err := newEntry(d, want)
		if err != nil {
			return nil, nil, err
		}
		if seen[e.reference] {
			return nil, nil, fmt.Errorf("%s is listed twice", e.reference)
		}
		seen[e.reference] = true
		if p.byDigest[d.Digest] == nil {
			inMemory += d.Size
		}
		if inMemory > maxManifests {
			return nil, nil, fmt.Errorf("%w: manifests of more than %d bytes in all", ErrLimit, maxManifests)
		}
		if err := p.place(e, d); err != nil {
			return nil, nil, err
		}
		p.entries = append(p.entries, e)
	}
	problems := p.placeContents(read)
	p.total += trailerSize
	for _, b := range p.blobs {
		slices.Sort(b.owners)
		b.owners = slices.Compact(b.owners)
	}
	return p, problems, nil
}

func (p *plan) placeContents(read manifestReader) []*Problem {
	var problems []*Problem
	parsed := map[v1.Hash]*v1.Manifest{}
	failed := map[v1.Hash]bool{}
	for _, e := range p.entries {
		b := p.byDigest[e.desc.Digest]
		if failed[b.digest] {
			continue
		}
		fail := func(problem *Problem) {
			failed[b.digest], p.incomplete = true, true
			e.manifest = nil
			problems = append(problems, problem)
		}
		if parsed[b.digest] == nil {
			raw, err := read(b)
			if err != nil {
				fail(asProblem(err, b))
				continue
			}
			m, err := parseManifest(raw, e)
			if err != nil {
				fail(b.problem(ErrFormat, err.Error()))
				continue
			}
			parsed[b.digest] = m
		}
		e.manifest = parsed[b.digest]
		for _, d := range e.blobs() {
			if err := p.place(e, d); err != nil {
				fail(b.problem(ErrFormat, err.Error()))
				break
			}
		}
	}
	return problems
}

// place puts a blob behind the others, unless it is there already.
func (p *plan) place(e *entry, d v1.Descriptor) error {
	if b := p.byDigest[d.Digest]; b != nil {
		if b.size != d.Size {
			return fmt.Errorf("blob %s has %d bytes in one place and %d in another", d.Digest, b.size, d.Size)
		}
		b.owners = append(b.owners, e.reference)
		return nil
	}
	b := &blob{digest: d.Digest, size: d.Size, offset: p.total + blockSize, owners: []string{e.reference}}
	if p.total > maxTotal-blockSize-padded(d.Size) {
		return fmt.Errorf("%w: more than %d bytes in all", ErrLimit, int64(maxTotal))
	}
	p.total += blockSize + padded(d.Size)
	p.blobs = append(p.blobs, b)
	p.byDigest[d.Digest] = b
	return nil
}

func (b *blob) problem(kind error, detail string) *Problem {
	return &Problem{Err: kind, Entry: b.name(), Digest: b.digest, Owners: b.owners, Offset: b.offset, Size: b.size, Detail: detail}
}

func parseIndex(raw []byte) (*v1.IndexManifest, error) {
	var im v1.IndexManifest
	if err := json.Unmarshal(raw, &im); err != nil {
		return nil, fmt.Errorf("%s: %v", indexName, err)
	}
	if im.SchemaVersion != 2 || im.MediaType != types.OCIImageIndex {
		return nil, fmt.Errorf("%s is not an OCI image index", indexName)
	}
	return &im, nil
}

func newEntry(d v1.Descriptor, want v1.Platform) (*entry, error) {
	e := &entry{desc: d, reference: d.Annotations[annotationRef], chart: d.ArtifactType == string(chartConfigType)}
	if err := checkDescriptor(d, maxManifest); err != nil {
		return nil, fmt.Errorf("%s: %w", e.reference, err)
	}
	if d.MediaType != types.OCIManifestSchema1 && d.MediaType != types.DockerManifestSchema2 {
		return nil, fmt.Errorf("%s: media type %q is not that of an image manifest", e.reference, d.MediaType)
	}
	if e.chart {
		name, version, _ := strings.Cut(e.reference, ":")
		return e, checkChart(name, version)
	}
	full, err := Normalize(e.reference)
	if err != nil {
		return nil, err
	}
	if full != e.reference {
		return nil, fmt.Errorf("%w: %s is not written in full as %s", ErrReference, e.reference, full)
	}
	if r, _ := parseReference(full); r.digest != "" && r.digest != d.Digest.String() {
		return nil, fmt.Errorf("%w: the manifest of %s has the digest %s", ErrReference, full, d.Digest)
	}
	if d.Platform == nil || !fits(want, *d.Platform) {
		return nil, fmt.Errorf("%w: %s is for %s in a bundle for %s", ErrPlatform, full, platformText(d.Platform), want)
	}
	return e, nil
}

func platformText(p *v1.Platform) string {
	if p == nil || p.OS == "" {
		return "no platform that it names"
	}
	return p.String()
}

func parseManifest(raw []byte, e *entry) (*v1.Manifest, error) {
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("manifest: %v", err)
	}
	if m.SchemaVersion != 2 {
		return nil, fmt.Errorf("manifest of schema version %d", m.SchemaVersion)
	}
	if e.chart != (m.Config.MediaType == chartConfigType) {
		return nil, fmt.Errorf("config of media type %q", m.Config.MediaType)
	}
	if err := checkDescriptor(m.Config, maxConfig); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	for i, d := range m.Layers {
		if err := checkDescriptor(d, maxBlob); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i+1, err)
		}
	}
	if e.chart && chartLayer(&m) == nil {
		return nil, fmt.Errorf("no layer of media type %s", chartLayerType)
	}
	return &m, nil
}

func chartLayer(m *v1.Manifest) *v1.Descriptor {
	for i := range m.Layers {
		if m.Layers[i].MediaType == chartLayerType {
			return &m.Layers[i]
		}
	}
	return nil
}

func checkDescriptor(d v1.Descriptor, most int64) error {
	if !sha256hex.MatchString(d.Digest.String()) {
		return fmt.Errorf("digest %q is not a SHA-256", d.Digest)
	}
	if d.Size < 0 || d.Size > most {
		return fmt.Errorf("%w: blob %s has %d bytes, and the format allows %d", ErrLimit, d.Digest, d.Size, most)
	}
	return nil
}

// encodeIndex writes the index of a bundle, or of an archive for a node.
func encodeIndex(about About, entries []*entry) []byte {
	im := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}, Annotations: about.annotations()}
	for _, e := range entries {
		im.Manifests = append(im.Manifests, e.desc)
	}
	return marshal(im)
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain fields and maps of strings always marshal
	}
	return b
}

// padded rounds up to whole blocks.
func padded(size int64) int64 { return (size + blockSize - 1) / blockSize * blockSize }

// header is the tar header of a regular file. It is written here, field by
// field, because the format promises these bytes whatever a library does.
// The layout is that of POSIX.1-1988 (ustar).
func header(name string, size int64) *[blockSize]byte {
	if len(name) > 100 || size < 0 || size > maxBlob {
		panic("bundle: entry that no ustar header can hold") // checked by everyone who plans one
	}
	var h [blockSize]byte
	copy(h[0:100], name)
	copy(h[100:108], "0000644\x00") // mode
	copy(h[108:116], "0000000\x00") // user
	copy(h[116:124], "0000000\x00") // group
	copy(h[124:136], fmt.Sprintf("%011o\x00", size))
	copy(h[136:148], "00000000000\x00") // time of modification
	h[156] = '0'                        // regular file
	copy(h[257:265], "ustar\x0000")
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", checksum(&h)))
	return &h
}

// checksum is the sum of all bytes, those of the checksum taken as spaces.
func checksum(h *[blockSize]byte) int64 {
	var sum int64
	for i, c := range h {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int64(c)
	}
	return sum
}

// foreign is a tar header that someone else may have written.
type foreign struct {
	name string
	size int64
	kind byte
}

// parseHeader reads any tar header; false if its checksum or its numbers are
// wrong.
func parseHeader(h *[blockSize]byte) (foreign, bool) {
	sum, ok := number(h[148:156])
	if !ok || sum != checksum(h) {
		return foreign{}, false
	}
	f := foreign{name: text(h[0:100]), kind: h[156]}
	if string(h[257:263]) == "ustar\x00" {
		if prefix := text(h[345:500]); prefix != "" {
			f.name = prefix + "/" + f.name
		}
	}
	f.size, ok = number(h[124:136])
	return f, ok
}

func text(field []byte) string {
	s, _, _ := strings.Cut(string(field), "\x00")
	return s
}

// number reads octal digits, or GNU's binary form of numbers that are too large
// for them.
func number(field []byte) (int64, bool) {
	if field[0]&0x80 != 0 {
		n := int64(field[0] & 0x7f)
		for _, c := range field[1:] {
			if n > math.MaxInt64>>8 {
				return math.MaxInt64, field[0] != 0xff
			}
			n = n<<8 | int64(c)
		}
		return n, field[0] != 0xff // 0xff begins a negative number
	}
	s := strings.Trim(string(field), " \x00")
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(s, 8, 63)
	return int64(n), err == nil
}

// unsafeName says what is wrong with an entry that is not of this format: nil if
// it is only unknown.
func (f foreign) unsafe() string {
	switch {
	case f.kind != '0' && f.kind != 0 && f.kind != '5' && f.kind != 'x' && f.kind != 'g' && f.kind != 'L' && f.kind != 'K':
		return fmt.Sprintf("%q is a link or a device (type %q)", f.name, f.kind)
	case path.IsAbs(f.name), f.name == "..", strings.HasPrefix(path.Clean(f.name), "../"),
		slices.Contains(strings.Split(f.name, "/"), ".."), strings.ContainsAny(f.name, "\\\x00"):
		return fmt.Sprintf("%q leads out of the archive", f.name)
	}
	return ""
}
