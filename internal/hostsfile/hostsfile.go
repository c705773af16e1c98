// Package hostsfile puts a lab's host names into a hosts file, as a block between two
// lines that say whose it is, and takes them out again. What is outside the block it
// never changes. It works on text: reading and writing files is its callers' to do.
package hostsfile

import (
	"fmt"
	"slices"
	"strings"
)

func begin(lab string) string {
	return "# BEGIN alertlab lab " + lab + ": alertlab hosts --remove --lab " + lab + " takes these lines away"
}

func end(lab string) string { return "# END alertlab lab " + lab }

// Block gives the lines of a lab as they stand in the file, marks included; "" when
// there are none.
func Block(text, lab string) string {
	from, to, ok := find(text, lab)
	if !ok {
		return ""
	}
	return text[from:to]
}

// find gives where a lab's block begins and ends: a beginning without an end, of a file
// that was cut, is none.
func find(text, lab string) (from, to int, ok bool) {
	at := 0
	from = -1
	for line := range strings.Lines(text) {
		bare := strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(bare, "# BEGIN alertlab lab "+lab+":"):
			from = at
		case from >= 0 && bare == end(lab):
			return from, at + len(line), true
		}
		at += len(line)
	}
	return 0, 0, false
}

// Remove gives a file's text without a lab's block.
func Remove(text, lab string) string {
	from, to, ok := find(text, lab)
	if !ok {
		return text
	}
	return text[:from] + text[to:]
}

// Install gives a file's text with a lab's block at its end, in the place of the one
// that is there. lines end in newlines each.
func Install(text, lab string, lines []string) string {
	text = Remove(text, lab)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + begin(lab) + "\n" + strings.Join(lines, "") + end(lab) + "\n"
}

// Others lists the names of lines that a file gives to another address outside the
// lab's block, as "NAME is ADDRESS": whoever finds the first line of a name would not
// find the lab.
func Others(text, lab string, lines []string) []string {
	has := addresses(Remove(text, lab))
	var out []string
	mine := addresses(strings.Join(lines, ""))
	for name, address := range mine {
		if other, ok := has[name]; ok && other != address {
			out = append(out, fmt.Sprintf("%s is %s", name, other))
		}
	}
	slices.Sort(out)
	return out
}

// addresses reads the lines of a hosts file (hosts(5)): an address, then names; the
// first line of a name counts.
func addresses(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		for _, name := range fields[1:] {
			if _, twice := out[name]; !twice {
				out[name] = fields[0]
			}
		}
	}
	return out
}
