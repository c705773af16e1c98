// Command image writes the image that holds alertlab as an archive, for `docker load`
// and `ctr images import`: see `make image`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/alertlab/alertlab/internal/ownimage"
)

func main() {
	binary := flag.String("binary", "bin/alertlab", "static binary")
	out := flag.String("out", "bin/alertlab-image.tar", "archive to write")
	flag.Parse()
	if err := write(*binary, *out); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func write(binary, out string) error {
	reference, err := ownimage.Reference(binary)
	if err != nil {
		return err
	}
	img, err := ownimage.Build(binary)
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	if err := errors.Join(ownimage.Write(context.Background(), f, reference, img), f.Close()); err != nil {
		return err
	}
	fmt.Println(reference)
	return nil
}
