package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/state"
)

// Hooks let a test stand between the parts of the program; the zero value is the
// program as it ships.
type Hooks struct {
	// Recorder stands between a runner's walk and its journal.
	Recorder func(run.Recorder) run.Recorder
	// Patience bounds a service's first look at what it needs; zero is 10 s.
	Patience time.Duration
}

// Main runs a command line, whose first word is the name that the program was
// called by, and gives the exit code. The first SIGINT or SIGTERM cancels what goes
// on and lets it end cleanly, the second ends the process at once.
func Main(argv []string, hooks Hooks) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(int(fault.Interrupted))
	}()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, environ: os.Environ, hooks: hooks}
	root := a.called(argv[0])
	root.SetArgs(argv[1:])
	err := root.ExecuteContext(ctx)
	err = remedied(err)
	var r reported
	if err != nil && !errors.As(err, &r) {
		var f *fault.Fault
		if errors.As(err, &f) {
			f.Next = a.meant(f.Next)
		}
		fmt.Fprintln(a.err, fault.Text(err))
	}
	return int(fault.CodeOf(err))
}

// labVerb finds the verbs in a remedy that act on a lab.
var labVerb = regexp.MustCompile(`\balertlab (up|down|plan|status|attach|tui|env|kubeconfig|smoke|logs|simulator (?:create|play|pause|resume|print)|alertdb (?:get|show)|alert show|console|broker (?:kill|restart)|support|list|user|topic|token|overlay|hosts|schema|doctor|trust|open)\b`)

// meant gives a remedy for the lab that the command line was about: typed as it
// stands, it must not reach another one.
func (a *app) meant(next string) string {
	if a.lab == state.DefaultLab || strings.Contains(next, "--lab") {
		return next
	}
	return labVerb.ReplaceAllString(next, "alertlab --lab "+a.lab+" $1")
}

// reported wraps an error that a renderer has shown already.
type reported struct{ error }

func (r reported) Unwrap() error { return r.error }

// app is what every verb shares.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	environ  func() []string
	hooks    Hooks

	lab string // --lab
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "alertlab",
		Short: "A lab of the Rubin Observatory's alert distribution stack",
		Long: `alertlab brings up the alert distribution stack of the Rubin Observatory as a
lab: Kafka with six brokers, schema registry, simulator and alert database, with
the names, listeners, users, schemas and wire formats of the real system.

Exit codes: 0 ok, 1 a step failed, 2 bad input, 3 the lab is not there,
4 a smoke check failed, 130 interrupted.

Environment: ALERTLAB_LAB, ALERTLAB_PROFILE, ALERTLAB_PROVIDER and ALERTLAB_DEPLOYER
stand for the flags of these names; ALERTLAB_STATE_DIR is the directory of all labs
(default: $XDG_STATE_HOME/alertlab, else ~/.local/state/alertlab). Single values of a
profile: see "alertlab up --help".`,
		Example: `  alertlab up                    # bring the lab up; it stays in the background
  alertlab                       # on a terminal: the dashboard of the lab
  alertlab smoke                 # prove that it works
  eval "$(alertlab env)"         # addresses and credentials for your own client
  alertlab down                  # stop it, keep its data`,
		SilenceUsage: true, SilenceErrors: true,
	}
	a.dress(root)
	lab := a.getenv("ALERTLAB_LAB")
	if lab == "" {
		lab = state.DefaultLab
	}
	root.PersistentFlags().StringVar(&a.lab, "lab", lab, "name of the lab (environment: ALERTLAB_LAB)")
	must(root.RegisterFlagCompletionFunc("lab", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		dir, err := state.Root(a.getenv)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		labs, err := state.Labs(dir)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return labs, cobra.ShellCompDirectiveNoFileComp
	}))
	for _, g := range []struct {
		title string
		verbs []*cobra.Command
	}{
		{"A lab:", []*cobra.Command{a.up(), a.down(), a.status(), a.list(), a.plan(), a.attach(), a.smoke(), a.env(), a.kubeconfig(), a.hosts(), a.trust(), a.logs(), a.support(), a.doctor(), a.tui(), a.open()}},
		{"Changes on a living lab:", []*cobra.Command{a.user(), a.topic(), a.token(), a.overlay(), a.broker()}},
		{"Alerts:", []*cobra.Command{a.alert(), a.simulator(), a.alertdb(), a.schema(), a.registry(), a.console()}},
		{"Environments:", []*cobra.Command{a.profile(), a.bundle()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, verb := range g.verbs {
			verb.GroupID = g.title
			root.AddCommand(verb)
		}
	}
	root.AddCommand(a.version(), a.runner(), a.objectStore(), a.pod())
	checkArgs(root)
	root.RunE = func(c *cobra.Command, _ []string) error {
		if !a.onTerminal() {
			return c.Help()
		}
		return a.dashboard(c.Context())
	}
	return root
}

// dress gives a root what every command line has: the streams, and faults for what
// cannot be read.
func (a *app) dress(root *cobra.Command) {
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.Wrap(fault.BadInput, "the command line cannot be read", inWords(err), c.CommandPath()+" --help")
	})
}

// checkArgs makes wrong arguments bad input, for a command and all below it.
func checkArgs(c *cobra.Command) {
	args := c.Args
	if args == nil && c.HasSubCommands() {
		args = cobra.NoArgs
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if args != nil {
		c.Args = func(c *cobra.Command, given []string) error {
			err := args(c, given)
			if err == nil {
				return nil
			}
			why, next := inWords(err).Error(), c.CommandPath()+" --help"
			if c.HasSubCommands() {
				c.SuggestionsMinimumDistance = 2 // letters that may be wrong, as cobra has it
				if near := c.SuggestionsFor(given[0]); len(near) > 0 {
					why += ", did you mean " + strings.Join(near, " or ") + "?"
				}
			}
			return &fault.Fault{What: "the command line cannot be read", Why: why, Next: next, Code: fault.BadInput, Err: err}
		}
	}
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
}

// dir gives the directory of the lab that --lab names.
func (a *app) dir() (state.Dir, error) {
	if err := state.CheckName(a.lab); err != nil {
		return state.Dir{}, fault.Wrap(fault.BadInput, "the lab cannot be called so", err, "alertlab --lab NAME ...")
	}
	root, err := state.Root(a.getenv)
	if err != nil {
		return state.Dir{}, fault.Wrap(fault.BadInput, "there is no place for the lab's state", err, "export ALERTLAB_STATE_DIR=DIRECTORY")
	}
	return state.At(root, a.lab), nil
}

// outputFlag adds --output with the formats that a verb knows, the first being
// the default.
func outputFlag(c *cobra.Command, formats ...string) *string {
	value := c.Flags().StringP("output", "o", formats[0], "format of the result: "+strings.Join(formats, ", "))
	must(c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		for _, f := range formats {
			if *value == f {
				if before != nil {
					return before(c, args)
				}
				return nil
			}
		}
		return fault.New(fault.BadInput, fmt.Sprintf("%q is no output format of %s", *value, c.CommandPath()),
			"there are "+strings.Join(formats, ", "), c.CommandPath()+" --output "+formats[0])
	}
	return value
}

// must is for what only a mistake in this package can make fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
