package fit

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseCPU reads processors as Kubernetes writes them, 100m or 2 or 0.5, into
// thousandths.
func ParseCPU(text string) (int64, error) {
	if milli, ok := strings.CutSuffix(text, "m"); ok {
		n, err := strconv.ParseInt(milli, 10, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is no number of processors", text)
		}
		return n, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n > 1e6 {
		return 0, fmt.Errorf("%q is no number of processors", text)
	}
	return int64(n*1000 + 0.5), nil
}

var units = []struct {
	suffix string
	bytes  int64
}{
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"Pi", 1 << 50},
	{"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"P", 1e15},
}

// ParseBytes reads bytes as Kubernetes writes them: 384Mi, 1G, 1024.
func ParseBytes(text string) (int64, error) {
	number, factor := text, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			number, factor = n, u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || n*float64(factor) > 1<<62 {
		return 0, fmt.Errorf("%q is no number of bytes", text)
	}
	return int64(n * float64(factor)), nil
}

// CPU writes thousandths of a processor as processors.
func CPU(milli int64) string { return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64) }

// Bytes writes bytes in GiB.
func Bytes(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
