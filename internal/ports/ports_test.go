package ports

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestCheckNamesTheHolder(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	err = Check(t.Context(), ln.Addr().String())
	var taken *TakenError
	if !errors.As(err, &taken) {
		t.Fatalf("Check = %v, want a *TakenError", err)
	}
	if want := fmt.Sprintf("process %d", os.Getpid()); runtime.GOOS == "linux" && !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not name %s", err, want)
	}
	ln.Close()
	if err := Check(t.Context(), ln.Addr().String()); err != nil {
		t.Errorf("after closing: %v", err)
	}
}

func TestParseLocal(t *testing.T) {
	for _, bad := range []string{"", "0B00007F", "zz:1", "0B00007F:xyz", "00:1"} {
		if a, err := parseLocal(bad); err == nil {
			t.Errorf("parseLocal(%q) = %v", bad, a)
		}
	}
}
