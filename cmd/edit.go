package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// edit is one change of the overlay of a living lab.
type edit struct {
	Dir     state.Dir
	Source  *profiles.Profile // as the file, the environment and the flags make it
	Profile *profiles.Profile // Source with what was changed so far; unscaled
	Overlay *profiles.Overlay // to be changed
	// Passwords are new ones of Kafka users, to be filled. The overlay counts
	// them: see NewPassword.
	Passwords map[string]string
}

// newPassword gives a user another password.
func (e *edit) newPassword(user, password string) {
	e.Passwords[user] = password
	e.Overlay.NewPassword(user)
}

// editing says how an edit is carried out.
type editing struct {
	progress     *string
	allowDestroy *bool // nil: never
}

// editFlags adds the flags of a verb that changes the overlay.
func editFlags(c *cobra.Command) editing {
	return editing{progress: progressFlag(c)}
}

// withDestroy adds --allow-destroy, for a verb that may delete what is stored.
func (how editing) withDestroy(c *cobra.Command) editing {
	how.allowDestroy = destroyFlag(c)
	return how
}

// destroyFlag adds --allow-destroy.
func destroyFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("allow-destroy", false, "delete what is stored and not wanted any more; else this is refused")
}

// edit is what every verb does that changes something on a living lab: make
// changes the overlay, which is checked, written down as wanted, planned and run.
// Bad input changes nothing; after a failed run what was asked for stays wanted,
// and the next up heals. make may be called more than once: when another process
// changed the lab meanwhile, the edit is made again on what the lab is now.
func (a *app) edit(c *cobra.Command, how editing, make func(*edit) error) error {
	dir, client, err := a.needRunning(c.Context())
	if err != nil {
		return err
	}
	err = a.follow(c.Context(), *how.progress, func(ctx context.Context, sink event.Sink) error {
		return change(ctx, dir, client, sink, func(ch *runner.Change) error {
			if how.allowDestroy != nil {
				ch.AllowDestroy = *how.allowDestroy
				ch.Again = strings.Join(slices.Concat([]string{c.CommandPath()}, c.Flags().Args(), []string{"--allow-destroy"}), " ") + "   # deletes it, for good"
			}
			return makeEdit(dir, ch, make)
		})
	})
	var misfit *profiles.OverlayError
	if errors.As(err, &misfit) {
		next := c.CommandPath() + " --help"
		if strings.Contains(misfit.Error(), "is not among kafka.topics") {
			next = "alertlab topic list   # topics that there are; alertlab topic add NAME makes one"
		}
		return fault.Wrap(fault.BadInput, "the lab cannot be changed so, nothing was done", err, next)
	}
	return err
}

func makeEdit(dir state.Dir, ch *runner.Change, make func(*edit) error) error {
	source, err := profiles.Parse(ch.Description.Profile, []byte(ch.Description.Resolved))
	if err != nil {
		return err
	}
	profile, err := ch.Description.Overlay.Apply(source)
	if err != nil {
		return err
	}
	overlay := ch.Description.Overlay.Clone()
	e := &edit{Dir: dir, Source: source, Profile: profile, Overlay: &overlay, Passwords: map[string]string{}}
	if err := make(e); err != nil {
		return err
	}
	if err := keptDrafts(ch.Description, overlay); err != nil {
		return err
	}
	ch.Description.Overlay, ch.Passwords = overlay, e.Passwords
	_, err = catalog.Wanted(ch.Description) // what is wrong is found before anything is written
	return err
}

// keptDrafts refuses to take a draft away that the lab's reservoir is written in: the
// simulator would go on to publish alerts that nobody can decode.
func keptDrafts(desc state.Description, wanted profiles.Overlay) error {
	if desc.Reservoir == nil {
		return nil
	}
	var loaded simulator.Manifest
	if err := json.Unmarshal([]byte(desc.Reservoir.Manifest), &loaded); err != nil {
		return fmt.Errorf("what the lab has of its reservoir: %w", err)
	}
	for _, d := range desc.Overlay.Drafts {
		version, err := packet.ParseVersion(d.Version)
		if err != nil {
			return fmt.Errorf("the lab's draft: %w", err)
		}
		if version.ID() == loaded.SchemaID && !slices.Contains(wanted.Drafts, d) {
			return fault.New(fault.BadInput, "schema "+d.Version+" is in use, nothing was done", "the simulator plays alerts of it, from "+desc.Reservoir.File,
				"alertlab simulator create --profile   # goes back to the profile's visit; then the same command again")
		}
	}
	return nil
}

// attempts bounds how often a change is made again: each is lost only to another
// process that changed the lab in the same moment.
const attempts = 20

// change has the runner bring the lab to what alter makes of its description. When
// another process changed the lab meanwhile, alter is called again with what the
// lab is then, so that no change is lost.
func change(ctx context.Context, dir state.Dir, client *runner.Client, sink event.Sink, alter func(*runner.Change) error) error {
	var err error
	for range attempts {
		var desc state.Description
		if desc, err = dir.Describe(); err != nil {
			return err
		}
		ch := runner.Change{Description: desc, From: desc.Digest()}
		if err := alter(&ch); err != nil {
			return err
		}
		if err = client.Change(ctx, ch, sink); !errors.Is(err, runner.ErrChanged) || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("%d attempts: %w", attempts, err)
}
