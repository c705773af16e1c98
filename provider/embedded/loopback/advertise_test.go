package loopback_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
)

func TestFitAdvertised(t *testing.T) {
	t.Parallel()
	p := profile(t, "count: 6", "count: 6")
	for _, good := range []string{"", "192.0.2.7", "192.0.2.7:20000", "2001:db8::7", "[2001:db8::7]:20000", "[2001:db8::7]", "lab.example.org", "lab.example.org:65526", "localhost:1"} {
		if err := loopback.FitAdvertised(p, good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for bad, why := range map[string]string{
		"192.0.2.7:":             "neither an IP address nor a host name",
		"192.0.2.7:http":         "neither an IP address nor a host name",
		"http://192.0.2.7":       "neither an IP address nor a host name",
		"a b":                    "neither an IP address nor a host name",
		"-a.example.org":         "neither an IP address nor a host name",
		"a_b":                    "neither an IP address nor a host name",
		":9094":                  "neither an IP address nor a host name",
		strings.Repeat("a", 254): "neither an IP address nor a host name",
		"192.0.2.7:0":            "0 is no port",
		"192.0.2.7:65536":        "65536 is no port",
		"192.0.2.7:65527":        "the ports of 6 brokers would end at 65536, above 65535",
	} {
		err := loopback.FitAdvertised(p, bad)
		var advertise *loopback.AdvertiseError
		if !errors.As(err, &advertise) || advertise.Address != bad || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	near := profile(t, "port: 9094", "port: 2997")
	if err := loopback.FitAdvertised(near, "192.0.2.7"); err == nil || !strings.Contains(err.Error(), "alertdb and broker.2 would both be at 192.0.2.7:3000") {
		t.Errorf("a broker at the alert database's port: %v", err)
	}
	if err := loopback.FitAdvertised(near, "192.0.2.7:20000"); err != nil {
		t.Errorf("with ports of their own: %v", err)
	}
}

func TestCheckAdvertised(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"127.0.0.1", "localhost:20000", "127.0.0.1:1"} {
		if err := loopback.CheckAdvertised(t.Context(), good, false); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"203.0.113.77", "0.0.0.0:20000", "no.such.host.invalid", "a b"} {
		var advertise *loopback.AdvertiseError
		if err := loopback.CheckAdvertised(t.Context(), bad, false); !errors.As(err, &advertise) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func applyAdvertised(t *testing.T, part plan.Part, p *profiles.Profile, address string, last map[string]string) (map[string]string, error) {
	t.Helper()
	return part.Apply(t.Context(), plan.Order{Input: loopback.Want(p, address, false).Input, Last: last})
}

// An advertised lab has a port for everything, keeps the registry that takes writes
// to this machine, and finds what is taken before anything starts.
func TestAdvertised(t *testing.T) {
	onLinux(t)
	p := profile(t)
	// A port of the system's choice, with free ones behind it in all likelihood: the
	// addresses of 127.0.0.0/8 have their own.
	const host = "127.3.2.1"
	a, dir := lab(t, "a")
	out, err := applyAdvertised(t, a, p, host+":20000", far(205))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"advertised": host + ":20000", "block": "127.0.205.x", "registry": "127.0.205.10:8081", "ingester": "127.0.205.10:9100",
		"bootstrap": host + ":20000", "registry-front": host + ":20001", "alertdb": host + ":20002", "object-store": host + ":20003"}
	for i := range 6 {
		want[fmt.Sprintf("broker.%d", i)] = fmt.Sprintf("%s:%d", host, 20004+i)
	}
	if !maps.Equal(out, want) {
		t.Errorf("got %v", out)
	}
	wanted := loopback.Want(p, host+":20000", false)
	if got, promised := slices.Sorted(maps.Keys(out)), slices.Sorted(slices.Values(wanted.Outputs)); !slices.Equal(got, promised) {
		t.Errorf("promised %v, given %v", promised, got)
	}
	if wanted.Title != "10 ports of 127.3.2.1:20000 for containers and other hosts" {
		t.Error(wanted.Title)
	}
	// Without a first port everything has its usual one.
	usual, err := applyAdvertised(t, a, p, host, out)
	if err != nil || usual["bootstrap"] != host+":9094" || usual["broker.0"] != host+":9095" || usual["broker.5"] != host+":9100" ||
		usual["registry-front"] != host+":8080" || usual["alertdb"] != host+":3000" || usual["object-store"] != host+":9000" || usual["block"] != "127.0.205.x" {
		t.Errorf("%v, %v", usual, err)
	}
	// Back on the loopback network it is as it was.
	plain, err := applyAdvertised(t, a, p, "", usual)
	if err != nil || plain["bootstrap"] != "127.0.205.10:9094" || plain["advertised"] != "" {
		t.Errorf("%v, %v", plain, err)
	}

	// Two ports are taken: both are named, and a lab that has them already is not
	// told so of its own.
	for _, port := range []string{"20003", "20009"} {
		ln, err := net.Listen("tcp", host+":"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
	}
	b, _ := lab(t, "b")
	_, err = applyAdvertised(t, b, p, host+":20000", far(206))
	if err == nil || !strings.Contains(err.Error(), host+":20003 is taken by process") || !strings.Contains(err.Error(), host+":20009 is taken by process") {
		t.Errorf("two ports are taken: %v", err)
	}
	if _, err := applyAdvertised(t, a, p, host+":20000", out); err != nil {
		t.Errorf("its own: %v", err)
	}
	if _, err := applyAdvertised(t, a, p, "203.0.113.77", out); err == nil || !strings.Contains(err.Error(), "no network interface has it") {
		t.Errorf("an address of another machine: %v", err)
	}
	// Of a lab that is gone nothing is said of ports that may be anybody's now.
	if err := errors.Join(a.(plan.Stopper).Stop(t.Context()), dir.Delete()); err != nil {
		t.Fatal(err)
	}
	if left, err := loopback.CleanUp(t.Context(), out); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
