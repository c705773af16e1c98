package cmd

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/runner"
)

// Why a part is not as it was applied comes before what it does at the moment.
func TestPrintStatus(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{out: &out}
	facts := []event.Fact{{Name: "node-0", Value: "172.18.0.2"}}
	err := a.printStatus(runner.Status{Lab: "x", Ready: true, Parts: []runner.PartStatus{
		{Key: "cluster", State: plan.Present, Seen: "1 of 2 nodes run: not node-1", Amiss: "1 of 2 nodes run: not node-1", Facts: facts},
		{Key: "images", State: plan.Present, Seen: "all there", Facts: facts},
		{Key: "kafka", State: plan.Present, Seen: "release kafka, revision 1, is as it was applied; 1 of 1 pods ready on node-0, 2 restarts"},
	}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{"1 of 2 nodes run: not node-1; node-0: 172.18.0.2", "node-0: 172.18.0.2", "1 of 1 pods ready on node-0, 2 restarts"} {
		if line := lines[len(lines)-4+i]; !strings.HasSuffix(strings.TrimSpace(line), want) || (i == 1 && strings.Contains(line, "all there")) {
			t.Errorf("line %d is %q, want %q", i, line, want)
		}
	}
}
