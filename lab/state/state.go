package state

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/profiles"
)

// DefaultLab is the lab that verbs mean when no --lab is given.
const DefaultLab = "default"

// Root finds the directory of all labs: ALERTLAB_STATE_DIR, else
// $XDG_STATE_HOME/alertlab, else ~/.local/state/alertlab.
func Root(getenv func(string) string) (string, error) {
	if dir := getenv("ALERTLAB_STATE_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "alertlab"), nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", errors.New("neither ALERTLAB_STATE_DIR nor XDG_STATE_HOME nor HOME is set")
	}
	return filepath.Join(home, ".local", "state", "alertlab"), nil
}

var labName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// CheckName says whether a lab may be called so: a DNS label of at most 40
// characters, because host names and Kubernetes labels will be made of it.
func CheckName(name string) error {
	if !labName.MatchString(name) {
		return fmt.Errorf("%q is no name for a lab: use 1 to 40 lower-case letters, digits and inner hyphens", name)
	}
	return nil
}

// Dir is the directory of one lab. The zero value is of no use; see At.
type Dir struct {
	root string
	name string
}

// At gives the directory of the lab called name under root. Nothing is created.
func At(root, name string) Dir { return Dir{root: root, name: name} }

// Labs lists the names of the labs under root, sorted.
func Labs(root string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, "labs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && CheckName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// Lab gives the lab's name.
func (d Dir) Lab() string { return d.name }

// Path gives the lab's own directory.
func (d Dir) Path() string { return filepath.Join(d.root, "labs", d.name) }

// Root gives the directory of all labs.
func (d Dir) Root() string { return d.root }

// Data gives the directory in which a part keeps what it stores.
func (d Dir) Data(part string) string { return filepath.Join(d.Path(), "data", part) }

// TLS gives the folder of the lab's certificate authority.
func (d Dir) TLS() string { return filepath.Join(d.Path(), "tls") }

// Journal gives the path of the journal.
func (d Dir) Journal() string { return filepath.Join(d.Path(), "journal.jsonl") }

// Logs gives the directory of the logs, a file for each component.
func (d Dir) Logs() string { return filepath.Join(d.Path(), "logs") }

// Smoke gives the directory of the runs of smoke that are remembered.
func (d Dir) Smoke() string { return filepath.Join(d.Path(), "smoke") }

// Log gives the path of one component's log.
func (d Dir) Log(component string) string { return filepath.Join(d.Logs(), component+".log") }

// Kubeconfig gives the path of the kubeconfig of a lab on Kubernetes.
func (d Dir) Kubeconfig() string { return filepath.Join(d.Path(), "kubeconfig") }

// Socket gives the path of the runner's socket. Socket paths hold at most about
// a hundred bytes, so a lab in a deep directory has its socket in a folder of
// the temporary directory that only this user can enter.
func (d Dir) Socket() string {
	if p := filepath.Join(d.Path(), "runner.sock"); len(p) <= 100 {
		return p
	}
	h := fnv.New64a()
	h.Write([]byte(d.Path()))
	return filepath.Join(SharedTemp(), fmt.Sprintf("%x.sock", h.Sum64()))
}

// SharedTemp gives this user's own folder in the temporary directory, for what
// must be found by labs of every state directory: short socket paths and
// reservations of addresses.
func SharedTemp() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("alertlab-%d", os.Getuid()))
}

// WithSharedTemp creates SharedTemp and does something in it. The last lab that
// is deleted removes the folder, so that it may vanish at any moment before
// something is in it; then it is made again. A folder that belongs to someone
// else, or that others may enter, is refused.
func WithSharedTemp(do func(dir string) error) error {
	const attempts = 20 // each is lost only to a lab deleted in the same microseconds
	var err error
	for range attempts {
		var dir string
		if dir, err = makeSharedTemp(); err == nil {
			err = do(dir)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func makeSharedTemp() (string, error) {
	dir := SharedTemp()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ownedByUs(info) {
		return "", fmt.Errorf("%s is not a directory of this user alone (mode %s)", dir, info.Mode())
	}
	return dir, nil
}

// Exists says whether the lab has a directory.
func (d Dir) Exists() bool {
	info, err := os.Stat(d.Path())
	return err == nil && info.IsDir()
}

// Create makes the lab's directories where they are missing. It is an error if this
// user may not write to them, so that it shows before anything is started.
func (d Dir) Create() error {
	for _, dir := range []string{d.Path(), d.Logs(), filepath.Join(d.Path(), "data")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		const mayWrite = 2 // W_OK of access(2)
		if err := syscall.Access(dir, mayWrite); err != nil {
			return &fs.PathError{Op: "write to", Path: dir, Err: err}
		}
	}
	return nil
}

// Delete removes the lab's directory with everything in it, then its lock's file,
// then the folders above that are empty now. The caller holds the lock: whoever
// takes the next one finds nothing of this lab, and nothing is deleted under it.
func (d Dir) Delete() error {
	if d.name == "" || d.root == "" {
		return errors.New("no lab directory is named")
	}
	if err := os.RemoveAll(d.Path()); err != nil {
		return err
	}
	if err := os.Remove(d.Socket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(d.LockPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Not empty is the usual case and no error.
	if os.Remove(filepath.Join(d.root, "labs")) == nil {
		os.Remove(d.root)
	}
	return nil
}

// Description says what a lab is, so that a later `up` without flags means the
// same lab.
type Description struct {
	Name     string    `json:"name"`
	Provider string    `json:"provider"`
	Stack    string    `json:"stack"`
	Profile  string    `json:"profile"` // name of a shipped profile, or the absolute path of a file
	Created  time.Time `json:"created"`
	// Resolved is the text of the profile as it was last applied, overrides
	// included, as YAML.
	Resolved string `json:"resolved"`
	// Overrides are the values of the profile that the environment gave, as
	// NAME=VALUE; they hold until a profile is named again.
	Overrides []string `json:"overrides,omitempty"`
	// Advertise is the address, ADDRESS or ADDRESS:PORT, at which containers and
	// other hosts reach the lab; empty when nothing but this machine shall.
	Advertise string `json:"advertise,omitempty"`
	// Published says that the lab is in a container, and that its ports are published
	// at Advertise.
	Published bool `json:"published,omitempty"`
	// Reservoir says what a user loaded instead of the profile's visit; nil
	// when nothing.
	Reservoir *Reservoir `json:"reservoir,omitempty"`
	// Overlay is what a user changed on the living lab. It goes over Resolved.
	Overlay profiles.Overlay `json:"overlay,omitzero"`
	// Cluster says what a lab on Kubernetes is made of; zero for an embedded one.
	Cluster Cluster `json:"cluster,omitzero"`
}

// Digest identifies a description: equal ones have equal digests. Whoever edits
// one names the digest of what they read, so that nobody's edit is lost.
func (d Description) Digest() string {
	b, err := json.Marshal(d)
	if err != nil { // a Description holds nothing that JSON cannot say
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Cluster is what a lab on Kubernetes is made of beside its profile.
type Cluster struct {
	NodeImage string `json:"nodeImage,omitempty"` // of nodes that are containers
	Bundle    string `json:"bundle,omitempty"`    // absolute path of a bundle with the images; empty: nodes pull them
	Image     string `json:"image"`               // reference of the image that holds this program
	// AddressPool is the range that load balancers take addresses of, FIRST-LAST or a
	// prefix; empty: it is chosen in the nodes' network.
	AddressPool string `json:"addressPool,omitempty"`
	// RealAddresses says that the lab announces the addresses of its profile's source, on a
	// cluster that was there. AddressPool is empty then.
	RealAddresses bool `json:"realAddresses,omitempty"`
	// Deployer is how components reach the cluster: helm (or empty) or argocd.
	Deployer string `json:"deployer,omitempty"`
	// Ingress is who serves host names: nginx, traefik, none or class:NAME; empty: as the
	// stack has it. IngressAddress is where the controller of a class is reached, HOST or
	// HOST:PORT; empty: as it says itself.
	Ingress        string `json:"ingress,omitempty"`
	IngressAddress string `json:"ingressAddress,omitempty"`
	// Charts are the charts of others that the bundle has.
	Charts []Chart `json:"charts,omitempty"`
	// Of a cluster that was there before the lab:
	Context      string `json:"context,omitempty"`      // of the kubeconfig
	Kubeconfig   string `json:"kubeconfig,omitempty"`   // absolute path; empty: Kubernetes' usual files
	Adopt        bool   `json:"adopt,omitempty"`        // whether the lab may live in namespaces that others made
	Registry     string `json:"registry,omitempty"`     // HOST/PATH from which nodes pull all images
	ImagesLoaded bool   `json:"imagesLoaded,omitempty"` // the nodes have all images already
	StorageClass string `json:"storageClass,omitempty"` // the cluster's class for what names none; empty: its default
	NodeAddress  string `json:"nodeAddress,omitempty"`  // at which its node ports are reached; empty: a node's own
}

// Chart is a chart of others.
type Chart struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	AppVersion string `json:"appVersion"` // tag of its images
	// Images are the references of its images, where they are known more exactly.
	Images []string `json:"images,omitempty"`
}

// Reservoir is a visit from a file that the lab's simulator replays.
type Reservoir struct {
	File     string `json:"file"`     // absolute path
	Manifest string `json:"manifest"` // what was loaded, as JSON, to be verified
	// Schema is the version in which the file's alerts were written anew; empty for
	// the file's own.
	Schema string `json:"schema,omitempty"`
}

// Describe reads the lab's description; fs.ErrNotExist when there is none.
func (d Dir) Describe() (Description, error) {
	var desc Description
	return desc, readJSON(filepath.Join(d.Path(), "lab.json"), &desc)
}

// SetDescription writes the lab's description.
func (d Dir) SetDescription(desc Description) error {
	return writeJSON(filepath.Join(d.Path(), "lab.json"), desc, 0o600)
}

// Endpoints reads the connection card; fs.ErrNotExist when there is none.
func (d Dir) Endpoints() (endpoints.Endpoints, error) {
	var e endpoints.Endpoints
	return e, readJSON(filepath.Join(d.Path(), "endpoints.json"), &e)
}

// SetEndpoints writes the connection card.
func (d Dir) SetEndpoints(e endpoints.Endpoints) error {
	return writeJSON(filepath.Join(d.Path(), "endpoints.json"), e, 0o600)
}

// Credentials reads the lab's secrets; fs.ErrNotExist when there are none.
func (d Dir) Credentials() (endpoints.Credentials, error) {
	var c endpoints.Credentials
	return c, readJSON(filepath.Join(d.Path(), "credentials.json"), &c)
}

// EnsureCredentials makes sure that every named Kafka user and every account of a
// program of others has a password, and the object store a key pair, keeping those
// that are there.
func (d Dir) EnsureCredentials(users []string, accounts ...string) (endpoints.Credentials, error) {
	c, err := d.Credentials()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	changed := false
	if c.Kafka == nil {
		c.Kafka = map[string]string{}
	}
	for _, u := range users {
		if c.Kafka[u] == "" {
			c.Kafka[u], changed = secret(), true
		}
	}
	for _, name := range accounts {
		if c.Accounts[name] == "" {
			if c.Accounts == nil {
				c.Accounts = map[string]string{}
			}
			c.Accounts[name], changed = secret(), true
		}
	}
	if c.ObjectStore.SecretKey == "" {
		c.ObjectStore, changed = endpoints.Keys{AccessKey: "alertlab-" + secret()[:8], SecretKey: secret()}, true
	}
	if !changed {
		return c, nil
	}
	return c, writeJSON(filepath.Join(d.Path(), "credentials.json"), c, 0o600)
}

// SetPasswords gives Kafka users other passwords; those of other users are kept.
func (d Dir) SetPasswords(passwords map[string]string) (endpoints.Credentials, error) {
	c, err := d.Credentials()
	if err != nil {
		return c, err
	}
	for user, password := range passwords {
		c.Kafka[user] = password
	}
	return c, writeJSON(filepath.Join(d.Path(), "credentials.json"), c, 0o600)
}

// SetTokens makes sure that exactly the named tokens have secrets, keeping those that
// are there: one that was revoked and is added again is another one.
func (d Dir) SetTokens(names []string) (endpoints.Credentials, error) {
	c, err := d.Credentials()
	if err != nil {
		return c, err
	}
	tokens := map[string]string{}
	for _, name := range names {
		if tokens[name] = c.Tokens[name]; tokens[name] == "" {
			tokens[name] = newToken()
		}
	}
	if maps.Equal(tokens, c.Tokens) {
		return c, nil
	}
	c.Tokens = tokens
	return c, writeJSON(filepath.Join(d.Path(), "credentials.json"), c, 0o600)
}

// newToken makes a token in the form of Gafaelfawr's: two times 128 random bits in
// URL-safe base64 behind gt-, with a dot between.
func newToken() string {
	part := func() string {
		b := make([]byte, 16)
		rand.Read(b) // never fails: crypto/rand
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return "gt-" + part() + "." + part()
}

// NewPassword makes a password: 26 characters with 128 random bits, lower-case
// letters and digits only, so that it needs no quoting in any client's
// configuration.
func NewPassword() string { return secret() }

// secret gives 26 characters with 128 random bits, lower-case letters and digits
// only, so that it needs no quoting in any client's configuration.
func secret() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails: crypto/rand
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// Times reads how long each step of the lab took when it was done last, by its key;
// none when nothing is known.
func (d Dir) Times() (map[string]time.Duration, error) {
	var text map[string]string
	if err := readJSON(filepath.Join(d.Path(), "times.json"), &text); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	times := make(map[string]time.Duration, len(text))
	for key, t := range text {
		var err error
		if times[key], err = time.ParseDuration(t); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// AddTimes keeps how long steps took; of other steps what is known stays.
func (d Dir) AddTimes(times map[string]time.Duration) error {
	known, err := d.Times()
	if err != nil || known == nil { // one that cannot be read is written anew
		known = map[string]time.Duration{}
	}
	maps.Copy(known, times)
	text := make(map[string]string, len(known))
	for key, t := range known {
		text[key] = t.String()
	}
	return writeJSON(filepath.Join(d.Path(), "times.json"), text, 0o600)
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON replaces the file at once: a reader sees the old or the new one.
func writeJSON(path string, v any, mode fs.FileMode) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".write-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = errors.Join(tmp.Chmod(mode), write(tmp, append(b, '\n')), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func write(f *os.File, b []byte) error {
	_, err := f.Write(b)
	return err
}

// LockPath gives the file whose lock says which process owns the lab. It lies
// beside the lab's directory, so that a purge can be waited for.
func (d Dir) LockPath() string { return d.Path() + ".lock" }
