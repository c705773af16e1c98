package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) kubeconfig() *cobra.Command {
	var path, merge, unmerge bool
	var into string
	c := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the kubeconfig of a lab on Kubernetes",
		Long: `kubeconfig prints the kubeconfig of the lab's cluster, or with --path the file that
holds it, which belongs to this user alone. Your own kubeconfig is not changed, unless
--merge asks for it: that puts cluster, user and context into ~/.kube/config, each under
the name alertlab-LAB, and keeps the file as it was beside it, as config.alertlab-backup.
The current context stays, if there is one. --unmerge takes them out again, also when
the lab is gone.`,
		Example: `  export KUBECONFIG=$(alertlab kubeconfig --path)
  alertlab kubeconfig > lab.kubeconfig
  alertlab kubeconfig --merge     # then: kubectl --context alertlab-default get pods -A
  alertlab kubeconfig --unmerge`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&path, "path", false, "print the path of the file instead")
	c.Flags().BoolVar(&merge, "merge", false, "put the cluster into your own kubeconfig")
	c.Flags().BoolVar(&unmerge, "unmerge", false, "take the cluster out of your own kubeconfig")
	c.Flags().StringVar(&into, "into", "", "your own kubeconfig (default: ~/.kube/config)")
	must(c.MarkFlagFilename("into"))
	c.RunE = func(*cobra.Command, []string) error {
		if path && (merge || unmerge) || merge && unmerge {
			return fault.New(fault.BadInput, "--path, --merge and --unmerge exclude each other", "each does something else", "alertlab kubeconfig --merge")
		}
		if into != "" && !merge && !unmerge {
			return fault.New(fault.BadInput, "--into is for --merge and --unmerge", "nothing else is written to", "alertlab kubeconfig --merge --into "+shellWord(into))
		}
		if unmerge {
			return a.unmergeKubeconfig(into)
		}
		dir, err := a.needLab()
		if err != nil {
			return err
		}
		desc, err := dir.Describe()
		if err != nil {
			return err
		}
		if desc.Provider == catalog.Embedded {
			return fault.New(fault.BadInput, fmt.Sprintf("lab %s has no cluster", dir.Lab()), "it is embedded, and runs in one process", "alertlab up --lab ANOTHER --provider "+catalog.K3d)
		}
		text, err := os.ReadFile(dir.Kubeconfig())
		if errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.NoLab, fmt.Sprintf("lab %s has no kubeconfig", dir.Lab()), "its cluster was never made", "alertlab up --lab "+dir.Lab())
		}
		if err != nil {
			return err
		}
		if merge {
			return a.mergeKubeconfig(into, text)
		}
		if path {
			_, err = fmt.Fprintln(a.out, dir.Kubeconfig())
			return err
		}
		_, err = a.out.Write(text)
		return err
	}
	return c
}

// mergedAs is the name of the lab's cluster, user and context in somebody's kubeconfig.
func (a *app) mergedAs() string { return "alertlab-" + a.lab }

// backupSuffix is behind the name of a kubeconfig as it was before the last change.
const backupSuffix = ".alertlab-backup"

func (a *app) mergeKubeconfig(into string, cluster []byte) error {
	name := a.mergedAs()
	return a.changeKubeconfig(into, func(file string, before []byte) ([]byte, string, error) {
		after, err := kube.Merge(before, cluster, name)
		if bytes.Equal(after, before) {
			return before, fmt.Sprintf("%s has the context %s already", file, name), err
		}
		return after, fmt.Sprintf("%s has the context %s now: kubectl --context %s get pods -A", file, name, name), err
	})
}

func (a *app) unmergeKubeconfig(into string) error {
	name := a.mergedAs()
	return a.changeKubeconfig(into, func(file string, before []byte) ([]byte, string, error) {
		after, found, err := kube.Unmerge(before, name)
		if !found {
			return before, fmt.Sprintf("%s has no context %s: nothing to do", file, name), err
		}
		return after, fmt.Sprintf("%s has the context %s no more", file, name), err
	})
}

// changeKubeconfig replaces a kubeconfig whole or not at all, and keeps what it was. It
// is kept from others as kubectl does it, by a file beside it (k8s.io/client-go v0.33,
// tools/clientcmd/config.go). A text of nil removes the file.
func (a *app) changeKubeconfig(file string, change func(file string, before []byte) (after []byte, said string, err error)) error {
	file, err := ownKubeconfig(file, a.getenv("HOME"))
	if err != nil {
		return err
	}
	lock := file + ".lock"
	l, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.StepFailed, file+" is being changed", "somebody made "+lock, "wait for it; if nobody is at it: rm "+shellWord(lock))
	}
	if err != nil {
		return kubeconfigFault(file, err)
	}
	defer func() {
		l.Close()
		os.Remove(lock)
	}()
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return kubeconfigFault(file, err)
	}
	there := err == nil
	after, said, err := change(file, before)
	if err != nil {
		return fault.Wrap(fault.BadInput, "your kubeconfig was not changed", err, "correct "+file+", or name another one: --into FILE")
	}
	switch {
	case bytes.Equal(after, before):
	case after == nil:
		err = os.Remove(file)
	default:
		if there {
			err = renameio.WriteFile(file+backupSuffix, before, 0o600)
		}
		if err == nil {
			err = renameio.WriteFile(file, after, 0o600, renameio.WithExistingPermissions())
		}
	}
	if err != nil {
		return kubeconfigFault(file, err)
	}
	_, err = fmt.Fprintln(a.err, said)
	return err
}

// ownKubeconfig finds the file to change, behind a link that stands for it, and makes
// its folder.
func ownKubeconfig(file, home string) (string, error) {
	if file == "" {
		if home == "" {
			return "", fault.New(fault.BadInput, "there is no ~/.kube/config", "HOME is not set", "alertlab kubeconfig --merge --into FILE")
		}
		file = filepath.Join(home, ".kube", "config")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", kubeconfigFault(file, err)
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		return real, nil
	}
	return file, nil
}

func kubeconfigFault(file string, err error) error {
	return fault.Wrap(fault.StepFailed, "your kubeconfig cannot be changed", err, "name another one than "+file+": --into FILE")
}
