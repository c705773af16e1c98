package cmd

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/fault"
)

// trustStore is a folder of authorities that a system trusts beside those that it
// comes with, and the command that takes them over.
type trustStore struct{ folder, command string }

// trustStores are those of Debian and its relatives, and of Fedora and its relatives.
var trustStores = []trustStore{
	{"/usr/local/share/ca-certificates", "update-ca-certificates"},
	{"/etc/pki/ca-trust/source/anchors", "update-ca-trust"},
}

func (a *app) trust() *cobra.Command {
	c := &cobra.Command{
		Use:   "trust",
		Short: "Print a lab's certificate authority, or have this machine trust it",
		Long: `trust prints the authority that signs the certificates of a lab whose listener is
encrypted, as PEM. Clients that are given it, as "alertlab user export" does, need
nothing else.

--install puts it where this machine keeps the authorities that it trusts, so that
every program does, and --remove takes it away again. What is done is said before, and
only said with --dry-run. On Kubernetes the authority may sign for the lab's names and
private addresses only; an embedded lab's has no such limits.`,
		Example: `  alertlab trust > lab.pem
  sudo alertlab trust --install
  alertlab trust --remove --dry-run`,
		Args: cobra.NoArgs,
	}
	install := c.Flags().Bool("install", false, "have this machine trust the authority")
	remove := c.Flags().Bool("remove", false, "have it trust it no more; the lab need not be there any more")
	dry := c.Flags().Bool("dry-run", false, "with --install or --remove: only say what would be done")
	file := c.Flags().String("file", "", "where the authority lies, untold to the system (default: the system's folder)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := eitherWay(*install, *remove, "trust"); err != nil {
			return err
		}
		if *remove {
			return a.untrust(c.Context(), *file, *dry)
		}
		card, _, err := a.card()
		if err != nil {
			return err
		}
		ca := cmp.Or(card.Kafka.CA, card.Ingress.CA) // one authority signs for both
		if ca == "" {
			return fault.New(fault.BadInput, "lab "+card.Lab+" has no certificate authority", "its listener is not encrypted: the profile "+card.Profile+" does not say kafka.listener.tls",
				"alertlab profile show idfint   # one that does")
		}
		if !*install {
			_, err := fmt.Fprint(a.out, ca)
			return err
		}
		return a.trustCA(c.Context(), []byte(ca), *file, *dry)
	}
	return c
}

// trustPlace says which file the authority goes to, and which command makes the system
// take it over; none for a file that the user names.
func (a *app) trustPlace(file string) (path, command string, err error) {
	if file != "" {
		return file, "", nil
	}
	var known []string
	for _, s := range trustStores {
		if info, err := os.Stat(s.folder); err == nil && info.IsDir() {
			if command, err := exec.LookPath(s.command); err == nil {
				return filepath.Join(s.folder, "alertlab-"+a.lab+".crt"), command, nil
			}
		}
		known = append(known, s.folder+" with "+s.command)
	}
	return "", "", fault.New(fault.StepFailed, "this machine's store of trusted authorities is not known", "there is none of "+strings.Join(known, ", "),
		"alertlab trust > lab.pem   # and give it to the client, or to the system's own tool")
}

// trustCA has the machine trust an authority.
func (a *app) trustCA(ctx context.Context, ca []byte, file string, dry bool) error {
	path, command, err := a.trustPlace(file)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, ca) {
		fmt.Fprintf(a.err, "%s is the lab's authority already; nothing to do\n", path)
		return nil
	}
	fmt.Fprintf(a.err, "+ %s: %s\n", path, limits(ca))
	return a.change(ctx, command, dry, path, "trust --install", func() error { return os.WriteFile(path, ca, 0o644) })
}

// untrust has the machine trust the lab's authority no more.
func (a *app) untrust(ctx context.Context, file string, dry bool) error {
	path, command, err := a.trustPlace(file)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(a.err, "%s is not there; nothing to do\n", path)
		return nil
	}
	fmt.Fprintf(a.err, "- %s\n", path)
	return a.change(ctx, command, dry, path, "trust --remove", func() error { return os.Remove(path) })
}

// change does what was said, and tells the system.
func (a *app) change(ctx context.Context, command string, dry bool, path, verb string, do func() error) error {
	if command != "" {
		fmt.Fprintf(a.err, "  then %s\n", command)
	}
	if dry {
		return nil
	}
	if err := do(); err != nil {
		return a.needsRoot(path, err, verb)
	}
	if command == "" {
		return nil
	}
	if out, err := exec.CommandContext(ctx, command).CombinedOutput(); err != nil {
		return fault.Wrap(fault.StepFailed, command+" failed", fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out))), "sudo "+command)
	}
	return nil
}

// limits says what an authority may sign for.
func limits(ca []byte) string {
	block, _ := pem.Decode(ca)
	if block == nil {
		return "no certificate"
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err.Error()
	}
	text := cert.Subject.CommonName + ", until " + cert.NotAfter.UTC().Format("2006-01-02")
	if len(cert.PermittedDNSDomains) == 0 {
		return text + "; it may sign for any name: trust it for as long as the lab is yours alone"
	}
	return text + "; it may sign for " + strings.Join(cert.PermittedDNSDomains, ", ") + " and addresses of its networks only"
}
