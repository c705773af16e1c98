package cmd

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/k3d"
	"github.com/alertlab/alertlab/render"
	"github.com/alertlab/alertlab/render/phrase"
)

func (a *app) bundle() *cobra.Command {
	c := &cobra.Command{
		Use:   "bundle",
		Short: "Files with every image and chart, for sites without internet",
		Long: `A bundle is one file with every container image and chart that the labs of a profile
need on Kubernetes, each by its digest: an archive of an OCI image layout. It is saved
on a machine that reaches the images' registries, carried to the site, and used there
by "alertlab up --bundle FILE", or pushed to a registry of the site. This program's own
image is in none: the program makes it.`,
		Example: `  alertlab bundle save --profile ci --file ci.bundle
  alertlab bundle audit --profile ci --file ci.bundle
  alertlab up --provider k3d --profile ci --bundle ci.bundle
  alertlab bundle push --file ci.bundle registry.example.org/alertlab`,
	}
	c.AddCommand(a.bundleSave(), a.bundleShow(), a.bundleVerify(), a.bundleAudit(), a.bundlePush())
	return c
}

// bundleChoice is what save and audit are told of the labs that a bundle is for.
type bundleChoice struct {
	profile, provider, stack, nodeImage, ingress string
	set                                          []string
}

func (ch *bundleChoice) flags(c *cobra.Command) {
	c.Flags().StringVar(&ch.profile, "profile", "", "name of a profile, or a file (environment: ALERTLAB_PROFILE; default: local)")
	c.Flags().StringVar(&ch.provider, "provider", "", "where the lab shall run (environment: ALERTLAB_PROVIDER; default: k3d)")
	c.Flags().StringVar(&ch.stack, "stack", "", "which components make the lab (default: the profile's)")
	c.Flags().StringVar(&ch.nodeImage, "node-image", "", "image of the nodes (environment: ALERTLAB_NODE_IMAGE)")
	ingressFlag(c, &ch.ingress)
	setFlag(c, &ch.set)
	must(c.RegisterFlagCompletionFunc("profile", completeProfiles))
	must(c.RegisterFlagCompletionFunc("provider", cobra.FixedCompletions(catalog.Providers()[1:], cobra.ShellCompDirectiveNoFileComp)))
}

// needed says what a lab of the choice needs, and what it is a lab of.
func (a *app) needed(ch bundleChoice) (catalog.Needed, state.Description, error) {
	desc := state.Description{Name: state.DefaultLab, Provider: first(ch.provider, a.getenv("ALERTLAB_PROVIDER"), catalog.K3d)}
	if desc.Provider == catalog.Embedded {
		return catalog.Needed{}, desc, fault.New(fault.BadInput, "an embedded lab needs no bundle", "it is this program alone", "the same command with --provider "+catalog.K3d)
	}
	p, ref, err := loadProfile(first(ch.profile, a.getenv("ALERTLAB_PROFILE"), "local"))
	if err != nil {
		return catalog.Needed{}, desc, profileMissing(err)
	}
	if p, err = profiles.Override(p, a.environ(), ch.set...); err != nil {
		return catalog.Needed{}, desc, err
	}
	desc.Profile, desc.Resolved, desc.Stack = ref, string(p.Source()), first(ch.stack, p.Stack)
	desc.Cluster = state.Cluster{NodeImage: first(ch.nodeImage, a.getenv("ALERTLAB_NODE_IMAGE"), k3d.DefaultImage), Image: "alertlab.dev/alertlab:any",
		Ingress: first(ch.ingress, a.getenv("ALERTLAB_INGRESS"))}
	if err := catalog.CheckIngress(desc, nil); err != nil {
		return catalog.Needed{}, desc, err
	}
	n, err := catalog.NeededBy(desc)
	return n, desc, err
}

// bundleFile is the flag that names the file, or a verb's only argument.
func bundleFile(c *cobra.Command) *string {
	file := c.Flags().String("file", "", "the bundle")
	must(c.MarkFlagFilename("file"))
	return file
}

// given decides between --file and an argument.
func given(c *cobra.Command, flag string, args []string) (string, error) {
	if len(args) == 1 {
		if flag != "" {
			return "", fault.New(fault.BadInput, "the bundle is named twice", "--file "+flag+" and "+args[0], c.CommandPath()+" "+args[0])
		}
		return args[0], nil
	}
	if flag == "" {
		return "", fault.New(fault.BadInput, "no bundle is named", "", c.CommandPath()+" --file FILE")
	}
	return flag, nil
}

// openBundle opens a bundle, in words of a user's.
func openBundle(file string) (*bundle.Bundle, error) {
	b, err := bundle.Open(file)
	return b, bundleFault("the bundle cannot be used", file, err)
}

// bundleFault gives an error about a bundle its remedy. what is what did not succeed.
func bundleFault(what, file string, err error) error {
	var damage *bundle.DamageError
	var f *fault.Fault
	wrap := func(code fault.Code, next string) error { return fault.Wrap(code, what, err, next) }
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case errors.Is(err, context.Canceled):
		return &fault.Fault{What: "interrupted", Why: "what was done is kept", Next: "the same command again goes on from there", Code: fault.Interrupted, Err: err}
	case errors.Is(err, syscall.ENOSPC):
		return wrap(fault.StepFailed, "free space at "+filepath.Dir(file)+", or name another --file; the same command again goes on from there")
	case errors.Is(err, bundle.ErrBusy):
		return wrap(fault.StepFailed, "wait for it, or name another --file")
	case errors.Is(err, bundle.ErrPartial):
		return wrap(fault.BadInput, "end the save: alertlab bundle save --file "+strings.TrimSuffix(file, ".partial"))
	case errors.Is(err, bundle.ErrPlainHTTP):
		return wrap(fault.BadInput, "name the authority that signed its certificate: --ca FILE; or, where nobody can listen: --plain-http")
	case errors.Is(err, bundle.ErrUnauthorised):
		return wrap(fault.StepFailed, "docker login "+hostOf(err)+"   # or another file of logins: export DOCKER_CONFIG=DIRECTORY")
	case errors.Is(err, bundle.ErrUnreachable):
		return wrap(fault.StepFailed, "see that "+hostOf(err)+" is reached from here: curl https://"+hostOf(err)+"/v2/ ; a site's copy of it: --from REGISTRY/PATH")
	case errors.Is(err, bundle.ErrNoImage):
		return wrap(fault.StepFailed, "see to the names above; images of the nodes are chosen by --node-image")
	case errors.Is(err, bundle.ErrReference), errors.Is(err, bundle.ErrPlatform), errors.Is(err, bundle.ErrChart):
		return wrap(fault.BadInput, "correct what is named above")
	case errors.As(err, &damage), errors.Is(err, bundle.ErrFormat):
		return wrap(fault.StepFailed, "copy the file again and compare its sha256sum; or save it anew where there is internet: alertlab bundle save")
	case errors.Is(err, fs.ErrNotExist):
		return wrap(fault.BadInput, "name a file that is there, or make one: alertlab bundle save --file "+shellWord(file))
	case errors.Is(err, fs.ErrPermission):
		return wrap(fault.BadInput, "name a file that you may read and write")
	}
	return wrap(fault.StepFailed, "alertlab bundle verify "+shellWord(file))
}

// hostOf names the registry that an error is about.
func hostOf(err error) string {
	var r *bundle.RegistryError
	if errors.As(err, &r) {
		return r.Registry
	}
	return "REGISTRY"
}

// access is how registries are spoken with.
type access struct {
	ca    string
	plain bool
}

func (x *access) flags(c *cobra.Command) {
	c.Flags().StringVar(&x.ca, "ca", "", "PEM file of the registry's authorities (default: the system's)")
	c.Flags().BoolVar(&x.plain, "plain-http", false, "speak HTTP without TLS with the registry; on this machine it is tried anyway")
}

// registry reads HOST[:PORT][/PATH].
func (x access) registry(text string) (bundle.Registry, error) {
	r := bundle.RegistryAt(text)
	r.Keychain, r.PlainHTTP = authn.DefaultKeychain, x.plain
	if x.ca != "" {
		pem, err := os.ReadFile(x.ca)
		if err != nil {
			return r, fault.Wrap(fault.BadInput, "the authorities cannot be read", err, "name a file that you may read: --ca FILE")
		}
		r.CAs = x509.NewCertPool()
		if !r.CAs.AppendCertsFromPEM(pem) {
			return r, fault.New(fault.BadInput, x.ca+" holds no certificate", "it is not PEM", "--ca FILE")
		}
	}
	if _, err := r.Image("alertlab.dev/alertlab:any"); err != nil {
		return r, fault.Wrap(fault.BadInput, "the registry cannot be called so", err, "HOST, HOST:PORT or HOST/PATH, e.g. registry.example.org/alertlab")
	}
	return r, nil
}

// working shows a job that counts bytes, as walks are shown.
func (a *app) working(ctx context.Context, progress, step, title string, job func(context.Context, bundle.ProgressFunc) error) error {
	return a.follow(ctx, progress, func(ctx context.Context, sink event.Sink) error {
		begun := time.Now()
		tell := func(e event.Event) {
			e.Time, e.Lab = time.Now(), "bundle"
			sink(e)
		}
		tell(event.Event{Kind: event.Planned, Steps: []event.Step{{Key: step, Action: step, Title: title}}})
		tell(event.Event{Kind: event.Began, Step: step, Action: step})
		err := job(ctx, func(p bundle.Progress) {
			tell(event.Event{Kind: event.Progress, Step: step, Count: p.Done / 1e6, Total: (p.Total + 1e6 - 1) / 1e6, Unit: "MB"})
		})
		spent := event.Duration(time.Since(begun))
		if err != nil {
			problem := problemOf(err)
			tell(event.Event{Kind: event.Failed, Step: step, Elapsed: spent, Problem: problem})
			tell(event.Event{Kind: event.Finished, Elapsed: spent, Problem: problem})
			return err
		}
		tell(event.Event{Kind: event.Done, Step: step, Elapsed: spent})
		tell(event.Event{Kind: event.Finished, Elapsed: spent})
		return nil
	})
}

// problemOf is what an event carries of an error.
func problemOf(err error) *event.Problem {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return &event.Problem{What: err.Error(), Code: int(fault.CodeOf(err))}
	}
	return &event.Problem{What: f.What, Why: f.Why, Next: f.Next, Code: int(f.Code)}
}

func (a *app) bundleShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show FILE",
		Short: "List what a bundle holds",
		Long: `show reads the head of a bundle and lists its images and charts with their digests and
sizes, and what the bundle was made for. What it says is what the index says: verify
looks at the content.`,
		Example: `  alertlab bundle show ci.bundle
  alertlab bundle show ci.bundle -o json | jq -r '.images[].reference'`,
		Args: cobra.MaximumNArgs(1),
	}
	file := bundleFile(c)
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		name, err := given(c, *file, args)
		if err != nil {
			return err
		}
		b, err := openBundle(name)
		if err != nil {
			return err
		}
		defer b.Close()
		shown := showBundle(b)
		if *output == "json" {
			return a.printJSON(shown)
		}
		fmt.Fprintf(a.out, "for the profile %s, stack %s, %s; %s\n%s\n\n", shown.Profile, shown.Stack, shown.Platform, phrase.Bytes(shown.Size), shown.Digest)
		t := render.NewTable(a.out, "kind", "reference", "size", "digest")
		for _, e := range shown.Images {
			t.Row("image", e.Reference, phrase.Bytes(e.Size), e.Digest)
		}
		for _, e := range shown.Charts {
			t.Row("chart", e.Reference, phrase.Bytes(e.Size), e.Digest)
		}
		return t.Flush()
	}
	return c
}

// shownBundle is a bundle as scripts read it.
type shownBundle struct {
	Profile   string       `json:"profile"`
	Stack     string       `json:"stack"`
	Platform  string       `json:"platform"`
	CreatedBy string       `json:"createdBy,omitempty"`
	Digest    string       `json:"digest"` // names the whole content
	Size      int64        `json:"size"`   // of the file, in bytes
	Images    []shownEntry `json:"images"`
	Charts    []shownEntry `json:"charts"`
}

type shownEntry struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"` // in bytes
}

func showBundle(b *bundle.Bundle) shownBundle {
	about := b.About()
	s := shownBundle{Profile: about.Profile, Stack: about.Stack, Platform: about.Platform, CreatedBy: about.CreatedBy,
		Digest: b.Digest().String(), Size: b.Size(), Images: []shownEntry{}, Charts: []shownEntry{}}
	for _, e := range b.Images() {
		s.Images = append(s.Images, shownEntry{e.Reference, e.Digest.String(), e.Size})
	}
	for _, e := range b.Charts() {
		s.Charts = append(s.Charts, shownEntry{e.Reference, e.Digest.String(), e.Size})
	}
	return s
}

func (a *app) bundleVerify() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Read a bundle whole, and compare every byte with its digests",
		Long: `verify reads the whole file and names everything that is wrong with it: the image or
chart concerned, where in the file, and what was seen. The exit code is 1 then.`,
		Example: `  alertlab bundle verify ci.bundle`,
		Args:    cobra.MaximumNArgs(1),
	}
	file := bundleFile(c)
	progress := progressFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		name, err := given(c, *file, args)
		if err != nil {
			return err
		}
		err = a.working(c.Context(), *progress, "verify", "read "+name, func(ctx context.Context, tell bundle.ProgressFunc) error {
			return bundleFault("the bundle is not as it was saved", name, bundle.Verify(ctx, name, tell))
		})
		if err != nil {
			return err
		}
		b, err := openBundle(name)
		if err != nil {
			return err
		}
		defer b.Close()
		_, err = fmt.Fprintf(a.out, "%s is whole: %d images, %d charts, %s, %s\n", name, len(b.Images()), len(b.Charts()), phrase.Bytes(b.Size()), b.Digest())
		return err
	}
	return c
}
