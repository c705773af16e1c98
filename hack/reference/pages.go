package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// markdown gives the Markdown file of each verb, by its file's name.
func markdown(root *cobra.Command) (map[string][]byte, error) {
	pages := map[string][]byte{}
	err := each(root, func(c *cobra.Command) error {
		var b bytes.Buffer
		if err := doc.GenMarkdown(c, &b); err != nil {
			return err
		}
		pages[strings.ReplaceAll(c.CommandPath(), " ", "_")+".md"] = append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
		return nil
	})
	return pages, err
}

// manPages gives the man page of each verb, of section 1, by its file's name.
func manPages(root *cobra.Command) (map[string][]byte, error) {
	pages := map[string][]byte{}
	// cobra puts a month into every page. This one is known, and is taken out again.
	var never time.Time
	month := fmt.Appendf(nil, "%q", never.Format("Jan 2006"))
	err := each(root, func(c *cobra.Command) error {
		var b bytes.Buffer
		header := doc.GenManHeader{Section: "1", Date: &never, Source: "alertlab", Manual: "alertlab"}
		if err := doc.GenMan(c, &header, &b); err != nil {
			return err
		}
		if !bytes.Contains(b.Bytes(), month) {
			return fmt.Errorf("%s: its man page has no month %s to take out", c.CommandPath(), month)
		}
		page := bytes.Replace(b.Bytes(), month, []byte(`""`), 1)
		pages[strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"] = page
		return nil
	})
	return pages, err
}

// each visits a command and all below it that a person may type.
func each(c *cobra.Command, visit func(*cobra.Command) error) error {
	c.DisableAutoGenTag = true // a date
	c.Long = verbatim(c.Long)
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		if err := each(sub, visit); err != nil {
			return err
		}
	}
	return visit(c)
}

// verbatim makes a block of Markdown that keeps its lines of what is indented in a
// text, where a terminal needs two spaces and no empty line before it.
func verbatim(text string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		indented := strings.HasPrefix(line, "  ")
		if indented != inside {
			b.WriteString("\n")
		}
		if inside = indented; inside {
			b.WriteString("  ")
		}
		b.WriteString(line)
	}
	return b.String()
}
