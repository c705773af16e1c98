// Package schemas registers every published alert schema version under its own
// id, major*100 + minor, in the subject that holds all of them and in the one of
// each version's own topic, as the reference's schema synchronisation does; and
// in the same way the drafts that were taken into a lab.
package schemas

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/alertlab/alertlab/alerts/drafts"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

type input struct {
	Registry string   `json:"registry"` // URL
	Subject  string   `json:"subject"`
	Versions []string `json:"versions"`
	Drafts   []draft  `json:"drafts,omitempty"`
}

// draft is a version that is not published.
type draft struct {
	Version string `json:"version"`
	Folder  string `json:"folder"` // below the lab's directory
	SHA256  string `json:"sha256"` // of its canonical form
}

// Want describes the schemas of a profile's registry: all that are published, and
// the lab's drafts.
func Want(p *profiles.Profile, unreleased []profiles.Draft) plan.Want {
	in := input{Registry: "${schema-registry.url}", Subject: p.Registry.Subject, Versions: Versions()}
	title := fmt.Sprintf("%d alert schema versions, %s to %s", len(in.Versions), in.Versions[0], in.Versions[len(in.Versions)-1])
	for i, d := range unreleased {
		in.Drafts = append(in.Drafts, draft(d))
		if i == 0 {
			title += ", and as drafts "
		} else {
			title += ", "
		}
		title += d.Version
	}
	return plan.Want{
		Title:  title,
		Input:  plan.Input(in),
		Behind: "schema-registry",
	}
}

// Versions lists the published versions, oldest first.
func Versions() []string {
	var out []string
	for _, v := range packet.Versions() {
		out = append(out, v.String())
	}
	return out
}

// TopicSubject is the subject of the topic that carries one version's alerts.
func TopicSubject(version string) string { return "lsst-alerts-v" + version + "-value" }

// New makes the part. Folders of drafts are below dir.
func New(dir string) plan.Part {
	return content.Part[input]{Look: look, Make: func(ctx context.Context, in input, order plan.Order) (map[string]string, error) {
		return nil, apply(ctx, in, order, dir)
	}}
}

// Entries are the places of schemas in a registry: each as a version of the
// subject of all, and as the only one of its topic's subject.
func Entries(subject string, versions ...*packet.Schema) []registry.Entry {
	var out []registry.Entry
	for _, s := range versions {
		out = append(out,
			registry.Entry{ID: s.ID(), Version: s.ID(), Schema: s.Canonical(), Subject: subject},
			registry.Entry{ID: s.ID(), Version: 1, Schema: s.Canonical(), Subject: TopicSubject(s.Version().String())})
	}
	return out
}

// Published gives all published schemas, oldest first.
func Published() ([]*packet.Schema, error) {
	var out []*packet.Schema
	for _, v := range packet.Versions() {
		s, err := packet.Published(v)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Sum is the checksum by which a lab knows a draft again.
func Sum(s *packet.Schema) string {
	sum := sha256.Sum256([]byte(s.Canonical()))
	return hex.EncodeToString(sum[:])
}

// Unreleased reads a draft of a lab, whose directory is dir.
func Unreleased(dir string, d profiles.Draft) (*packet.Schema, error) {
	if !filepath.IsLocal(d.Folder) {
		return nil, fmt.Errorf("draft %s lies outside of its lab: %s", d.Version, d.Folder)
	}
	got, err := drafts.Load(filepath.Join(dir, d.Folder))
	if err != nil {
		return nil, fmt.Errorf("draft %s: %w", d.Version, err)
	}
	if got.Version.String() != d.Version || Sum(got.Schema) != d.SHA256 {
		return nil, fmt.Errorf("draft %s: the files in %s are not those that were taken into the lab", d.Version, filepath.Join(dir, d.Folder))
	}
	return got.Schema, nil
}

// look asks for the subjects only: whether every schema is there costs as much to
// find out as to ensure, so a registry that answers counts as present, and one
// that lost a subject as drifted.
func look(ctx context.Context, in input, _ plan.Look) (plan.Observation, error) {
	client, err := registry.NewClient(in.Registry)
	if err != nil {
		return plan.Observation{}, err
	}
	subjects, err := client.API().Subjects(ctx)
	if err != nil {
		return plan.Observation{}, err
	}
	there := map[string]bool{}
	for _, s := range subjects {
		there[s] = true
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d subjects are registered", len(subjects))}
	wanted := []string{in.Subject}
	for _, v := range in.Versions {
		wanted = append(wanted, TopicSubject(v))
	}
	for _, d := range in.Drafts {
		wanted = append(wanted, TopicSubject(d.Version))
	}
	for _, s := range wanted {
		if !there[s] {
			o.Drift = "subject " + s + " is missing"
		}
	}
	return o, nil
}

// apply makes what is missing, and removes drafts that are wanted no more.
func apply(ctx context.Context, in input, order plan.Order, dir string) error {
	var wanted []*packet.Schema
	for _, text := range in.Versions {
		v, err := packet.ParseVersion(text)
		if err != nil {
			return err
		}
		s, err := packet.Published(v)
		if err != nil {
			return err
		}
		wanted = append(wanted, s)
	}
	for _, d := range in.Drafts {
		s, err := Unreleased(dir, profiles.Draft(d))
		if err != nil {
			return err
		}
		wanted = append(wanted, s)
	}
	client, err := registry.NewClient(in.Registry)
	if err != nil {
		return err
	}
	for _, e := range dropped(content.Earlier[input](order), in) {
		if err := registry.Remove(ctx, client.API(), e); err != nil {
			return err
		}
	}
	entries := Entries(in.Subject, wanted...)
	if _, err := registry.Sync(ctx, client.API(), entries); err != nil {
		return err
	}
	// A process that was killed in the middle of it cannot have tidied up.
	_, err = registry.Settle(ctx, client.API(), entries)
	return err
}

// dropped lists the places of drafts that the last step registered, or one since may
// have registered, and that are not wanted any more. What others registered is left
// alone.
func dropped(earlier []input, in input) []registry.Entry {
	var out []registry.Entry
	for _, was := range earlier {
		for _, d := range was.Drafts {
			v, err := packet.ParseVersion(d.Version)
			if err != nil || slices.Contains(in.Drafts, d) {
				continue
			}
			out = append(out, registry.Entry{Subject: was.Subject, Version: v.ID()}, registry.Entry{Subject: TopicSubject(d.Version), Version: 1})
		}
	}
	return out
}
