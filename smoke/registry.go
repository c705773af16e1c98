package smoke

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/packet"
	"golang.org/x/sync/errgroup"
)

// registryContent is the media type of the Confluent Schema Registry API.
const registryContent = "application/vnd.schemaregistry.v1+json"

func registryReadOnly() Check {
	return Check{
		Name:     "registry-read-only",
		Sentence: "the registry answers GET and refuses every write through its front",
		Needs:    []Need{NeedRegistry()},
		Run:      runRegistryReadOnly,
	}
}

func runRegistryReadOnly(ctx context.Context, e *Env) (Evidence, error) {
	front := e.Endpoints.Registry.URL
	before, err := e.registryContents(ctx)
	if err != nil {
		return "", &Failure{Expected: "the registry to answer GET " + front, Seen: err.Error(), Next: nextStatus, Err: err}
	}
	// Every attempt is on a subject that nobody has, so that a front that
	// lets one through does no harm to those that are there.
	subject := randomName("alertlab-smoke-")
	const schema = `{"schema":"\"string\""}`
	attempts := []struct {
		method string
		path   []string
		body   string
	}{
		{http.MethodPost, []string{"subjects", subject, "versions"}, schema},
		{http.MethodPost, []string{"subjects", subject}, schema},
		{http.MethodPut, []string{"subjects", subject, "versions"}, schema},
		{http.MethodPut, []string{"config", subject}, `{"compatibility":"NONE"}`},
		{http.MethodPut, []string{"mode", subject}, `{"mode":"READWRITE"}`},
		{http.MethodDelete, []string{"subjects", subject}, ""},
		{http.MethodDelete, []string{"config", subject}, ""},
		{http.MethodPatch, []string{"subjects", subject, "versions"}, schema},
	}
	var let []string
	refused := make(map[int]int)
	for _, a := range attempts {
		got, err := e.do(ctx, a.method, under(front, a.path...), registryContent, a.body)
		switch {
		case err != nil:
			return "", &Failure{
				Expected: fmt.Sprintf("%s /%s to be refused with 403 or 405", a.method, strings.Join(a.path, "/")),
				Seen:     err.Error(), Next: nextStatus, Err: err,
			}
		case got.status == http.StatusForbidden, got.status == http.StatusMethodNotAllowed:
			refused[got.status]++
		default:
			let = append(let, fmt.Sprintf("%s /%s gave %s", a.method, strings.Join(a.path, "/"), got))
		}
	}
	after, err := e.registryContents(ctx)
	if err != nil {
		return "", err
	}
	if len(let) > 0 {
		e.forgetSubject(ctx, subject)
		return "", &Failure{
			Expected: "403 or 405 for every write through " + front,
			Seen:     strings.Join(let, "; "), Next: "alertlab logs registry-front",
		}
	}
	if before != after {
		return "", &Failure{
			Expected: "the content of the registry to be the same after the refused writes",
			Seen:     fmt.Sprintf("before: %s; after: %s", before, after), Next: "alertlab logs schema-registry",
		}
	}
	var codes []string
	for _, code := range []int{http.StatusForbidden, http.StatusMethodNotAllowed} {
		if refused[code] > 0 {
			codes = append(codes, fmt.Sprintf("%d with %d", refused[code], code))
		}
	}
	return evidence("GET shows %s; %d writes by POST, PUT, DELETE and PATCH refused (%s), nothing changed",
		before, len(attempts), strings.Join(codes, ", ")), nil
}

// contents is what can be compared of a registry.
type contents struct {
	subjects int
	names    string // of the subjects
	versions string // of the main subject
	config   string
}

func (c contents) String() string {
	return fmt.Sprintf("%d subjects, versions %s", c.subjects, c.versions)
}

func (e *Env) registryContents(ctx context.Context) (contents, error) {
	r := e.Endpoints.Registry
	var c contents
	var names []string
	if err := e.getJSON(ctx, under(r.URL, "subjects"), &names); err != nil {
		return c, err
	}
	slices.Sort(names)
	c.subjects, c.names = len(names), strings.Join(names, " ")
	if slices.Contains(names, r.Subject) {
		var versions []int
		if err := e.getJSON(ctx, under(r.URL, "subjects", r.Subject, "versions"), &versions); err != nil {
			return c, err
		}
		c.versions = strings.Trim(fmt.Sprint(versions), "[]")
	}
	config, err := e.get(ctx, under(r.URL, "config"))
	if err != nil {
		return c, err
	}
	c.config = config.String()
	return c, nil
}

// forgetSubject takes away what a front let through, as far as it can.
func (e *Env) forgetSubject(ctx context.Context, subject string) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cleanupTime())
	defer cancel()
	for _, base := range []string{e.Endpoints.Registry.AdminURL, e.Endpoints.Registry.URL} {
		if base == "" {
			continue
		}
		for _, address := range []string{
			under(base, "subjects", subject),
			under(base, "subjects", subject) + "?permanent=true",
			under(base, "config", subject),
			under(base, "mode", subject),
		} {
			// Whatever it says: the failure that is reported already is
			// the cause, and most of these were never made.
			_, _ = e.do(clean, http.MethodDelete, address, "", "")
		}
	}
}

// registered is a schema under a subject.
type registered struct {
	Subject string `json:"subject"`
	ID      int    `json:"id"`
	Version int    `json:"version"`
	Schema  string `json:"schema"`
}

func schemaVersions() Check {
	return Check{
		Name:     "schema-versions",
		Sentence: "every schema version is there, with id major*100+minor",
		Needs:    []Need{NeedRegistry()},
		Run:      runSchemaVersions,
	}
}

func runSchemaVersions(ctx context.Context, e *Env) (Evidence, error) {
	r := e.Endpoints.Registry
	if len(r.Versions) == 0 {
		return "", &Skip{Reason: "the card lists no schema versions"}
	}
	next := "alertlab up"
	main, err := e.subjectByID(ctx, r.Subject)
	if err != nil {
		return "", &Failure{Expected: "subject " + r.Subject + " to hold every schema version", Seen: err.Error(), Next: next, Err: err}
	}
	problems := make([]string, len(r.Versions))
	ids := make([]int, len(r.Versions))
	var group errgroup.Group
	group.SetLimit(4)
	for i, text := range r.Versions {
		group.Go(func() error {
			v, err := packet.ParseVersion(text)
			if err != nil {
				problems[i] = err.Error()
				return nil
			}
			ids[i] = v.ID()
			problems[i] = e.schemaProblem(ctx, v, main)
			return nil
		})
	}
	_ = group.Wait() // problems are kept by place
	problems = slices.DeleteFunc(problems, func(p string) bool { return p == "" })
	if len(problems) > 0 {
		return "", &Failure{
			Expected: fmt.Sprintf("%d schema versions, each with id major*100+minor in %s and in lsst-alerts-v<version>-value", len(r.Versions), r.Subject),
			Seen:     strings.Join(problems, "; "), Next: next, Err: ctx.Err(),
		}
	}
	return evidence("%d versions, ids %d to %d, in %s and in a subject of their own each",
		len(ids), slices.Min(ids), slices.Max(ids), r.Subject), nil
}

// subjectByID lists what a subject holds, by schema id.
func (e *Env) subjectByID(ctx context.Context, subject string) (map[int]registered, error) {
	base := under(e.Endpoints.Registry.URL, "subjects", subject, "versions")
	var versions []int
	if err := e.getJSON(ctx, base, &versions); err != nil {
		return nil, err
	}
	found := make([]registered, len(versions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, v := range versions {
		group.Go(func() error { return e.getJSON(ctx, under(base, fmt.Sprint(v)), &found[i]) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	byID := make(map[int]registered, len(found))
	for _, f := range found {
		byID[f.ID] = f
	}
	return byID, nil
}

// schemaProblem says what is wrong with one version, "" when it is all right.
func (e *Env) schemaProblem(ctx context.Context, v packet.Version, main map[int]registered) string {
	r := e.Endpoints.Registry
	got, ok := main[v.ID()]
	if !ok {
		return fmt.Sprintf("%s has no id %d (version %s)", r.Subject, v.ID(), v)
	}
	if p := textProblem(v, got.Schema); p != "" {
		return fmt.Sprintf("%s id %d: %s", r.Subject, v.ID(), p)
	}
	own := fmt.Sprintf("lsst-alerts-v%s-value", v)
	var alone registered
	err := e.getJSON(ctx, under(r.URL, "subjects", own, "versions", "latest"), &alone)
	switch {
	case isStatus(err, http.StatusNotFound):
		return fmt.Sprintf("no subject %s", own)
	case err != nil:
		return err.Error()
	case alone.ID != v.ID():
		return fmt.Sprintf("%s has id %d, not %d", own, alone.ID, v.ID())
	}
	if p := textProblem(v, alone.Schema); p != "" {
		return fmt.Sprintf("%s: %s", own, p)
	}
	return ""
}

// textProblem compares a schema with the one it is registered as. Registries
// may write the same schema in another order, so canonical forms are compared;
// of a version that is not published only the namespace is known.
func textProblem(v packet.Version, text string) string {
	s, err := packet.ParseSchema(text)
	if err != nil {
		return err.Error()
	}
	if s.Version() != v {
		return fmt.Sprintf("the schema there is of version %s, not %s", s.Version(), v)
	}
	if !slices.Contains(packet.Versions(), v) {
		return ""
	}
	published, err := packet.Published(v)
	if err != nil {
		return err.Error()
	}
	if s.Canonical() != published.Canonical() {
		return fmt.Sprintf("the schema there is not the published %s (%d bytes of canonical form, not %d)",
			v, len(s.Canonical()), len(published.Canonical()))
	}
	return ""
}

// schemaByID fetches a schema as a client of the stream does. The registry
// sends the schema as a JSON string within JSON.
func (e *Env) schemaByID(ctx context.Context, id uint32) (*packet.Schema, error) {
	address := under(e.Endpoints.Registry.URL, "schemas", "ids", fmt.Sprint(id))
	var got struct {
		Schema string `json:"schema"`
	}
	if err := e.getJSON(ctx, address, &got); err != nil {
		return nil, err
	}
	s, err := packet.ParseSchema(got.Schema)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", address, err)
	}
	return s, nil
}

func unknownIDs() Check {
	return Check{
		Name:     "unknown-ids",
		Sentence: "unknown ids give 404",
		Needs:    []Need{NeedRegistry(), NeedAlertDatabase()},
		Run:      runUnknownIDs,
	}
}

func runUnknownIDs(ctx context.Context, e *Env) (Evidence, error) {
	rng := e.random("unknown-ids")
	// Alert ids in use are far from the end of 63 bits, schema ids are
	// major*100+minor or counted from 100001 on.
	alert := fmt.Sprint(9_000_000_000_000_000_000 + rng.Int64N(200_000_000_000_000_000))
	schema := fmt.Sprint(2_000_000_000 + rng.Int64N(100_000_000))
	ask := []struct {
		what, address string
		get           func(context.Context, string) (answer, error)
		// says whether the 404 comes from the service itself: a wrong path
		// behind an ingress gives 404 for everything.
		own func(body []byte) bool
	}{
		{"alert " + alert + " in the alert database", under(e.Endpoints.AlertDB.URL, "v1", "alerts", alert), e.fetch, hasDetail("alert not found")},
		{"schema " + schema + " in the alert database", under(e.Endpoints.AlertDB.URL, "v1", "schemas", schema), e.fetch, hasDetail("schema not found")},
		{"schema " + schema + " in the registry", under(e.Endpoints.Registry.URL, "schemas", "ids", schema), e.get, hasCode(40403)},
	}
	var problems []string
	for _, a := range ask {
		got, err := a.get(ctx, a.address)
		switch {
		case err != nil:
			problems = append(problems, fmt.Sprintf("%s: %v", a.what, err))
		case got.status != http.StatusNotFound:
			problems = append(problems, fmt.Sprintf("%s: %s", a.what, got))
		case !a.own(got.body):
			problems = append(problems, fmt.Sprintf("%s: %s, which is not the service's own answer", a.what, got))
		}
	}
	if len(problems) > 0 {
		return "", &Failure{
			Expected: "404 with the service's own answer for ids that nobody has",
			Seen:     strings.Join(problems, "; "), Next: "alertlab logs alert-database-server", Err: ctx.Err(),
		}
	}
	return evidence("404 for alert %s and schema %s in the alert database, and for schema %s in the registry", alert, schema, schema), nil
}

func hasDetail(want string) func([]byte) bool {
	return func(body []byte) bool {
		var got struct {
			Detail string `json:"detail"`
		}
		return json.Unmarshal(body, &got) == nil && got.Detail == want
	}
}

// hasCode looks for an error code of the Confluent Schema Registry API.
func hasCode(want int) func([]byte) bool {
	return func(body []byte) bool {
		var got struct {
			Code int `json:"error_code"`
		}
		return json.Unmarshal(body, &got) == nil && got.Code == want
	}
}
