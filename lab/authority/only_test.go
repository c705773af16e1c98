package authority_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/authority"
)

// A limited authority is trusted for its own names and addresses, and for no others;
// with more names to sign for it is another one.
func TestOnly(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	_, local, err := net.ParseCIDR("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	limited := func(domains ...string) *authority.Authority {
		t.Helper()
		a, err := authority.Open(folder, "alertlab test", authority.Only(domains, []*net.IPNet{local}))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := limited("lab.alertlab.test")
	server := serve(t, a, "127.0.0.1", "broker-0.lab.alertlab.test")
	for _, host := range []string{"127.0.0.1", "broker-0.lab.alertlab.test"} {
		if _, err := shown(t, a, server, host, time.Now()); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"alert-stream.example", "203.0.113.1"} {
		if _, err := shown(t, a, serve(t, a, host), host, time.Now()); err == nil {
			t.Errorf("%s is trusted", host)
		}
	}
	if again := limited("lab.alertlab.test"); !bytes.Equal(again.PEM(), a.PEM()) {
		t.Error("it was made anew without need")
	}
	if below := limited("lab.alertlab.test", "kafka.lab.alertlab.test"); !bytes.Equal(below.PEM(), a.PEM()) {
		t.Error("it was made anew for a name for which it may sign")
	}
	if beside := limited("another-lab.alertlab.test"); bytes.Equal(beside.PEM(), a.PEM()) {
		t.Error("it may sign for a name that only ends alike")
	}
	a = limited("lab.alertlab.test")
	more := limited("lab.alertlab.test", "alert-stream.example")
	if bytes.Equal(more.PEM(), a.PEM()) {
		t.Error("it may sign for a name that it may not")
	}
	if _, err := shown(t, more, serve(t, more, "alert-stream.example"), "alert-stream.example", time.Now()); err != nil {
		t.Error(err)
	}
	cert, key, err := more.Pair()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		t.Errorf("its pair: %v", err)
	}
}
