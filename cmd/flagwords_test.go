package cmd

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
)

// TestFlagsAreRefusedInWords types values that flags cannot take: what is said names
// the flag and the value, and is not in Go's words.
func TestFlagsAreRefusedInWords(t *testing.T) {
	for _, c := range [][]string{ // arguments, and what is said at last
		{"simulator", "generate", "x.avro", "--alerts", "many", "whole number"},
		{"simulator", "generate", "x.avro", "--seed", "-1", "whole number"},
		{"simulator", "generate", "x.avro", "--alerts", "99999999999999999999", "too large"},
		{"simulator", "generate", "x.avro", "--midpoint", "noon", "no number"},
		{"simulator", "play", "--interval", "37", "a time has a unit, e.g. 37s"},
		{"simulator", "play", "--interval", "37 seconds", "a time is a number with a unit"},
		{"simulator", "play", "--interval", "often", "a time is a number with a unit"},
		{"simulator", "generate", "x.avro", "--quiet=maybe", "true or false"},
		{"simulator", "generate", "x.avro", "--packet-size", "10", "--packet-size: 10 bytes"},
		{"simulator", "generate", "x.avro", "--packet-size", "80kb", "did you mean 80kB?"},
		{"simulator", "generate", "x.avro", "--packet-size", "3GB", "2 GiB at most"},
		{"simulator", "generate", "x.avro", "--packet-size", "big", "a size is written as 80kB"},
		{"simulator", "generate", "x.avro", "--midpoint", "5", "--midpoint: 5 is not from"},
		{"simulator", "generate", "x.avro", "--visit", "-1", "--visit: -1 is not from"},
	} {
		args, want := c[:len(c)-1], c[len(c)-1]
		root := testRoot()
		root.SetArgs(args)
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		err := root.ExecuteContext(context.Background())
		if err == nil {
			t.Errorf("%v was taken", args)
			continue
		}
		for _, foreign := range []string{"strconv", "time: ", "synthetic visit", "PacketBytes", "Mjd", "parsing"} {
			if strings.Contains(err.Error(), foreign) {
				t.Errorf("%v: %v", args, err)
			}
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--") {
			t.Errorf("%v: %v; want %q", args, err, want)
		}
	}
	_, number := strconv.Atoi("x")
	if err := inWords(number); !errors.Is(err, strconv.ErrSyntax) {
		t.Errorf("%v lost its cause", err)
	}
	plain := errors.New("plain")
	if inWords(plain) != plain || visitWords(plain) != plain {
		t.Error("an error that is in words already was changed")
	}
	if err := visitWords(&packet.VisitError{Field: "Alerts", Err: plain}); err.Error() != "--alerts: plain" || !errors.Is(err, plain) {
		t.Errorf("%v", err)
	}
}
