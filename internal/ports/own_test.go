package ports

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestOwn(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"127.0.0.1": "127.0.0.1", "127.0.0.77": "127.0.0.77", "localhost": "127.0.0.1"} {
		if got, err := Own(t.Context(), host); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", host, got, err)
		}
	}
	for host, why := range map[string]string{
		"0.0.0.0":              "it stands for all of them",
		"::":                   "it stands for all of them",
		"203.0.113.77":         "no network interface has it",
		"no.such.host.invalid": "no.such.host.invalid is no address of this machine: ",
	} {
		_, err := Own(t.Context(), host)
		var foreign *ForeignError
		if !errors.As(err, &foreign) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", host, err)
		}
	}
	// Every address of this machine is one of its own, and can be listened at.
	mine, err := interfaces()
	if err != nil || len(mine) == 0 {
		t.Fatalf("%v, %v", mine, err)
	}
	for _, a := range mine {
		if a.IsLinkLocalUnicast() { // needs a zone
			continue
		}
		got, err := Own(t.Context(), a.String())
		if err != nil || got != a {
			t.Errorf("%s: %v, %v", a, got, err)
		}
		if err := Check(t.Context(), net.JoinHostPort(a.String(), "0")); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}
