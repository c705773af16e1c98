package broker

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// mechanism is the one SASL mechanism of this cluster.
	mechanism = "SCRAM-SHA-512"
	// iterations is what kfake tells clients whatever a credential was made
	// with, so no other number can log in.
	iterations = 4096

	credentialsFile = "sasl.json"
	lockFile        = ".lock"
	metaFile        = "meta.json"
)

// credentials is kfake's file of users, version 1, as far as we touch it.
type credentials struct {
	Version  int                   `json:"version"`
	Plain    map[string]string     `json:"plain,omitempty"`
	Scram256 map[string]credential `json:"scram256,omitempty"`
	Scram512 map[string]credential `json:"scram512,omitempty"`
}

// credential is one user's SCRAM secret (RFC 5802: SaltedPassword).
type credential struct {
	Mechanism  string `json:"mechanism"`
	Salt       []byte `json:"salt"`
	SaltedPass []byte `json:"salted_pass"`
	Iterations int    `json:"iterations"`
}

func newCredential(password string) (credential, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha512.New, password, salt, iterations, sha512.Size)
	if err != nil {
		return credential{}, err
	}
	return credential{mechanism, salt, salted, iterations}, nil
}

func (c credential) matches(password string) bool {
	if c.Iterations < 1 || len(c.SaltedPass) == 0 {
		return false
	}
	salted, err := pbkdf2.Key(sha512.New, password, c.Salt, c.Iterations, len(c.SaltedPass))
	return err == nil && hmac.Equal(salted, c.SaltedPass)
}

// lockDataDir makes the directory ours alone: mode 0700, and held by a lock
// that dies with the process.
func lockDataDir(dir string) (*os.File, error) {
	fail := func(doing string, err error) (*os.File, error) {
		return nil, &DataDirError{dir, doing, err}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail("making it", err)
	}
	// Someone's home directory given by mistake must not lose its mode.
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fail("reading it", err)
	}
	known := len(entries) == 0
	for _, e := range entries {
		known = known || e.Name() == lockFile || e.Name() == metaFile
	}
	if !known {
		return fail("using it", errors.New("is not empty and holds no broker data"))
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fail("locking it", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return fail("locking it", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		f.Close()
		return fail("making it private", err)
	}
	return f, nil
}

// unlock says so, rather than only closing the file: a process that is just being
// started by another part of this one still has it open.
func unlock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

func readCredentials(dir string) (*credentials, error) {
	var all credentials
	if err := readJSON(filepath.Join(dir, credentialsFile), &all); err != nil {
		return nil, &DataDirError{dir, "reading users", err}
	}
	if all.Version != 1 {
		return nil, &DataDirError{dir, "reading users", fmt.Errorf("format version %d is not 1", all.Version)}
	}
	return &all, nil
}

// prepareSecrets gives the superuser its password in what an earlier cluster
// left; kfake prefers what it finds there to what it is told.
func prepareSecrets(dir, user, password string) error {
	all, err := readCredentials(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, metaFile)); errors.Is(err, fs.ErrNotExist) {
			return nil // a new directory: kfake writes all of it
		}
		// An earlier process was killed while it made the directory: kfake takes
		// what is there for whole, and would never write the users.
		all, err = &credentials{Version: 1}, nil
	}
	if err != nil {
		return err
	}
	if all.Scram512[user].matches(password) {
		return nil
	}
	fresh, err := newCredential(password)
	if err != nil {
		return &DataDirError{dir, "changing the superuser's password", err}
	}
	if all.Scram512 == nil {
		all.Scram512 = make(map[string]credential)
	}
	all.Scram512[user] = fresh
	if err := writeJSON(filepath.Join(dir, credentialsFile), all); err != nil {
		return &DataDirError{dir, "changing the superuser's password", err}
	}
	return nil
}

// secureFiles narrows the files with secrets that kfake writes with mode 0644.
func secureFiles(dir string) error {
	// A process that was killed while it made the directory may have come no
	// further than to the files before this one.
	if err := os.Chmod(filepath.Join(dir, credentialsFile), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &DataDirError{dir, "making " + credentialsFile + " private", err}
	}
	return nil
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// writeJSON replaces a file so that a crash leaves either the old or the new
// one, whole.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
