package machine

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Replace puts another IPv4 address in place of every whole occurrence of old:
// 10.0.0.1 is not found in 10.0.0.10 or 110.0.0.1.
func Replace(text string, old, now netip.Addr) string {
	re := regexp.MustCompile(`(^|[^0-9.])` + regexp.QuoteMeta(old.String()) + `($|[^0-9.]|\.[^0-9]|\.$)`)
	for {
		// Two occurrences may share the character between them, which one
		// pass sees only once.
		next := re.ReplaceAllString(text, "${1}"+now.String()+"${2}")
		if next == text {
			return text
		}
		text = next
	}
}

// Moved compares the node's address with that of its last start, which lies in
// record. It returns the old address if it is another one.
func Moved(record string, now netip.Addr) (old netip.Addr, moved bool, err error) {
	text, err := os.ReadFile(record)
	if errors.Is(err, os.ErrNotExist) {
		return netip.Addr{}, false, nil
	}
	if err != nil {
		return netip.Addr{}, false, err
	}
	old, err = netip.ParseAddr(strings.TrimSpace(string(text)))
	if err != nil {
		return netip.Addr{}, false, err
	}
	return old, old != now, nil
}

// Record keeps the address for the next start.
func Record(record string, now netip.Addr) error {
	if err := os.MkdirAll(filepath.Dir(record), 0o755); err != nil {
		return err
	}
	return os.WriteFile(record, []byte(now.String()+"\n"), 0o644)
}

// Readdress replaces the address in every file that matches one of the
// patterns and names it, and returns those files.
func Readdress(patterns []string, old, now netip.Addr) ([]string, error) {
	var changed []string
	for _, p := range patterns {
		files, err := filepath.Glob(p)
		if err != nil {
			return changed, err
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil {
				return changed, err
			}
			text, err := os.ReadFile(f)
			if err != nil {
				return changed, err
			}
			next := Replace(string(text), old, now)
			if next == string(text) {
				continue
			}
			if err := os.WriteFile(f, []byte(next), info.Mode().Perm()); err != nil {
				return changed, err
			}
			changed = append(changed, f)
		}
	}
	return changed, nil
}
