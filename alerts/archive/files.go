package archive

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/alertlab/alertlab/alerts/objectstore"
)

// Files reads an archive from a folder, as alert_database_server's backend
// local-files lays it out: ROOT/alerts/<id> and ROOT/schemas/<id>, without an
// extension. Its buckets are the two folders' names, see FileBuckets.
type Files struct{ Root string }

// FileBuckets gives the buckets of Files.
func FileBuckets() Buckets { return Buckets{Alerts: "alerts", Schemas: "schemas"} }

// Get implements Reader. The key's last element without its extension is the name of
// the file.
func (f Files) Get(_ context.Context, bucket, key string) (*objectstore.Object, error) {
	file, err := f.open(bucket, key)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &objectstore.NotFoundError{Bucket: bucket, Key: key}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &objectstore.Object{Body: file, Size: info.Size()}, nil
}

// Stat implements Reader.
func (f Files) Stat(ctx context.Context, bucket, key string) (int64, error) {
	o, err := f.Get(ctx, bucket, key)
	if err != nil {
		return 0, err
	}
	return o.Size, o.Body.Close()
}

func (f Files) open(bucket, key string) (*os.File, error) {
	folder := filepath.Join(f.Root, bucket)
	name, _, _ := strings.Cut(path.Base(key), ".")
	// Nothing that is asked for may lead out of the folder.
	file, err := os.OpenInRoot(folder, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, &objectstore.NotFoundError{Bucket: folder}
	}
	return nil, &objectstore.NotFoundError{Bucket: bucket, Key: key}
}
