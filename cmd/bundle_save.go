package cmd

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/internal/ownimage"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render/phrase"
)

func (a *app) bundleSave() *cobra.Command {
	var ch bundleChoice
	var x access
	var from, platform string
	var charts, archives, more []string
	c := &cobra.Command{
		Use:   "save",
		Short: "Pull everything that the labs of a profile need into one file",
		Long: `save asks the registries for every image and chart that a lab of the profile needs, its
nodes included, and writes them to a file. A file of that name is always whole: until
then it is called FILE.partial. The same command again goes on where an earlier one was
cut off, and takes from an earlier bundle of that name what has not changed.

Logins are those of docker login: its configuration, or what DOCKER_CONFIG names.

--from reads everything from one registry, a mirror of the site's, under the names that
"alertlab bundle push" gives: docker.io/apache/kafka:4.2.0 is there
REGISTRY/docker.io/apache/kafka:4.2.0. --archive takes images that docker save wrote
instead of asking a registry, and --chart charts that helm pull wrote.`,
		Example: `  alertlab bundle save --profile ci --file ci.bundle
  alertlab bundle save --profile usdfdev --file usdfdev.bundle --from registry.example.org/mirror
  alertlab bundle save --profile ci --file ci.bundle --image docker.io/library/busybox:1.37.0`,
		Args: cobra.NoArgs,
	}
	ch.flags(c)
	x.flags(c)
	file := bundleFile(c)
	c.Flags().StringVar(&from, "from", "", "read everything from this registry, HOST[:PORT][/PATH]")
	c.Flags().StringVar(&platform, "platform", bundle.DefaultPlatform, "of the nodes, OS/ARCHITECTURE")
	c.Flags().StringArrayVar(&more, "image", nil, "an image beside what the profile needs; again for each")
	c.Flags().StringArrayVar(&charts, "chart", nil, "chart archive (.tgz) to take in; again for each")
	c.Flags().StringArrayVar(&archives, "archive", nil, "archive with images, as docker save writes it; again for each")
	progress := progressFlag(c)
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		name, err := given(c, *file, args)
		if err != nil {
			return err
		}
		n, desc, err := a.needed(ch)
		if err != nil {
			return err
		}
		source := bundle.Remote{References: append(catalog.References(n.Images), more...), Options: []remote.Option{remote.WithAuthFromKeychain(authn.DefaultKeychain)}}
		if from != "" {
			mirror, err := x.registry(from)
			if err != nil {
				return err
			}
			source.Mirror, source.Options = &mirror, nil
		}
		b := build()
		contents := bundle.Contents{About: bundle.About{Profile: desc.Profile, Stack: desc.Stack, Platform: platform, CreatedBy: "alertlab " + b.Version}}
		var saved bundle.Saved
		err = a.working(c.Context(), *progress, "save", fmt.Sprintf("%d images and %d charts into %s", len(source.References), len(n.Charts)+len(charts), name),
			func(ctx context.Context, tell bundle.ProgressFunc) error {
				if from != "" { // else they come by --chart
					source.Charts = catalog.References(n.Charts)
				}
				if len(archives) > 0 {
					found, err := inArchives(ctx, archives, platform)
					if err != nil {
						return bundleFault("an archive cannot be taken in", name, err)
					}
					source.References = leave(source.References, found)
					contents.Sources = append(contents.Sources, found)
				}
				contents.Sources = append(contents.Sources, source, bundle.Charts(charts))
				saved, err = bundle.Save(ctx, name, contents, tell)
				return bundleFault("the bundle cannot be saved", name, err)
			})
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(savedBundle{saved.Path, saved.Digest.String(), saved.Bytes, saved.Images, saved.Charts, saved.Kept, saved.Copied, saved.Written})
		}
		_, err = fmt.Fprintf(a.out, "%s: %d images, %d charts, %s, of which %s were there; %s\n", saved.Path, saved.Images, saved.Charts, phrase.Bytes(saved.Bytes), phrase.Bytes(saved.Kept+saved.Copied), saved.Digest)
		return err
	}
	return c
}

// savedBundle is what scripts read of a save; sizes are bytes.
type savedBundle struct {
	File    string `json:"file"`
	Digest  string `json:"digest"`
	Size    int64  `json:"size"`
	Images  int    `json:"images"`
	Charts  int    `json:"charts"`
	Kept    int64  `json:"kept"`
	Copied  int64  `json:"copied"`
	Written int64  `json:"written"`
}

// inArchives reads image archives.
func inArchives(ctx context.Context, files []string, platform string) (bundle.Images, error) {
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bundle.ErrPlatform, err)
	}
	return bundle.Archives(files).Artifacts(ctx, *p)
}

// leave gives what of wanted, full references, is not there.
func leave(wanted []string, there bundle.Images) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(ref string) bool {
		return slices.ContainsFunc(there, func(a bundle.Artifact) bool {
			full, err := bundle.Normalize(a.Reference)
			return err == nil && full == ref
		})
	})
}

func (a *app) bundleAudit() *cobra.Command {
	var ch bundleChoice
	c := &cobra.Command{
		Use:   "audit",
		Short: "Compare a bundle with what the labs of a profile need",
		Long: `audit lists every image and chart that a lab of the profile needs, and whether the
bundle has it. The exit code is 1 when it lacks any; all of them are named.`,
		Example: `  alertlab bundle audit --profile ci --file ci.bundle
  alertlab bundle audit --profile usdfdev --file ci.bundle -o json | jq -r '.missing[]'`,
		Args: cobra.MaximumNArgs(1),
	}
	ch.flags(c)
	file := bundleFile(c)
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		name, err := given(c, *file, args)
		if err != nil {
			return err
		}
		n, desc, err := a.needed(ch)
		if err != nil {
			return err
		}
		b, err := openBundle(name)
		if err != nil {
			return err
		}
		defer b.Close()
		report := audited(b, n, desc.Profile)
		if *output == "json" {
			err = a.printJSON(report)
		} else {
			err = report.table(a)
		}
		if err != nil || len(report.Missing) == 0 {
			return err
		}
		next := "alertlab bundle save --profile " + shellWord(desc.Profile) + " --file " + shellWord(name) + "   # where there is internet"
		return fault.New(fault.StepFailed, fmt.Sprintf("%s lacks %d of %d that the profile %s needs", name, len(report.Missing), len(report.Needed), desc.Profile), strings.Join(report.Missing, ", "), next)
	}
	return c
}

// auditReport is an audit as scripts read it.
type auditReport struct {
	Profile string       `json:"profile"`
	Needed  []auditEntry `json:"needed"`
	Missing []string     `json:"missing"`
}

type auditEntry struct {
	Kind      string `json:"kind"` // image or chart
	Reference string `json:"reference"`
	For       string `json:"for"`
	There     bool   `json:"there"`
}

func audited(b *bundle.Bundle, n catalog.Needed, profile string) auditReport {
	has := map[string]bool{}
	for _, e := range b.Images() {
		has["image "+e.Reference] = true
	}
	for _, e := range b.Charts() {
		has["chart "+e.Reference] = true
	}
	r := auditReport{Profile: profile, Missing: []string{}}
	add := func(kind string, uses []catalog.Use) {
		for _, u := range uses {
			there := has[kind+" "+u.Reference]
			r.Needed = append(r.Needed, auditEntry{kind, u.Reference, u.For, there})
			if !there {
				r.Missing = append(r.Missing, u.Reference)
			}
		}
	}
	add("image", n.Images)
	add("chart", n.Charts)
	return r
}

func (r auditReport) table(a *app) error {
	for _, e := range r.Needed {
		mark := "there  "
		if !e.There {
			mark = "MISSING"
		}
		if _, err := fmt.Fprintf(a.out, "%s  %s  %s, for %s\n", mark, e.Kind, e.Reference, e.For); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) bundlePush() *cobra.Command {
	var x access
	var noOwn bool
	c := &cobra.Command{
		Use:   "push REGISTRY",
		Short: "Bring a bundle, and this program's image, into a site's registry",
		Long: `push brings every image and chart of a bundle into a registry, and the image of this
program, which the pods of a lab run. Digests stay what they are. The name of an image's
registry becomes part of its path: docker.io/apache/kafka:4.2.0 is
HOST/PATH/docker.io/apache/kafka:4.2.0 there, and a chart is
HOST/PATH/charts/NAME:VERSION.
What the registry has already is not sent again, so that the same command goes on after
a failure.

Logins are those of docker login: its configuration, or what DOCKER_CONFIG names. They
are never sent without TLS, unless --plain-http says so.`,
		Example: `  alertlab bundle push --file ci.bundle registry.example.org/alertlab
  alertlab bundle push --file ci.bundle --ca site-ca.pem registry.example.org:5000`,
		Args: cobra.ExactArgs(1),
	}
	x.flags(c)
	file := bundleFile(c)
	c.Flags().BoolVar(&noOwn, "no-own-image", false, "leave this program's image out")
	progress := progressFlag(c)
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		name, err := given(c, *file, nil)
		if err != nil {
			return err
		}
		registry, err := x.registry(args[0])
		if err != nil {
			return err
		}
		b, err := openBundle(name)
		if err != nil {
			return err
		}
		defer b.Close()
		var own []bundle.Artifact
		if !noOwn {
			if own, err = ownArtifact(); err != nil {
				return err
			}
		}
		var pushed []bundle.Pushed
		title := fmt.Sprintf("%d images and %d charts to %s", len(b.Images())+len(own), len(b.Charts()), args[0])
		err = a.working(c.Context(), *progress, "push", title, func(ctx context.Context, tell bundle.ProgressFunc) error {
			pushed, err = b.Push(ctx, registry, bundle.PushOptions{Progress: tell})
			if err == nil {
				var mine []bundle.Pushed
				mine, err = bundle.PushImages(ctx, registry, own)
				pushed = append(pushed, mine...)
			}
			return bundleFault("the bundle was not pushed whole", name, err)
		})
		if err != nil {
			return err
		}
		flag := "--registry " + shellWord(strings.TrimSuffix(args[0], "/"))
		if *output == "json" {
			r := pushReport{Up: flag, Pushed: []pushEntry{}}
			for _, p := range pushed {
				r.Pushed = append(r.Pushed, pushEntry{p.Reference, p.Target, p.Digest.String(), p.Skipped})
			}
			return a.printJSON(r)
		}
		for _, p := range pushed {
			what := "pushed"
			if p.Skipped {
				what = "there "
			}
			if _, err := fmt.Fprintf(a.out, "%s  %s@%s\n", what, p.Target, p.Digest); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintf(a.out, "\nlabs whose nodes pull from there: alertlab up --provider existing %s\n", flag)
		return err
	}
	return c
}

// pushReport is a push as scripts read it.
type pushReport struct {
	Up     string      `json:"up"` // the flag of up that names the registry
	Pushed []pushEntry `json:"pushed"`
}

type pushEntry struct {
	Reference string `json:"reference"` // what it is called in the bundle
	Target    string `json:"target"`    // and in the registry
	Digest    string `json:"digest"`
	Skipped   bool   `json:"skipped"` // the registry had it
}

// ownArtifact is the image of the program that runs.
func ownArtifact() ([]bundle.Artifact, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	reference, err := ownimage.Reference(executable)
	if err != nil {
		return nil, fault.Wrap(fault.BadInput, "this program cannot run in pods", err, "make build   # or --no-own-image")
	}
	img, err := ownimage.Build(executable)
	if err != nil {
		return nil, fault.Wrap(fault.BadInput, "this program cannot run in pods", err, "make build   # or --no-own-image")
	}
	return []bundle.Artifact{{Reference: reference, Image: img}}, nil
}
