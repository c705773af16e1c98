package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/lab/fault"
)

const (
	// The oldest Python that the pinned versions of astropy and numpy take, and
	// the oldest Java that compiles Clients.java.
	oldestPythonMinor = 11
	oldestJava        = 17
	// lockPoll is how often the cache's lock is tried again: flock cannot wait
	// with a context.
	lockPoll = 100 * time.Millisecond
	// complete is written into a folder of the cache last.
	complete = ".complete"
	// unused is how long versions that no run has asked for are kept: another
	// checkout may be testing with them.
	unused = 7 * 24 * time.Hour
)

// tools installs clients and says how they are started.
type tools struct {
	say    func(format string, args ...any)
	source string // this folder

	cache       string
	interpreter string // of Python, which makes the environment
	venv, jars  string // what was installed
}

// open takes the cache folder for installing. The lock may be released more than
// once.
func (t *tools) open(ctx context.Context) (release func(), err error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return nil, fault.Wrap(fault.StepFailed, "there is no cache folder", err, "export XDG_CACHE_HOME=FOLDER")
	}
	t.cache = filepath.Join(user, "alertlab", "clients")
	if err := os.MkdirAll(t.cache, 0o755); err != nil {
		return nil, fault.Wrap(fault.StepFailed, "the cache folder cannot be made", err, "export XDG_CACHE_HOME=FOLDER")
	}
	f, err := os.OpenFile(filepath.Join(t.cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fault.Wrap(fault.StepFailed, "the cache folder cannot be locked", err, "export XDG_CACHE_HOME=FOLDER")
	}
	told := false
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			f.Close()
			return nil, fault.Wrap(fault.StepFailed, "the cache folder cannot be locked", err, "export XDG_CACHE_HOME=FOLDER")
		case !told:
			t.say("waits for another run that installs into %s", t.cache)
			told = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// debian installs Debian's packages that chosen clients lack.
func (t *tools) debian(ctx context.Context, chosen []selection) error {
	packages, err := t.missing(ctx, needed(chosen))
	if err != nil || len(packages) == 0 {
		return err
	}
	if err := aptGet(ctx, t.say, packages); err != nil {
		return err
	}
	still, err := t.missing(ctx, needed(chosen))
	if err == nil && len(still) > 0 {
		err = fault.New(fault.StepFailed, "a client's tools are too old or missing", "Debian's "+strings.Join(still, ", ")+" did not bring what is needed: "+requirements,
			"install them by hand, and put them on the PATH")
	}
	return err
}

var requirements = fmt.Sprintf("Python 3.%d with venv, a JDK %d, mvn, kcat", oldestPythonMinor, oldestJava)

// missing lists Debian's packages of what is not there.
func (t *tools) missing(ctx context.Context, list []tool) ([]string, error) {
	var packages []string
	lacks := func(program string) bool { _, err := exec.LookPath(program); return err != nil }
	if slices.Contains(list, python) {
		t.interpreter = findPython(ctx)
		if t.interpreter == "" {
			packages = append(packages, "python3-venv")
		}
	}
	if slices.Contains(list, kcat) && lacks("kcat") {
		packages = append(packages, "kcat")
	}
	if slices.Contains(list, java) {
		// The one source file is compiled by java itself, which takes a JDK.
		text, _ := exec.CommandContext(ctx, "java", "-version").CombinedOutput()
		if lacks("javac") || javaVersion(string(text)) < oldestJava {
			packages = append(packages, "default-jdk-headless")
		}
		if lacks("mvn") {
			packages = append(packages, "maven")
		}
	}
	return packages, ctx.Err()
}

// findPython gives an interpreter that can make the environment, "" if there is none.
func findPython(ctx context.Context) string {
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if exec.CommandContext(ctx, path, "-c", fmt.Sprintf("import sys, venv, ensurepip; sys.exit(sys.version_info < (3, %d))", oldestPythonMinor)).Run() == nil {
			return path
		}
	}
	return ""
}

var javaWords = regexp.MustCompile(`version "(\d+)(?:\.(\d+))?`)

// javaVersion reads what java -version prints; 0 is none.
func javaVersion(text string) int {
	found := javaWords.FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	major, _ := strconv.Atoi(found[1])
	if major == 1 { // as Java called itself until 8: 1.8.0
		major, _ = strconv.Atoi(found[2])
	}
	return major
}

// aptGet installs packages, or says who can.
func aptGet(ctx context.Context, say func(string, ...any), packages []string) error {
	list := strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fault.New(fault.StepFailed, "clients are missing: "+list, "only root on Debian can install them by itself (needed: "+requirements+")",
			"as root: apt-get install "+list+"   # elsewhere: what has these programs")
	}
	say("installs %s from Debian", list)
	for _, words := range [][]string{{"update", "-q"}, append([]string{"install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"}, packages...)} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Stopped midway, it would leave the machine with a half-configured package.
		cmd := command(context.WithoutCancel(ctx), append(os.Environ(), "DEBIAN_FRONTEND=noninteractive"), append([]string{"apt-get"}, words...)...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fault.New(fault.StepFailed, "Debian's packages could not be installed", fmt.Sprintf("apt-get %s: %v\n%s", words[0], err, lastLines(string(text), 20)),
				"apt-get install "+list)
		}
	}
	return ctx.Err()
}

// languages installs Python's and Java's clients.
func (t *tools) languages(ctx context.Context, chosen []selection) error {
	list := needed(chosen)
	g, ctx := errgroup.WithContext(ctx)
	if slices.Contains(list, python) {
		g.Go(func() error { return t.makePython(ctx) })
	}
	if slices.Contains(list, java) {
		g.Go(func() error { return t.fetchJava(ctx) })
	}
	return g.Wait()
}

// makePython makes the environment of requirements.txt, which cannot be moved
// afterwards: its programs name its path.
func (t *tools) makePython(ctx context.Context) error {
	list := filepath.Join(t.source, "python", "requirements.txt")
	version, err := exec.CommandContext(ctx, t.interpreter, "-c", "import sys; print(sys.version, sys.base_prefix)").Output()
	if err != nil {
		return fault.Wrap(fault.StepFailed, "Python does not run", err, t.interpreter+" -V")
	}
	wanted, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	t.venv, err = t.install(ctx, "python", key(wanted, version), func(ctx context.Context, folder string) error {
		if err := t.step(ctx, "", t.interpreter, "-m", "venv", folder); err != nil {
			return err
		}
		return t.step(ctx, "the list of versions may not suit this Python; see hack/clients/python/requirements.txt",
			filepath.Join(folder, "bin", "python"), "-m", "pip", "install", "--no-input", "--progress-bar", "off", "-r", list)
	})
	return err
}

// fetchJava copies the libraries of pom.xml.
func (t *tools) fetchJava(ctx context.Context) error {
	pom := filepath.Join(t.source, "java", "pom.xml")
	wanted, err := os.ReadFile(pom)
	if err != nil {
		return err
	}
	t.jars, err = t.install(ctx, "java", key(wanted), func(ctx context.Context, folder string) error {
		return t.step(ctx, "", "mvn", "-B", "-q", "-f", pom, "-Dmaven.repo.local="+filepath.Join(t.cache, "m2"),
			"dependency:copy-dependencies", "-DoutputDirectory="+folder)
	})
	return err
}

// key names content and what it was made with.
func key(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range append(parts, []byte(runtime.GOOS+"/"+runtime.GOARCH)) {
		fmt.Fprintf(h, "%d\n%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// install gives the folder of the cache with this name and key, and makes it
// where it is not complete. Those with other keys go when they are a week old.
func (t *tools) install(ctx context.Context, name, key string, do func(ctx context.Context, folder string) error) (string, error) {
	folder := filepath.Join(t.cache, name+"-"+key)
	now := time.Now()
	switch err := os.Chtimes(filepath.Join(folder, complete), now, now); {
	case err == nil:
		return folder, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	former, err := filepath.Glob(filepath.Join(t.cache, name+"-*"))
	if err != nil {
		return "", err
	}
	for _, f := range former {
		info, err := os.Stat(filepath.Join(f, complete))
		if err == nil && now.Sub(info.ModTime()) < unused {
			continue
		}
		if err := os.RemoveAll(f); err != nil {
			return "", err
		}
	}
	began := time.Now()
	t.say("installs the clients of %s", name)
	if err := do(ctx, folder); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(folder, complete), nil, 0o644); err != nil {
		return "", err
	}
	t.say("the clients of %s are installed, in %.0f s", name, time.Since(began).Seconds())
	return folder, nil
}

// step runs one installer; hint is what else may be wrong.
func (t *tools) step(ctx context.Context, hint string, words ...string) error {
	var said bytes.Buffer
	cmd := command(ctx, os.Environ(), words...)
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		next := strings.Join(words, " ")
		if hint != "" {
			next += "   # " + hint
		}
		return fault.New(fault.StepFailed, "a client could not be installed", fmt.Sprintf("%s: %v\n%s", filepath.Base(words[0]), err, lastLines(said.String(), 20)), next)
	}
	return nil
}

// program is how a client's program is started.
func (t *tools) program(c client) []string {
	if strings.HasSuffix(c.file, ".java") {
		return []string{"java", "-cp", filepath.Join(t.jars, "*"), filepath.Join(t.source, "java", c.file)}
	}
	return []string{filepath.Join(t.venv, "bin", "python"), filepath.Join(t.source, "python", c.file)}
}
