package strictyaml

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The units of sizes: SI (powers of 1000) and binary (powers of 1024), the
// latter also in the short form of Kubernetes quantities. A single "M" or "G"
// is refused, because people mean both by it.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"", 1}, {"B", 1},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15},
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"Pi", 1 << 50},
}

// The lengths are bounded so that no text can ask for much arithmetic.
var sizePattern = regexp.MustCompile(`^([0-9]{1,19}(?:\.[0-9]{1,18})?) ?([A-Za-z]*)$`)

// ParseSize reads a size in bytes: a decimal number, which may have a fraction
// and is followed by nothing (bytes), B, kB, MB, GB, TB, PB (powers of 1000)
// or KiB, MiB, GiB, TiB, PiB, Ki, Mi, Gi, Ti, Pi (powers of 1024).
func ParseSize(text string) (int64, error) {
	const example = "a size is written as 80kB, 4MiB or 2500Gi"
	parts := sizePattern.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%s is not a size: %s", Quote(text), example)
	}
	var names []string
	for _, unit := range sizeUnits {
		if unit.name == parts[2] {
			return timesUnit(text, parts[1], unit.bytes)
		}
		if len(unit.name) > 1 {
			names = append(names, unit.name)
		}
	}
	if near := Nearest(parts[2], names); near != "" {
		return 0, fmt.Errorf("%s has no known unit, did you mean %s%s? %s", Quote(text), parts[1], near, example)
	}
	return 0, fmt.Errorf("%s has no known unit: %s", Quote(text), example)
}

func timesUnit(text, number string, unit int64) (int64, error) {
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, fmt.Errorf("%s is not a size", Quote(text))
	}
	value.Mul(value, new(big.Rat).SetInt64(unit))
	switch {
	case !value.IsInt():
		return 0, fmt.Errorf("%s is not a whole number of bytes", Quote(text))
	case !value.Num().IsInt64():
		return 0, fmt.Errorf("%s is more than 8 EiB", Quote(text))
	}
	return value.Num().Int64(), nil
}

// FormatSize writes a size so that ParseSize reads the same number of bytes:
// in the largest unit, SI or binary, that divides it.
func FormatSize(bytes int64) string {
	best, count := "B", bytes
	for _, unit := range sizeUnits {
		// Units without a B are only another spelling.
		if strings.HasSuffix(unit.name, "B") && bytes%unit.bytes == 0 && bytes != 0 && abs(bytes/unit.bytes) < abs(count) {
			best, count = unit.name, bytes/unit.bytes
		}
	}
	return strconv.FormatInt(count, 10) + best
}

func abs(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// ParseDuration reads a duration as Go writes it, e.g. "37s" or "1m30s". A
// number alone is refused: it has no unit.
func ParseDuration(text string) (time.Duration, error) {
	value, err := time.ParseDuration(text)
	if err == nil {
		return value, nil
	}
	if _, bad := strconv.ParseFloat(text, 64); bad == nil {
		return 0, fmt.Errorf("%s has no unit: a duration is written as 37s or 1m30s", Quote(text))
	}
	return 0, fmt.Errorf("%s is not a duration: it is written as 37s or 1m30s", Quote(text))
}

var (
	wholePattern = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	errNotWhole  = errors.New("must be a whole number in plain digits")
)

// ParseInt reads a decimal number of at most bits bits with a sign. Octal,
// hexadecimal, underscores and leading zeros are refused, since readers of a
// file do not agree on them.
func ParseInt(text string, bits int) (int64, error) {
	if !wholePattern.MatchString(text) {
		return 0, fmt.Errorf("%w, but is %s", errNotWhole, Quote(text))
	}
	value, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%s does not fit: it must lie between %d and %d", Quote(text), int64(-1)<<(bits-1), int64(1)<<(bits-1)-1)
	}
	return value, nil
}

// ParseUint reads a decimal number of at most bits bits without a sign, as
// strictly as ParseInt.
func ParseUint(text string, bits int) (uint64, error) {
	if !wholePattern.MatchString(text) {
		return 0, fmt.Errorf("%w, but is %s", errNotWhole, Quote(text))
	}
	value, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%s does not fit: it must lie between 0 and %d", Quote(text), ^uint64(0)>>(64-bits))
	}
	return value, nil
}

// Quote puts text in quotes for a message, shortened when it is long.
func Quote(text string) string {
	const limit = 60
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit]) + "…"
	}
	return strconv.Quote(text)
}
