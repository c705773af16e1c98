package kit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
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

// Age writes a time to whole units: "37s", "5m", "2h07m", "3d04h".
func Age(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
