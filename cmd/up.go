package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
	"github.com/alertlab/alertlab/render"
)

func (a *app) up() *cobra.Command {
	var ch choice
	var foreground bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Bring the lab up, or bring it to what the profile says now",
		Long: `up plans what is missing and does it: a new lab is created, one that was stopped
goes on with its data, one that was killed is healed, and a lab that is as it
should be is left alone. It returns when everything is ready; the lab stays in
the background. Ctrl-C cancels and stops what was started.

What would delete what the lab holds is refused and nothing is done, unless
--allow-destroy is given: a topic or a bucket that is not wanted any more or has
another name, fewer partitions, a smaller disk. plan shows it.

The lab remembers its profile and the values that the environment gave, until
--profile is named again. --advertise ADDRESS makes a lab that containers and other
hosts reach at an address or name of this machine: the bootstrap at the listener's
port, each broker at one of those that follow, and the registry's read-only front, the
alert database and the object store at theirs; with ADDRESS:PORT all of them from that
port on. It holds until another one is given, or "loopback".

With --provider existing the lab goes on a cluster that is there: up prints what it
found and what it would add, makes only what is missing, and refuses a namespace that
it does not own. down scales to zero there and keeps volumes and addresses. Brokers have
ports of the nodes there, or addresses of their own with --address-pool; MetalLB and
cert-manager are used where the cluster has them, else brought. With --real-addresses
they have those that the profile's source announces (kafka.listener.source), so that who
speaks to the real system on that network speaks to the lab; up says which before it
begins, and asks nothing. It holds until --address-pool or --real-addresses=false.

On Kubernetes --ingress gives registry and alert database host names over TLS: by nginx
or traefik, which the lab brings, or by an ingress class of a cluster that is there. A lab
can get one while it runs, and keeps it.

What the environment may change of the profile:
` + variables(),
		Example: `  alertlab up
  alertlab up --profile my-profile.yaml --lab mine
  ALERTLAB_SIMULATOR_ALERTS=10000 alertlab up    # full visits
  alertlab up -o json 2>/dev/null | jq .kafka.bootstrap
  alertlab up --advertise 172.17.0.1             # for containers on this machine
  alertlab up --provider k3d --profile ci --ingress traefik
  alertlab up --provider existing --context my-cluster --registry registry.example/alertlab
  alertlab up --provider existing --context site --profile usdfdev --stack alerts-light --images-loaded --real-addresses
  alertlab up --foreground                       # until Ctrl-C, e.g. in a container`,
		Args: cobra.NoArgs,
	}
	ch.flags(c)
	c.Flags().BoolVar(&foreground, "foreground", false, "run the lab in this process, until Ctrl-C")
	allowDestroy := destroyFlag(c)
	progress := progressFlag(c)
	tuiFlag(c, progress)
	output := outputFlag(c, "card", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := a.dir()
		if err != nil {
			return err
		}
		wish, err := a.wish(c.Context(), dir, ch)
		if err != nil {
			return err
		}
		if !dir.Exists() || announcesAnew(dir, wish.Description) {
			if err := a.survey(c.Context(), wish.Description); err != nil {
				return err
			}
		}
		wish.AllowDestroy = *allowDestroy
		wish.Again = ch.again(c, "plan") + "   # shows it; the same command with --allow-destroy does it"
		if _, err := a.renderer(*progress); err != nil {
			return err
		}
		if err := createDir(dir); err != nil {
			return err
		}
		if foreground {
			return a.inForeground(c.Context(), dir, wish, *progress, *output)
		}
		err = a.follow(c.Context(), *progress, func(ctx context.Context, sink event.Sink) error { return a.bringUp(ctx, dir, wish, sink) })
		if errors.Is(err, errDetached) {
			return nil
		}
		if err != nil {
			return err
		}
		return a.printCard(dir, *output)
	}
	return c
}

// createDir makes the lab's directory.
func createDir(dir state.Dir) error {
	return fault.Wrap(fault.BadInput, "there is no place for the lab's state", dir.Create(), "export ALERTLAB_STATE_DIR=DIRECTORY   # one that you may write to")
}

// bringUp has the lab's runner, which it starts where there is none, bring the lab to
// what is wished for.
func (a *app) bringUp(ctx context.Context, dir state.Dir, wish runner.Change, sink event.Sink) error {
	client, err := a.ensureRunner(ctx, dir)
	if err != nil {
		return err
	}
	return client.Change(ctx, wish, sink)
}

// wish is what up asks for. What is wrong with it is found here, before anything
// starts.
func (a *app) wish(ctx context.Context, dir state.Dir, ch choice) (runner.Change, error) {
	var wish runner.Change
	if before, err := dir.Describe(); err == nil {
		wish.From = before.Digest()
	}
	var err error
	if wish.Description, err = a.describe(dir, ch); err != nil {
		return wish, err
	}
	if _, err = catalog.Wanted(wish.Description); err != nil {
		return wish, err
	}
	executable, err := os.Executable()
	if err != nil {
		return wish, err
	}
	if err := catalog.Check(wish.Description, executable); err != nil {
		return wish, err
	}
	if err := catalog.CheckPool(dir.Root(), wish.Description); err != nil {
		return wish, err
	}
	if _, err := catalog.CheckFit(ctx, wish.Description); err != nil {
		return wish, err
	}
	if at := wish.Description.Advertise; at != "" {
		if err := loopback.CheckAdvertised(ctx, at, wish.Description.Published); err != nil {
			return wish, err
		}
	}
	return wish, nil
}

// ensureRunner finds the lab's runner or starts one.
func (a *app) ensureRunner(ctx context.Context, dir state.Dir) (*runner.Client, error) {
	client, err := runner.Dial(ctx, dir)
	if !errors.Is(err, runner.ErrNotRunning) {
		return client, err
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	environ := append(a.environ(), "ALERTLAB_STATE_DIR="+dir.Root())
	client, err = runner.Spawn(ctx, dir, executable, []string{"runner", "--lab", dir.Lab()}, environ)
	return client, fault.Wrap(fault.StepFailed, "the lab's runner did not start", err, "alertlab logs runner --lab "+dir.Lab())
}

// inForeground is the runner and its follower in one process.
func (a *app) inForeground(ctx context.Context, dir state.Dir, wish runner.Change, progress, output string) error {
	if _, err := runner.Dial(ctx, dir); err == nil {
		return fault.New(fault.StepFailed, "lab "+dir.Lab()+" runs already", "its runner is a process of its own",
			"alertlab down --lab "+dir.Lab()+"   # then again")
	}
	server, err := a.server(dir)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- server.Serve(serving, func() { close(listening) }) }()
	select {
	case err := <-ended:
		return err
	case <-listening:
	}
	err = a.follow(ctx, progress, func(ctx context.Context, sink event.Sink) error {
		client, err := runner.Dial(ctx, dir)
		if err != nil {
			return err
		}
		return client.Change(ctx, wish, sink)
	})
	if err == nil {
		err = a.printCard(dir, output)
	}
	if err != nil && !errors.Is(err, errDetached) {
		stop()
		<-ended
		return err
	}
	return <-ended // Ctrl-C, or alertlab down from elsewhere
}

func (a *app) printCard(dir state.Dir, output string) error {
	card, err := dir.Endpoints()
	if err != nil {
		return err
	}
	if output == "json" {
		return a.printJSON(card)
	}
	suffix := ""
	if dir.Lab() != state.DefaultLab {
		suffix = " --lab " + dir.Lab()
	}
	return render.Card(a.out, card, "alertlab env --user NAME"+suffix,
		render.Command{Line: "alertlab smoke" + suffix, Does: "check that everything works"},
		render.Command{Line: `eval "$(alertlab env` + suffix + `)"`, Does: "addresses and credentials for your own client"},
		render.Command{Line: "alertlab status" + suffix, Does: "what runs, and how it fares"},
		render.Command{Line: "alertlab down" + suffix, Does: "stop, and keep the data"})
}

func (a *app) printJSON(v any) error { return writeJSON(a.out, v) }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
