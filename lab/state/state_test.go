package state_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/state"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestRoot(t *testing.T) {
	t.Parallel()
	work, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		env  func(string) string
		want string
	}{
		"own variable first":    {env("ALERTLAB_STATE_DIR", "/a", "XDG_STATE_HOME", "/b", "HOME", "/c"), "/a"},
		"made absolute":         {env("ALERTLAB_STATE_DIR", "labs"), filepath.Join(work, "labs")},
		"XDG":                   {env("XDG_STATE_HOME", "/b", "HOME", "/c"), "/b/alertlab"},
		"relative XDG is void":  {env("XDG_STATE_HOME", "b", "HOME", "/c"), "/c/.local/state/alertlab"},
		"home":                  {env("HOME", "/c"), "/c/.local/state/alertlab"},
		"nothing is set at all": {env(), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := state.Root(test.env)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"default": true, "a": true, "7": true, "usdf-dev-2": true, strings.Repeat("a", 40): true,
		"": false, strings.Repeat("a", 41): false, "-a": false, "a-": false, "Lab": false, "a.b": false, "a_b": false,
		"a/b": false, "..": false, "a\n": false, "é": false, "a.lock": false,
	} {
		if err := state.CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func create(t *testing.T, root, name string) state.Dir {
	t.Helper()
	dir := state.At(root, name)
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLabs(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "state")
	if labs, err := state.Labs(root); err != nil || len(labs) != 0 {
		t.Errorf("before there is any: %v, %v", labs, err)
	}
	if state.At(root, "b").Exists() {
		t.Error("a lab is there before it is made")
	}
	if _, err := os.Stat(root); err == nil {
		t.Error("looking made the directory")
	}
	for _, name := range []string{"b", "a"} {
		dir := create(t, root, name)
		lock, err := state.TryLock(dir.LockPath())
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Release()
	}
	// Neither the locks beside the labs nor a foreign file is a lab.
	if err := os.WriteFile(filepath.Join(root, "labs", "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if labs, err := state.Labs(root); err != nil || !slices.Equal(labs, []string{"a", "b"}) {
		t.Errorf("got %v, %v", labs, err)
	}
}

// Nobody else may look into a lab.
func TestModes(t *testing.T) {
	t.Parallel()
	dir := create(t, filepath.Join(t.TempDir(), "state"), "default")
	if _, err := dir.EnsureCredentials([]string{"kafka-admin"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(dir.SetDescription(state.Description{Name: "default"}), dir.SetEndpoints(endpoints.Endpoints{Lab: "default"})); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir.Root(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		if strings.HasPrefix(d.Name(), ".write-") {
			t.Errorf("%s is left over", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := create(t, t.TempDir(), "default")
	if _, err := dir.Describe(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a description before there is one: %v", err)
	}
	if _, err := dir.Endpoints(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a card before there is one: %v", err)
	}
	if _, err := dir.Credentials(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("credentials before there are any: %v", err)
	}
	desc := state.Description{Name: "default", Provider: "embedded", Stack: "alerts", Profile: "local", Resolved: "a: 1\n",
		Reservoir: &state.Reservoir{File: "/visit.avro", Manifest: `{"alerts":3}`}}
	if err := dir.SetDescription(desc); err != nil {
		t.Fatal(err)
	}
	got, err := dir.Describe()
	if err != nil || got.Reservoir == nil || *got.Reservoir != *desc.Reservoir || got.Resolved != desc.Resolved || got.Profile != desc.Profile {
		t.Errorf("got %+v, %v", got, err)
	}
	card := endpoints.Endpoints{Lab: "default", Kafka: endpoints.Kafka{Bootstrap: "127.0.0.10:9094"}}
	if err := dir.SetEndpoints(card); err != nil {
		t.Fatal(err)
	}
	if got, err := dir.Endpoints(); err != nil || got.Kafka.Bootstrap != card.Kafka.Bootstrap {
		t.Errorf("got %+v, %v", got, err)
	}
	path := filepath.Join(dir.Path(), "lab.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Describe(); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("a broken description: %v", err)
	}
}

// A reader sees the old file or the new one, however often it is replaced.
func TestFilesAreAtomic(t *testing.T) {
	t.Parallel()
	dir := create(t, t.TempDir(), "default")
	texts := []string{strings.Repeat("a", 50_000), strings.Repeat("b", 100_000)}
	if err := dir.SetDescription(state.Description{Resolved: texts[0]}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range 40 {
			if err := dir.SetDescription(state.Description{Resolved: texts[i%2]}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		if got, err := dir.Describe(); err != nil || !slices.Contains(texts, got.Resolved) {
			t.Errorf("read %d bytes, %v", len(got.Resolved), err)
			break
		}
	}
	wg.Wait()
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := create(t, t.TempDir(), "default")
	first, err := dir.EnsureCredentials([]string{"kafka-admin", "alerce"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir.Path(), "credentials.json")
	written, err := os.Stat(path)
	if err != nil || written.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", written, err)
	}
	if again, err := dir.EnsureCredentials([]string{"alerce"}); err != nil || again.Kafka["alerce"] != first.Kafka["alerce"] || again.Kafka["kafka-admin"] != first.Kafka["kafka-admin"] {
		t.Errorf("a second call gave others: %v", err)
	}
	if unchanged, err := os.Stat(path); err != nil || !os.SameFile(written, unchanged) {
		t.Errorf("the file was written again for nothing: %v", err)
	}
	accounts, err := dir.EnsureCredentials(nil, "argocd")
	if err != nil || len(accounts.Accounts["argocd"]) != 26 {
		t.Errorf("an account: %v, %v", len(accounts.Accounts["argocd"]), err)
	}
	if again, err := dir.EnsureCredentials(nil, "argocd"); err != nil || again.Accounts["argocd"] != accounts.Accounts["argocd"] {
		t.Errorf("a second call gave another password: %v", err)
	}
	more, err := dir.EnsureCredentials([]string{"alerce", "fink"})
	if err != nil {
		t.Fatal(err)
	}
	if more.Kafka["alerce"] != first.Kafka["alerce"] || more.ObjectStore != first.ObjectStore {
		t.Error("a new user changed what was there")
	}
	read, err := dir.Credentials()
	if err != nil || read.Kafka["fink"] != more.Kafka["fink"] || read.ObjectStore != more.ObjectStore {
		t.Errorf("what is kept is not what was given: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("rewritten: %v, %v", info, err)
	}
	seen := map[string]string{}
	for user, p := range more.Kafka {
		if len(p) != 26 || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("the password of %s has %d characters, or odd ones", user, len(p))
		}
		if other, dup := seen[p]; dup {
			t.Errorf("%s and %s have one password", user, other)
		}
		seen[p] = user
	}
	if k := more.ObjectStore; !strings.HasPrefix(k.AccessKey, "alertlab-") || len(k.SecretKey) != 26 || strings.Contains(k.SecretKey, k.AccessKey) {
		t.Errorf("key pair %s", k)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	dir := create(t, t.TempDir(), "default")
	if _, err := dir.SetTokens([]string{"alertlab"}); err == nil {
		t.Error("tokens of a lab that has no credentials")
	}
	if _, err := dir.EnsureCredentials([]string{"alerce"}); err != nil {
		t.Fatal(err)
	}
	set := func(names ...string) map[string]string {
		t.Helper()
		c, err := dir.SetTokens(names)
		if err != nil {
			t.Fatal(err)
		}
		read, err := dir.Credentials()
		if err != nil || !maps.Equal(read.Tokens, c.Tokens) || len(c.Tokens) != len(names) || read.Kafka["alerce"] == "" {
			t.Fatalf("%d tokens, %d kept: %v", len(c.Tokens), len(read.Tokens), err)
		}
		return c.Tokens
	}
	first := set("alertlab", "antares")
	for name, secret := range first {
		if !regexp.MustCompile(`^gt-[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{22}$`).MatchString(secret) {
			t.Errorf("%s is not in the form of Gafaelfawr's: %d characters", name, len(secret))
		}
	}
	if first["alertlab"] == first["antares"] {
		t.Error("two tokens are one")
	}
	if again := set("alertlab", "antares"); !maps.Equal(first, again) {
		t.Error("a second call gave others")
	}
	if set("alertlab")["alertlab"] != first["alertlab"] {
		t.Error("what stays is another one")
	}
	if set("alertlab", "antares")["antares"] == first["antares"] {
		t.Error("added again it is the one that was revoked")
	}
	set()
}

// Broken credentials are left for a person to mend: clients have the passwords
// that are in them, new ones would lock every client out.
func TestBrokenCredentials(t *testing.T) {
	t.Parallel()
	dir := create(t, t.TempDir(), "default")
	path := filepath.Join(dir.Path(), "credentials.json")
	if err := os.WriteFile(path, []byte(`{"kafka":{"kafka-admin":"secr`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.EnsureCredentials([]string{"kafka-admin"}); err == nil || strings.Contains(err.Error(), "secr\"") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || json.Valid(b) {
		t.Errorf("the file was replaced: %v", err)
	}
}

func TestSocket(t *testing.T) {
	t.Parallel()
	short := state.At("/var/tmp/x", "default")
	if got, want := short.Socket(), "/var/tmp/x/labs/default/runner.sock"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	deep := filepath.Join("/", strings.Repeat("deep/", 40))
	a, b := state.At(deep, "a").Socket(), state.At(deep, "b").Socket()
	if a == b || filepath.Dir(a) != state.SharedTemp() || a != state.At(deep, "a").Socket() {
		t.Errorf("deep labs have the sockets %s and %s", a, b)
	}
}

// Delete leaves nothing of the last lab, and everything of another.
func TestDelete(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	root := filepath.Join(home, "alertlab")
	a, b := create(t, root, "a"), create(t, root, "b")
	if err := os.MkdirAll(filepath.Join(a.Data("kafka"), "topic", "0"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.Socket(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Delete(); err != nil {
		t.Fatal(err)
	}
	if a.Exists() || !b.Exists() {
		t.Errorf("a exists: %v, b exists: %v", a.Exists(), b.Exists())
	}
	if err := a.Delete(); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
	if err := b.Delete(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(home); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := (state.Dir{}).Delete(); err == nil {
		t.Error("no lab at all was deleted")
	}
}

// A file that is not the lab's keeps the folders above it.
func TestDeleteKeepsForeign(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := create(t, root, "a")
	foreign := filepath.Join(root, "notes.txt")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dir.Delete(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(root, "labs")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of labs is left: %v", err)
	}
}

// The folder that labs of every state directory share is refused when others may
// enter it. It stands in the temporary directory of the process.
func TestSharedTemp(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	shared := state.SharedTemp()
	if filepath.Dir(shared) != temp {
		t.Fatalf("it is %s", shared)
	}
	ran := 0
	if err := state.WithSharedTemp(func(dir string) error {
		ran++
		info, err := os.Stat(dir)
		if err == nil && (dir != shared || info.Mode().Perm() != 0o700) {
			t.Errorf("%s has mode %s", dir, info.Mode())
		}
		return err
	}); err != nil || ran != 1 {
		t.Fatalf("%v, ran %d times", err, ran)
	}
	// Another lab, the last one, removes the folder under us: it is made again.
	ran = 0
	if err := state.WithSharedTemp(func(dir string) error {
		if ran++; ran == 1 {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
		}
		return os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
	}); err != nil || ran != 2 {
		t.Errorf("%v, ran %d times", err, ran)
	}
	if err := os.Chmod(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := state.WithSharedTemp(func(string) error { t.Error("it was entered"); return nil }); err == nil {
		t.Error("a folder that others may enter was taken")
	}
	if err := os.RemoveAll(shared); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), shared); err != nil {
		t.Fatal(err)
	}
	if err := state.WithSharedTemp(func(string) error { t.Error("it was entered"); return nil }); err == nil {
		t.Error("a link was taken")
	}
}
