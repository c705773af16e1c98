package cmd_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/internal/chaos"
)

// TestSamples takes the observatory's sample alerts, one file for a schema
// version, through a living lab: each is loaded, played, archived and fetched,
// and comes back as it is in its file. All have the same id, so that the one
// that was played last wins.
func TestSamples(t *testing.T) {
	t.Parallel()
	samples := os.Getenv("ALERTLAB_SAMPLES")
	if samples == "" {
		t.Skip("ALERTLAB_SAMPLES names no folder with sample-alert-v4.0.avro, sample-alert-v7.4.avro and sample-alert-v10.0.avro")
	}
	stateDir := filepath.Join(t.TempDir(), "s")
	t.Cleanup(func() {
		for _, p := range chaos.Processes(stateDir) {
			p.Kill()
		}
	})
	// testscript put a copy of this binary, which is the program, into the path.
	alertlab := func(args ...string) ([]byte, error) {
		c := exec.Command("alertlab", args...)
		c.Env = append(os.Environ(), "ALERTLAB_STATE_DIR="+stateDir, "ALERTLAB_SIMULATOR_ALERTS=20", "ALERTLAB_SIMULATOR_INTERVAL=2s")
		return c.Output()
	}
	must := func(args ...string) {
		t.Helper()
		if out, err := alertlab(args...); err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				out = append(out, exit.Stderr...)
			}
			t.Fatalf("alertlab %v: %v\n%s", args, err, out)
		}
	}
	must("up", "--progress", "quiet")
	for _, version := range []string{"v4.0", "v7.4", "v10.0"} {
		file := filepath.Join(samples, "sample-alert-"+version+".avro")
		id, want, err := wireOf(file, 0)
		if err != nil {
			t.Fatal(err)
		}
		if id != 1231321321 {
			t.Errorf("%s: the id is %d", file, id)
		}
		must("simulator", "create", "-q", file)
		must("simulator", "play")
		var got []byte
		// Before it, the alert of the version before is there.
		if !poll(func() bool {
			got, err = alertlab("alertdb", "get", "1231321321", "-o", "wire")
			return err == nil && bytes.Equal(got, want)
		}) {
			t.Fatalf("%s: %d bytes came back (%v), which are not the %d of the file", file, len(got), err, len(want))
		}
		must("alertdb", "get", "1231321321")
		must("alertdb", "get", "1231321321", "-o", "json")
		// Right after an id was published again with other bytes, and a visit beside
		// the lab's own.
		must("smoke", "--only", "visit-cadence,alert-database-bytes,alert-decodes", "--timeout", "90s")
		t.Logf("%s: %d bytes on the wire, byte for byte", version, len(want))
	}
	// And in another schema, newer and older: the same id, other bytes.
	for _, pair := range [][2]string{{"4.0", "10.0"}, {"10.0", "4.0"}, {"7.4", "11.0"}} {
		file := filepath.Join(samples, "sample-alert-v"+pair[0]+".avro")
		_, was, err := wireOf(file, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := rewritten(t, was, pair[0], pair[1])
		must("simulator", "create", "-q", file, "--schema", pair[1])
		must("simulator", "play")
		var got []byte
		if !poll(func() bool {
			got, err = alertlab("alertdb", "get", "1231321321", "-o", "wire")
			return err == nil && bytes.Equal(got, want)
		}) {
			t.Fatalf("%s as %s: %d bytes came back (%v), not the %d wanted", file, pair[1], len(got), err, len(want))
		}
		must("alertdb", "get", "1231321321", "-o", "json")
	}
	must("smoke", "--only", "schema-versions")
	must("down", "--purge", "--verify")
}

// rewritten gives a message of one published version as one of another.
func rewritten(t *testing.T, wire []byte, from, to string) []byte {
	t.Helper()
	var schemas []*packet.Schema
	for _, text := range []string{from, to} {
		version, err := packet.ParseVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := packet.Published(version)
		if err != nil {
			t.Fatal(err)
		}
		schemas = append(schemas, schema)
	}
	id, body, err := packet.Unframe(wire)
	if err != nil || int(id) != schemas[0].ID() {
		t.Fatalf("schema id %d, %v", id, err)
	}
	c, err := packet.NewConverter(schemas[0], schemas[1])
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Convert(body)
	if err != nil {
		t.Fatal(err)
	}
	return packet.Frame(uint32(schemas[1].ID()), out)
}
