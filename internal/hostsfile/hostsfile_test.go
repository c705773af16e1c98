package hostsfile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/internal/hostsfile"
)

var lines = []string{"192.0.2.1\tbootstrap.a.alertlab.test\n", "192.0.2.2\tbroker-0.a.alertlab.test\n"}

// What was there before is there afterwards, whatever it was.
func TestInstallRemove(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n\n# mine\n", "# BEGIN alertlab lab ab: x\n1.1.1.1 other\n# END alertlab lab ab\n", "# BEGIN alertlab lab a: of a file that was cut\n127.0.0.1 localhost\n"} {
		with := hostsfile.Install(before, "a", lines)
		if strings.HasPrefix(before, "# BEGIN alertlab lab a:") {
			if with = hostsfile.Install(with, "a", lines); hostsfile.Remove(with, "a") != before {
				t.Errorf("a mark without an end took lines away: %q", with)
			}
			continue
		}
		if !strings.HasPrefix(with, before) || !strings.Contains(with, lines[0]+lines[1]) {
			t.Errorf("%q became %q", before, with)
		}
		if again := hostsfile.Install(with, "a", lines); again != with {
			t.Errorf("twice: %q", again)
		}
		if block := hostsfile.Block(with, "a"); !strings.HasPrefix(block, "# BEGIN alertlab lab a:") || !strings.HasSuffix(block, "# END alertlab lab a\n") {
			t.Errorf("block %q", block)
		}
		if after := hostsfile.Remove(with, "a"); after != before {
			t.Errorf("%q became %q", before, after)
		}
	}
	if with := hostsfile.Install("127.0.0.1 localhost", "a", lines); hostsfile.Remove(with, "a") != "127.0.0.1 localhost\n" {
		t.Errorf("without a last newline: %q", with)
	}
	// The lines of another lab stay, and new ones take the place of the old.
	two := hostsfile.Install(hostsfile.Install("", "a", lines), "b", lines[:1])
	moved := hostsfile.Install(two, "a", lines[1:])
	if strings.Count(moved, "BEGIN") != 2 || strings.Count(moved, lines[0]) != 1 || hostsfile.Block(moved, "b") != hostsfile.Block(two, "b") {
		t.Errorf("%q", moved)
	}
	if hostsfile.Block("", "a") != "" {
		t.Error("a block of nothing")
	}
}

func TestOthers(t *testing.T) {
	t.Parallel()
	text := "127.0.0.1 localhost\n203.0.113.9 x broker-0.a.alertlab.test # real\n192.0.2.1 bootstrap.a.alertlab.test\n#10.0.0.1 bootstrap.a.alertlab.test\n"
	if got := hostsfile.Others(text, "a", lines); !slices.Equal(got, []string{"broker-0.a.alertlab.test is 203.0.113.9"}) {
		t.Errorf("%q", got)
	}
	if got := hostsfile.Others(hostsfile.Install("", "a", lines), "a", []string{"192.0.2.9\tbootstrap.a.alertlab.test\n"}); len(got) > 0 {
		t.Errorf("its own block: %q", got)
	}
}
