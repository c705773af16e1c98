package cmd

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/kafka"
)

// Brokers that take a connection and say nothing are told of when the time for them is
// over: that it is our own time that ended is no reason to keep silent.
func TestSilentBrokersAreToldOf(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var log bytes.Buffer
	a := &app{hooks: Hooks{Patience: 50 * time.Millisecond}}
	if err := a.checkLogin(t.Context(), kafka.Login{Bootstrap: []string{ln.Addr().String()}}, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "the brokers do not answer yet") {
		t.Errorf("logged %q", log.String())
	}
}
