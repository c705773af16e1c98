package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) open() *cobra.Command {
	var password, show bool
	c := &cobra.Command{
		Use:   "open argocd",
		Short: "Open Argo CD of a lab on Kubernetes in the browser",
		Long: `open prints where Argo CD answers that deploys the lab, and opens it in the browser
of a desktop. Log in as admin. With --password it prints the administrator's
password instead, and nothing else. Its certificate is signed by the lab's own
authority, whose file it names.`,
		Example: `  alertlab open argocd
  argocd login --username admin --password "$(alertlab open argocd --password)" "$(alertlab open argocd --print | sed s,https://,,)"`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"argocd"},
	}
	c.Flags().BoolVar(&password, "password", false, "print the administrator's password instead")
	c.Flags().BoolVar(&show, "print", false, "print the address, and open no browser")
	c.MarkFlagsMutuallyExclusive("password", "print")
	c.RunE = func(*cobra.Command, []string) error {
		dir, err := a.needLab()
		if err != nil {
			return err
		}
		desc, err := dir.Describe()
		if err != nil {
			return err
		}
		if desc.Cluster.Deployer != catalog.ArgoCD {
			return fault.New(fault.BadInput, fmt.Sprintf("lab %s has no Argo CD", dir.Lab()), "it is deployed without one",
				"alertlab up --lab ANOTHER --provider "+catalog.K3d+" --deployer "+catalog.ArgoCD)
		}
		card, creds, err := a.card()
		if errors.Is(err, fs.ErrNotExist) || (err == nil && card.ArgoCD.URL == "") {
			return fault.New(fault.NoLab, fmt.Sprintf("Argo CD of lab %s was never up", dir.Lab()), "the lab's up did not end", "alertlab up --lab "+dir.Lab())
		}
		if err != nil {
			return err
		}
		if password {
			_, err := fmt.Fprintln(a.out, creds.Accounts[argocd.Account])
			return err
		}
		if _, err := fmt.Fprintln(a.out, card.ArgoCD.URL); err != nil || show {
			return err
		}
		fmt.Fprintf(a.err, "log in as %s; the password: alertlab open argocd --password --lab %s\n", card.ArgoCD.User, dir.Lab())
		fmt.Fprintf(a.err, "its certificate is signed by %s\n", card.ArgoCD.CAFile)
		// Without a desktop the same commands would open a browser of text, here.
		opener := ""
		switch {
		case runtime.GOOS == "darwin":
			opener = "open"
		case a.getenv("DISPLAY") != "" || a.getenv("WAYLAND_DISPLAY") != "":
			opener = "xdg-open"
		}
		if opener == "" {
			return nil
		}
		if err := exec.Command(opener, card.ArgoCD.URL).Start(); err != nil {
			fmt.Fprintf(a.err, "no browser was opened: %v\n", err)
		}
		return nil
	}
	return c
}
