package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Files whose names begin with an underscore are embedded by "all:" only.
//
//go:embed all:address-pool all:common all:alert-database all:applications all:certificates all:chart-registry all:ingresses all:kafka all:kafka-topics all:kafka-users all:minio all:object-store all:registry-front all:schema-registry all:simulator all:storage-classes all:strimzi-kafka all:strimzi-schema-registry
var files embed.FS

// common is the folder of the templates that every chart gets.
const common = "common"

// Chart is one chart as it is shipped.
type Chart struct {
	Name string
	// Version is that of Chart.yaml with a digest of the files behind it, as
	// 0.1.0+1a2b3c4d5e6f, so that a chart whose content changed has another one.
	Version string
	// Files are the chart's files by path, templates/... among them.
	Files map[string][]byte
}

// Names gives the charts there are, sorted.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // the root of an embedded file system
	}
	var names []string
	for _, e := range entries {
		if e.Name() != common {
			names = append(names, e.Name())
		}
	}
	return names
}

// versionLine is the line of Chart.yaml that Load completes.
var versionLine = regexp.MustCompile(`(?m)^version: (\S+)$`)

// Load reads a chart. The error is fs.ErrNotExist when there is none of that name.
func Load(name string) (*Chart, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("chart %q: %w (there are %s)", name, fs.ErrNotExist, strings.Join(Names(), ", "))
	}
	c := &Chart{Name: name, Files: map[string][]byte{}}
	if err := c.read(name, ""); err != nil {
		return nil, err
	}
	if err := c.read(common, "templates"); err != nil {
		return nil, err
	}
	about := c.Files["Chart.yaml"]
	found := versionLine.FindSubmatch(about)
	if found == nil {
		return nil, fmt.Errorf("chart %q: Chart.yaml has no line \"version: ...\"", name)
	}
	c.Version = string(found[1]) + "+" + c.digest()
	c.Files["Chart.yaml"] = versionLine.ReplaceAll(about, []byte("version: "+c.Version))
	return c, nil
}

// read adds the files below one folder, under another name.
func (c *Chart) read(folder, under string) error {
	return fs.WalkDir(files, folder, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(file)
		c.Files[path.Join(under, strings.TrimPrefix(file, folder+"/"))] = content
		return err
	})
}

// Archive gives the chart as Helm packages it: a gzip-compressed tar whose entries lie
// below the chart's name, without times and owners. The same content gives the same
// bytes.
func (c *Chart) Archive() ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	for _, file := range slices.Sorted(maps.Keys(c.Files)) { // Chart.yaml comes first, as capitals do
		err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(c.Name, file), Mode: 0o644, Size: int64(len(c.Files[file]))})
		if err == nil {
			_, err = t.Write(c.Files[file])
		}
		if err != nil {
			return nil, err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// digest is that of all files: 12 hexadecimal digits.
func (c *Chart) digest() string {
	h := sha256.New()
	for _, file := range slices.Sorted(maps.Keys(c.Files)) {
		fmt.Fprintf(h, "%s %d\n", file, len(c.Files[file]))
		h.Write(c.Files[file])
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}
