package phrase

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes writes a size in decimal units, e.g. "16.0 MB".
func Bytes(n int64) string {
	size, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for math.Abs(size) >= 999.5 && unit < len(units)-1 {
		size, unit = size/1000, unit+1
	}
	if unit == 0 || math.Abs(size) >= 99.95 {
		return fmt.Sprintf("%.0f %s", size, units[unit])
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}

// Number writes a count with its thousands apart, e.g. "1 234 567".
func Number(n int64) string {
	text := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, text = "-", text[1:]
	}
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}
	return sign + strings.Join(append([]string{text}, parts...), " ")
}

// Rate writes a speed a second, "-" where it is not known.
func Rate(perSecond *float64, unit func(int64) string) string {
	if perSecond == nil {
		return "-"
	}
	v := *perSecond
	if v > 0 && v < 10 && unit(1) == "1" {
		return strconv.FormatFloat(v, 'f', 1, 64) + "/s"
	}
	return unit(int64(math.Round(v))) + "/s"
}

// Known writes a number that may not be known.
func Known(n *int64, write func(int64) string) string {
	if n == nil {
		return "-"
	}
	return write(*n)
}

// inBytes is the unit of counts that are sizes.
const inBytes = "bytes"

// Progress writes how far counted work is: "12 of 40 alerts", "145 of 289 MB" of bytes;
// a total of 0 is not known.
func Progress(count, total int64, unit string) string {
	switch {
	case unit == inBytes && total > 0:
		have, all := Bytes(count), Bytes(total)
		if have, same := strings.CutSuffix(have, all[strings.LastIndexByte(all, ' '):]); same {
			return have + " of " + all
		}
		return have + " of " + all
	case unit == inBytes:
		return Bytes(count)
	case total > 0:
		return strings.TrimSpace(fmt.Sprintf("%d of %d %s", count, total, unit))
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", count, unit))
}
