package parts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/lab/fault"
)

// RootFile is the root file system of a Debian part, PackagesFile the list of
// the packages in it, one "name version" a line.
const (
	RootFile     = "root.tar"
	PackagesFile = "packages.txt"
)

// buildDebian unpacks packages into a root file system. No maintainer script
// runs, so a build needs no privileges of a kind that containers lack; what
// the scripts would have written and the rig needs is written by rootWriter.
func (b *builder) buildDebian(ctx context.Context, pin Pin, dir string) error {
	if err := b.need(ctx, "mmdebstrap", "mmdebstrap"); err != nil {
		return err
	}
	keyring, err := b.keyring(ctx)
	if err != nil {
		return err
	}
	mirror, err := debianMirror(ctx)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, ".work-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	options, err := aptOptions(ctx, filepath.Join(work, "apt.conf"))
	if err != nil {
		return err
	}
	c := b.command(pin.Name, debianRegistry)
	c.dir = work
	list := filepath.Join(work, "list")
	c.env = []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(b.pins.doc.Epoch, 10)}
	if os.Geteuid() == 0 {
		// Without root the program runs under other user ids, which the
		// user's own folders are closed to.
		c.env = append(c.env, "TMPDIR="+work)
	}
	raw := filepath.Join(work, "raw.tar")
	args := append([]string{"--variant=extract", "--include=" + strings.Join(pin.Debian.Packages, ",")}, options...)
	// download is mmdebstrap's own word, no shell's: it writes as the user, whoever the
	// hooks run as.
	args = append(args, `--extract-hook=ls "$1/var/cache/apt/archives" > "$1/rig.list"`, "--extract-hook=download /rig.list '"+list+"'", `--extract-hook=rm "$1/rig.list"`,
		pin.Debian.Suite, raw, fmt.Sprintf("deb [signed-by=%s] %s %s main", keyring, mirror, pin.Debian.Suite))
	if err := c.run(ctx, "mmdebstrap", args...); err != nil {
		return err
	}
	names, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	packages, err := packageList(string(names))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, PackagesFile), []byte(packages), 0o644); err != nil {
		return err
	}
	return filterRoot(ctx, raw, filepath.Join(dir, RootFile), pin.Debian, b.pins.doc.Epoch)
}

// keyring finds the keys of Debian's archive, whose file has had two names.
func (b *builder) keyring(ctx context.Context) (string, error) {
	const stem = "/usr/share/keyrings/debian-archive-keyring."
	find := func() string {
		for _, ending := range []string{"gpg", "pgp"} {
			if _, err := os.Stat(stem + ending); err == nil {
				return stem + ending
			}
		}
		return ""
	}
	if find() == "" {
		if err := b.install(ctx, "debian-archive-keyring"); err != nil {
			return "", err
		}
	}
	if file := find(); file != "" {
		return file, nil
	}
	return "", fault.New(fault.StepFailed, "the keys of Debian's archive are missing", stem+"gpg is not there", "apt-get install debian-archive-keyring")
}

// debianMirror gives the address of the mirror that this machine's apt takes
// Debian from.
func debianMirror(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)", "Created-By: Packages").Output()
	if err != nil {
		return "", fault.Wrap(fault.StepFailed, "the root file systems are made of Debian packages, and apt does not answer", err, "build on Debian, and copy the cache folder here")
	}
	mirror := pickMirror(string(out))
	if mirror == "" {
		return "", fault.New(fault.StepFailed, "the root file systems are made of Debian packages, and apt knows no mirror of Debian", "none of its sources is a release of Debian's main archive", "add one to /etc/apt/sources.list.d, and apt-get update")
	}
	return mirror, nil
}

// pickMirror chooses among lines of "address|release|component|origin". Only
// the archive itself has every suite: that of updates and security has not.
func pickMirror(targets string) string {
	guess := ""
	for line := range strings.Lines(targets) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if len(fields) != 4 || fields[2] != "main" || strings.ContainsAny(fields[1], "-/") {
			continue
		}
		at, err := url.Parse(fields[0])
		if err != nil || at.Scheme == "cdrom" {
			continue
		}
		switch {
		case fields[3] == "Debian":
			return fields[0]
		case guess == "" && path.Base(at.Path) == "debian":
			// The origin is known only after an apt-get update.
			guess = fields[0]
		}
	}
	return guess
}

// aptOptions gives mmdebstrap how this machine's apt reaches a mirror: proxies
// and certificates. Root's are in a file, for a proxy may have a password; another
// user's cannot, since mmdebstrap reads it under a user id that the user's own
// folders are closed to.
func aptOptions(ctx context.Context, file string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return nil, fault.Wrap(fault.StepFailed, "the settings of apt cannot be read", err, "apt-config dump")
	}
	settings := reaching(string(out))
	if os.Geteuid() == 0 {
		return []string{"--aptopt=" + file}, os.WriteFile(file, []byte(strings.Join(settings, "\n")+"\n"), 0o600)
	}
	return plainOptions(settings)
}

// reaching keeps of apt's settings those of how a mirror is reached.
func reaching(dump string) []string {
	var settings []string
	for line := range strings.Lines(dump) {
		for _, prefix := range []string{"Acquire::http", "Acquire::https", "Acquire::Retries"} {
			if strings.HasPrefix(line, prefix+"::") || strings.HasPrefix(line, prefix+" ") {
				settings = append(settings, strings.TrimSpace(line))
			}
		}
	}
	return settings
}

// plainOptions gives settings on the command line, which everybody can read: one
// with a password is refused.
func plainOptions(settings []string) ([]string, error) {
	var options []string
	for _, s := range settings {
		name, value, _ := strings.Cut(s, " ")
		if at, err := url.Parse(strings.Trim(value, `";`)); err == nil && at.User != nil {
			return nil, fault.New(fault.StepFailed, "the root file systems cannot be made by this user", "apt's "+name+" has a password, which only root can hand on unseen", "build as root")
		}
		options = append(options, "--aptopt="+strings.TrimSuffix(s, ";"))
	}
	return options, nil
}

// packageList turns the names of package files, name_version_arch.deb with the
// colon of an epoch as %3a, into sorted lines of "name version".
func packageList(files string) (string, error) {
	var list []string
	for line := range strings.Lines(files) {
		file, ok := strings.CutSuffix(strings.TrimSpace(line), ".deb")
		if !ok {
			continue // apt's folder of unfinished downloads
		}
		fields := strings.Split(file, "_")
		if len(fields) != 3 {
			return "", fmt.Errorf("%q is not the file name of a Debian package", line)
		}
		version, err := url.PathUnescape(fields[1])
		if err != nil {
			return "", err
		}
		list = append(list, fields[0]+" "+version+"\n")
	}
	if len(list) == 0 {
		return "", errors.New("no Debian packages were downloaded")
	}
	slices.Sort(list)
	return strings.Join(list, ""), nil
}

// need installs a Debian package when a program is missing.
func (b *builder) need(ctx context.Context, program, pack string) error {
	b.installing.Lock()
	defer b.installing.Unlock()
	if _, err := exec.LookPath(program); err == nil {
		return nil
	}
	if err := b.installLocked(ctx, pack); err != nil {
		return err
	}
	if _, err := exec.LookPath(program); err != nil {
		return fault.Wrap(fault.StepFailed, program+" is missing", err, "install it, and put it on the PATH")
	}
	return nil
}

func (b *builder) install(ctx context.Context, pack string) error {
	b.installing.Lock()
	defer b.installing.Unlock()
	return b.installLocked(ctx, pack)
}

func (b *builder) installLocked(ctx context.Context, pack string) error {
	_, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return fault.New(fault.StepFailed, "the build needs "+pack+", which is not installed",
			"only root on Debian can install it", "install it: apt-get install "+pack)
	}
	b.report(Progress{State: Note, Text: "installs " + pack + " from Debian"})
	c := b.command("install-"+pack, debianRegistry)
	c.env = []string{"DEBIAN_FRONTEND=noninteractive"}
	if err := c.run(ctx, "apt-get", "update"); err != nil {
		return err
	}
	// Stopped midway, it would leave the machine with a half-configured package.
	err = c.run(context.WithoutCancel(ctx), "apt-get", "install", "-y", "--no-install-recommends", pack)
	return cmp.Or(ctx.Err(), err)
}

// debianArch gives Debian's name of an architecture.
func debianArch(goarch string) string {
	switch goarch {
	case "386":
		return "i386"
	case "arm":
		return "armhf"
	case "ppc64le":
		return "ppc64el"
	}
	return goarch
}
