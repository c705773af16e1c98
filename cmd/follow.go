package cmd

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render"
	"github.com/alertlab/alertlab/tui"
)

// progressFlag adds --progress: how a walk is shown, on standard error.
func progressFlag(c *cobra.Command) *string {
	value := c.Flags().String("progress", "auto", "how progress is shown on standard error: auto, tui, plain, json, quiet")
	must(c.RegisterFlagCompletionFunc("progress", cobra.FixedCompletions([]string{"auto", "tui", "plain", "json", "quiet"}, cobra.ShellCompDirectiveNoFileComp)))
	return value
}

// tuiFlag adds --tui, another word for what --progress says of the live view: never is
// lines at most, always is the live view whatever there is to draw on.
func tuiFlag(c *cobra.Command, progress *string) {
	value := c.Flags().String("tui", "auto", "whether progress is shown as a live view: auto (on a terminal), always, never")
	must(c.RegisterFlagCompletionFunc("tui", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp)))
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		contradiction := func(why string) error {
			return fault.New(fault.BadInput, fmt.Sprintf("--tui %s and --progress %s contradict each other", *value, *progress), why, c.CommandPath()+" --progress "+*progress)
		}
		named := c.Flags().Changed("progress") && *progress != "auto"
		switch *value {
		case "auto":
		case "always":
			if named && *progress != "tui" {
				return contradiction("one wants the live view, the other does not")
			}
			*progress = "tui"
		case "never":
			if named && *progress == "tui" {
				return contradiction("one wants the live view, the other does not")
			}
			if !named {
				*progress = "plain"
			}
		default:
			return fault.New(fault.BadInput, fmt.Sprintf("%q does not say whether there is a live view", *value), "there are auto, always, never", c.CommandPath()+" --tui auto")
		}
		if before != nil {
			return before(c, args)
		}
		return nil
	}
}

// errDetached says that whoever watched left, which is no failure.
var errDetached = errors.New("detached")

// follow shows a walk while it goes on. The error, when the walk ended with a
// problem that was shown, is a reported one.
func (a *app) follow(ctx context.Context, progress string, walk func(context.Context, event.Sink) error) error {
	show, err := a.renderer(progress)
	if err != nil {
		return err
	}
	walking, cancel := context.WithCancel(ctx)
	detached := false
	defer func() {
		if !detached { // else it would cancel a walk that shall go on
			cancel()
		}
	}()
	// The renderer may end before the walk does (q in the view); events must
	// then go nowhere instead of holding the walk up.
	events, gone := make(chan event.Event, 64), make(chan error, 1)
	left := make(chan struct{})
	go func() {
		gone <- show(context.WithoutCancel(ctx), events, cancel)
		close(left)
	}()
	var shown atomic.Bool // events come from many goroutines
	result := make(chan error, 1)
	go func() {
		err := walk(walking, func(e event.Event) {
			if e.Problem != nil {
				problem := *e.Problem
				problem.Next = a.meant(problem.Next)
				e.Problem = &problem
			}
			select {
			case events <- e:
				if e.Kind == event.Finished && e.Problem != nil {
					shown.Store(true)
				}
			case <-left:
			}
		})
		close(events)
		result <- err
	}()
	select {
	case err = <-result:
		<-left
	case <-left:
		switch ended := <-gone; {
		case errors.Is(ended, tui.ErrDetached):
			detached = true
			fmt.Fprintf(a.err, "the bring-up goes on in the background; alertlab attach --lab %s follows it\n", a.lab)
			return errDetached
		case errors.Is(ended, tui.ErrAbandoned):
			return reported{fault.New(fault.Interrupted, "interrupted", "", "")}
		}
		err = <-result
	}
	if err != nil && shown.Load() {
		return reported{err}
	}
	return err
}

// aboutWalk is what a view of a walk is told besides its events: how long the steps
// took last, and how to read their logs. What cannot be told is left out.
func (a *app) aboutWalk(leave string) tui.About {
	about := tui.About{Leave: leave}
	dir, err := a.dir()
	if err != nil {
		return about
	}
	if times, err := dir.Times(); err == nil {
		about.Last = times
	}
	about.Log = func(step string, lines int) []string {
		last, err := lastLines(dir, []string{step}, lines)
		if err != nil || len(last) == 0 { // what was done with it is in the runner's
			last, _ = lastLines(dir, []string{"runner"}, lines)
		}
		var texts []string
		for _, l := range last {
			texts = append(texts, l.text)
		}
		return texts
	}
	return about
}

type show func(ctx context.Context, events <-chan event.Event, cancel func()) error

// renderer chooses how a walk is shown.
func (a *app) renderer(progress string) (show, error) {
	lines := func(r render.Renderer) (show, error) {
		return func(ctx context.Context, events <-chan event.Event, _ func()) error {
			return render.Follow(ctx, r, events)
		}, nil
	}
	view := func(ctx context.Context, events <-chan event.Event, cancel func()) error {
		return tui.Follow(ctx, a.err, a.in, events, cancel, a.aboutWalk("leaves it going on"))
	}
	switch progress {
	case "auto":
		if tui.Suits(a.err) {
			return view, nil
		}
		return lines(render.NewPlain(a.err))
	case "tui":
		return view, nil
	case "plain":
		return lines(render.NewPlain(a.err))
	case "json":
		return lines(render.NewJSON(a.err))
	case "quiet":
		return lines(render.NewQuiet(a.err))
	}
	return nil, fault.New(fault.BadInput, fmt.Sprintf("%q is no way to show progress", progress), "there are auto, tui, plain, json, quiet", "the same command with --progress plain")
}
