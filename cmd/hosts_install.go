package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/alertlab/alertlab/internal/hostsfile"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
)

// hostsFile is where most systems look names up first.
const hostsFile = "/etc/hosts"

// eitherWay refuses a verb that is told to install and to remove.
func eitherWay(install, remove bool, verb string) error {
	if install && remove {
		return fault.New(fault.BadInput, "--install and --remove undo each other", verb+" does one of them at a time", "alertlab "+verb+" --install")
	}
	return nil
}

// hostsChange is what hosts --install and --remove were told.
type hostsChange struct {
	install, remove, real, dry bool
	file                       string
}

// changeHosts puts the lab's names into a hosts file or takes them out. What it does is
// shown before it is done.
func (a *app) changeHosts(how hostsChange) error {
	text, err := os.ReadFile(how.file)
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && how.install) {
		return fault.Wrap(fault.StepFailed, how.file+" cannot be read", err, "alertlab hosts --install --file FILE   # another one")
	}
	before, after := string(text), ""
	if how.remove {
		after = hostsfile.Remove(before, a.lab)
	} else {
		lines, err := a.hostLines(how.real)
		if err != nil {
			return err
		}
		if others := hostsfile.Others(before, a.lab, lines); len(others) > 0 {
			return fault.New(fault.StepFailed, how.file+" has other addresses for names of the lab", strings.Join(others, ", "), "take those lines out of "+how.file+", then: alertlab hosts --install")
		}
		after = hostsfile.Install(before, a.lab, lines)
	}
	if after == before {
		fmt.Fprintf(a.err, "%s is as it should be; nothing to do\n", how.file)
		return nil
	}
	for line := range strings.Lines(hostsfile.Block(before, a.lab)) {
		fmt.Fprint(a.err, "- ", line)
	}
	for line := range strings.Lines(hostsfile.Block(after, a.lab)) {
		fmt.Fprint(a.err, "+ ", line)
	}
	if how.dry {
		fmt.Fprintf(a.err, "%s would be changed so\n", how.file)
		return nil
	}
	// In place: in a container the file is mounted, and cannot be replaced by another.
	if err := os.WriteFile(how.file, []byte(after), 0o644); err != nil {
		return a.needsRoot(how.file, err, "hosts "+map[bool]string{true: "--remove", false: "--install"}[how.remove])
	}
	fmt.Fprintf(a.err, "%s is changed\n", how.file)
	return nil
}

// needsRoot says how somebody else may do what this user may not.
func (a *app) needsRoot(file string, err error, verb string) error {
	root, rootErr := state.Root(a.getenv)
	if rootErr != nil {
		return rootErr
	}
	return fault.Wrap(fault.StepFailed, file+" cannot be written", err,
		"sudo env ALERTLAB_STATE_DIR="+shellWord(root)+" \"$(command -v alertlab)\" "+verb+" --lab "+a.lab)
}

// hostLines are the lines of the lab's names: its own, below alertlab.test, or those
// of the profile.
func (a *app) hostLines(real bool) ([]string, error) {
	card, _, err := a.card()
	if err != nil {
		return nil, err
	}
	hosts := card.OwnHosts()
	if real {
		hosts = card.Hosts
	}
	if len(hosts) == 0 {
		return nil, fault.New(fault.BadInput, "the profile of lab "+card.Lab+" names no hosts", "there is nothing to put into a hosts file", "alertlab hosts --install   # the lab's own names")
	}
	var lines []string
	for _, h := range hosts {
		lines = append(lines, h.Line())
	}
	return lines, nil
}
