package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets this binary be the program itself.
func TestMain(m *testing.M) {
	if os.Getenv("ALERTLAB_TEST_RUNC") != "" {
		main()
	}
	os.Exit(m.Run())
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func invoke(t *testing.T, environ []string, args ...string) (out string, code int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(append(os.Environ(), "ALERTLAB_TEST_RUNC=1"), environ...)
	b, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

func TestProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	write(t, real, "#!/bin/sh\necho \"real: $*\"\nexit 7\n", 0o755)
	environ := []string{"ALERTLAB_RIG_RUNC=" + real}
	config := filepath.Join(dir, "config.json")
	write(t, config, `{"process":{"oomScoreAdj":-998,"args":["a"]}}`, 0o640)
	out, code := invoke(t, environ, "--root", "/r", "create", "--bundle", dir, "c")
	if code != 7 || out != "real: --root /r create --bundle "+dir+" c\n" {
		t.Errorf("it ended with %d and said %s", code, out)
	}
	if b, err := os.ReadFile(config); err != nil || string(b) != `{"process":{"oomScoreAdj":0,"args":["a"]}}` {
		t.Errorf("the config is %s, %v", b, err)
	}
	if out, code := invoke(t, environ, "--version"); code != 7 || out != "real: --version\n" {
		t.Errorf("another command: %d, %s", code, out)
	}
}

// An edit that fails does not start runc, and says so where a container's engine
// reads runc's errors.
func TestFailures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), `{"process":`, 0o600)
	log := filepath.Join(dir, "log.json")
	write(t, log, "", 0o600)
	out, code := invoke(t, []string{"ALERTLAB_RIG_RUNC=/bin/true"}, "--log", log, "--log-format", "json", "create", "--bundle", dir, "c")
	if code != 1 || !strings.Contains(out, "config.json: the document is not JSON") {
		t.Errorf("it ended with %d and said %s", code, out)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var entry struct{ Level, Msg, Time string }
	if err := json.Unmarshal(b, &entry); err != nil || entry.Level != "error" || !strings.Contains(entry.Msg, "config.json") {
		t.Errorf("it logged %s, %v", b, err)
	}
	for what, args := range map[string][]string{
		"no bundle":       {"create", "--bundle", filepath.Join(dir, "none"), "c"},
		"an unknown flag": {"--new", "x", "create", "c"},
	} {
		if out, code := invoke(t, []string{"ALERTLAB_RIG_RUNC=/bin/true"}, args...); code != 1 || out == "" {
			t.Errorf("%s: %d, %s", what, code, out)
		}
	}
	if out, code := invoke(t, []string{"ALERTLAB_RIG_RUNC=" + dir + "/none"}, "list"); code != 1 || !strings.Contains(out, "none") {
		t.Errorf("no runc: %d, %s", code, out)
	}
}
