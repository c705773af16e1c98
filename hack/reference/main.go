package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/alertlab/alertlab/cmd"
	"github.com/alertlab/alertlab/hack/benchdoc"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "reference:", err)
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("reference", flag.ContinueOnError)
	out := flags.String("out", filepath.Join("docs", "reference"), "folder of the Markdown files")
	man := flags.String("man", "", "write man pages to this folder, and no Markdown")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is an argument, and there are only flags", flags.Arg(0))
	}
	if *man != "" {
		pages, err := manPages(cmd.Reference())
		if err != nil {
			return err
		}
		return write(*man, pages)
	}
	pages, err := markdown(cmd.Reference())
	if err != nil {
		return err
	}
	if err := write(*out, pages); err != nil {
		return err
	}
	if err := prune(*out, pages); err != nil {
		return err
	}
	return keys(filepath.Join(filepath.Dir(*out), "tui.md"))
}

// keys writes the keys of the dashboard into their section of a document, where there
// is one.
func keys(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return benchdoc.Put(path, "keys", cmd.DashboardKeys())
}

// write makes the folder and writes each file, by its name.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// prune removes Markdown files of verbs that are no more.
func prune(dir string, files map[string][]byte) error {
	there, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return err
	}
	for _, path := range there {
		if _, ok := files[filepath.Base(path)]; ok {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
