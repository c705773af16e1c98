package addresspool_test

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/internal/addresspool"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.10-192.0.2.20":   "192.0.2.10-192.0.2.20 11",
		"192.0.2.10 - 192.0.2.10": "192.0.2.10-192.0.2.10 1",
		"192.0.2.32/28":           "192.0.2.32-192.0.2.47 16",
		"255.255.255.0/24":        "255.255.255.0-255.255.255.255 256",
		"192.0.2.7/32":            "192.0.2.7-192.0.2.7 1",
	} {
		r, err := addresspool.Parse(text)
		if got := r.String() + " " + strconv.Itoa(r.Size()); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for text, why := range map[string]string{
		"":                      "write FIRST-LAST or a prefix",
		"192.0.2.1":             "write FIRST-LAST or a prefix",
		"192.0.2.9-192.0.2.1":   "ends before it begins",
		"192.0.2.33/28":         "192.0.2.32/28 is the whole of it",
		"2001:db8::/64":         "no range of IPv4",
		"2001:db8::1-2001::2":   "no range of IPv4",
		"192.0.2.1-192.0.2.300": "no range of IPv4",
	} {
		if _, err := addresspool.Parse(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func addrs(text ...string) []netip.Addr {
	var out []netip.Addr
	for _, one := range text {
		out = append(out, netip.MustParseAddr(one))
	}
	return out
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		subnet string
		used   []netip.Addr
		size   int
		want   string
	}{
		"from the end":      {"172.18.0.0/16", addrs("172.18.0.1", "172.18.0.2"), 8, "172.18.255.247-172.18.255.254"},
		"before what is":    {"192.0.2.0/28", addrs("192.0.2.12"), 4, "192.0.2.8-192.0.2.11"},
		"exactly":           {"192.0.2.0/29", addrs("192.0.2.1"), 5, "192.0.2.2-192.0.2.6"},
		"one too many":      {"192.0.2.0/29", addrs("192.0.2.1"), 6, "no 6 free addresses in a row (1 of its 6 are used)"},
		"no room for hosts": {"192.0.2.0/31", nil, 1, "no IPv4 addresses for hosts"},
		"version 6":         {"2001:db8::/64", nil, 1, "no IPv4 addresses for hosts"},
	} {
		r, err := addresspool.Choose(netip.MustParsePrefix(tc.subnet), tc.used, tc.size)
		got := r.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s", name, got)
		}
		if err == nil && (r.Size() != tc.size || len(r.Taken(tc.used)) > 0 || r.At(tc.size-1) != r.Last) {
			t.Errorf("%s: %s has %d, taken %v", name, r, r.Size(), r.Taken(tc.used))
		}
	}
}

func TestOverlaps(t *testing.T) {
	t.Parallel()
	parse := func(text string) addresspool.Range {
		r, err := addresspool.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a := parse("192.0.2.10-192.0.2.20")
	for text, want := range map[string]bool{"192.0.2.20-192.0.2.30": true, "192.0.2.0-192.0.2.10": true, "192.0.2.0/24": true, "192.0.2.21-192.0.2.30": false, "192.0.2.0-192.0.2.9": false} {
		if b := parse(text); a.Overlaps(b) != want || b.Overlaps(a) != want {
			t.Errorf("%s", text)
		}
	}
	if got := a.Taken(addrs("192.0.2.20", "192.0.2.9", "192.0.2.11", "192.0.2.20")); !slices.Equal(got, addrs("192.0.2.11", "192.0.2.20")) {
		t.Errorf("%v", got)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	s, err := addresspool.ParseSet(addresspool.Singles([]string{"192.0.2.9", "192.0.2.7"}) + ", 192.0.2.20-192.0.2.21")
	if err != nil {
		t.Fatal(err)
	}
	if s.String() != "192.0.2.9-192.0.2.9,192.0.2.7-192.0.2.7,192.0.2.20-192.0.2.21" || s.Size() != 4 {
		t.Errorf("%s has %d", s, s.Size())
	}
	for i, want := range []string{"192.0.2.9", "192.0.2.7", "192.0.2.20", "192.0.2.21"} {
		if got := s.At(i).String(); got != want {
			t.Errorf("%d is %s", i, got)
		}
	}
	if s.At(4).IsValid() {
		t.Error("there is a fifth")
	}
	r := func(text string) addresspool.Range {
		r, err := addresspool.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if s.Overlaps(r("192.0.2.10-192.0.2.19")) || !s.Overlaps(r("192.0.2.0-192.0.2.7")) {
		t.Error("overlaps")
	}
	if !s.Within([]addresspool.Range{r("192.0.2.0/28"), r("192.0.2.16/28")}) || s.Within([]addresspool.Range{r("192.0.2.0/28"), r("192.0.2.16-192.0.2.20")}) {
		t.Error("within")
	}
	for _, bad := range []string{"", "192.0.2.1/32,", "192.0.2.1/32,x"} {
		if got, err := addresspool.ParseSet(bad); err == nil {
			t.Errorf("%q: %s", bad, got)
		}
	}
}
