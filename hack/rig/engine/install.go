package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/alertlab/alertlab/lab/fault"
)

// needed are the programs of the own engine; all come with the packages.
var (
	needed   = []string{"dockerd", "docker-proxy", "containerd", "containerd-shim-runc-v2", "runc", "iptables"}
	packages = []string{"docker.io", "iptables"}
)

func missing() []string {
	var list []string
	for _, name := range needed {
		if _, err := lookPath(name); err != nil {
			list = append(list, name)
		}
	}
	return list
}

// install gets the engine's programs from Debian where one is missing. Packages
// stay when the engine is stopped: they are the machine's from then on.
func install(ctx context.Context, o Options) error {
	lack := missing()
	if len(lack) == 0 {
		return nil
	}
	if !debian() {
		return fault.New(fault.StepFailed, "no Docker engine answers, and "+strings.Join(lack, ", ")+" are not installed",
			"the rig installs Docker only on Debian and its kin", "install and start Docker with this system's own tools")
	}
	began := time.Now()
	if done, err := holdServices(o); err != nil {
		return err
	} else {
		defer done()
	}
	if err := aptGet(ctx, o, []string{"update"}, append([]string{"install", "-y", "--no-install-recommends"}, packages...)); err != nil {
		return err
	}
	if lack := missing(); len(lack) > 0 {
		return fault.New(fault.StepFailed, "Debian's docker.io came without "+strings.Join(lack, ", "), "the packages of this release are others than those known here",
			"install the packages that have them, and run the rig again")
	}
	o.say("installed %s in %.0f s", strings.Join(packages, " and "), time.Since(began).Seconds())
	return nil
}

// aptGet runs apt-get once for each list of words. It is interrupted between two
// runs only; the error is then that of ctx.
func aptGet(ctx context.Context, o Options, runs ...[]string) error {
	for _, args := range runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.say("apt-get %s", strings.Join(args, " "))
		err := runWhole(ctx, func() { o.say("interrupted: waits for apt-get, which must not be stopped midway") }, "apt-get", args...)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if err != nil {
			return fault.Wrap(fault.StepFailed, "Docker could not be installed from Debian", err,
				"go run ./hack/rig doctor tells whether Debian's packages can be reached; then try: apt-get "+strings.Join(args, " "))
		}
	}
	return nil
}

// runWhole runs a program that must not be stopped midway: dpkg would be left
// with packages that are half configured, which a person has to mend. waits is
// called once when ctx ends meanwhile. The program has a session of its own, so
// that neither Ctrl-C nor a closed terminal reaches it, and writes to a file, so
// that it goes on even when this process is killed: the end of a pipe would end it.
func runWhole(ctx context.Context, waits func(), name string, args ...string) error {
	cmd, err := command(context.WithoutCancel(ctx), name, args...)
	if err != nil {
		return err
	}
	said, err := os.CreateTemp("", "alertlab-rig-*.log")
	if err != nil {
		return err
	}
	defer said.Close()
	// The open file is enough: nothing stays, however this ends.
	if err := os.Remove(said.Name()); err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(told); waits() })
	err = cmd.Wait()
	if !stop() {
		<-told
	}
	if err == nil {
		return nil
	}
	b, readErr := io.ReadAll(io.NewSectionReader(said, 0, 1<<20)) // more than apt-get says
	return errors.Join(failed(cmd, err, string(b)), readErr)
}

// policy is Debian's hook by which an administrator keeps packages from starting
// their services when they are installed.
const policy = "/usr/sbin/policy-rc.d"

// holdServices keeps the package from starting a Docker of the machine's own
// where systemd would. done takes the hook away again; one that is there already
// is the administrator's word and stays.
func holdServices(o Options) (done func(), err error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return func() {}, nil
	}
	f, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(policy)
		return nil, err
	}
	o.say("made %s for the time of the installation, so that no second engine is started; the next boot starts Debian's own unless you type: systemctl disable docker.service docker.socket", policy)
	return func() {
		if err := os.Remove(policy); err != nil {
			o.say("%v: remove it by hand, or packages do not start their services", err)
		}
	}, nil
}

// debian reads os-release(5).
func debian() bool {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		b, err := os.ReadFile(path)
		if err == nil {
			return isDebian(string(b))
		}
	}
	return false
}

func isDebian(release string) bool {
	for line := range strings.Lines(release) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		if name == "ID" && value == "debian" {
			return true
		}
		if name == "ID_LIKE" {
			for _, kin := range strings.Fields(value) {
				if kin == "debian" {
					return true
				}
			}
		}
	}
	return false
}
