package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ContentType is the media type of every answer.
const ContentType = "application/vnd.schemaregistry.v1+json"

// maxBody bounds a request. A Kafka record of default size takes one megabyte,
// and JSON in JSON is at most twice as long for quotes alone.
const maxBody = 8 << 20

// schemaAnswer is how a version of a subject is shown.
type schemaAnswer struct {
	Subject    string          `json:"subject,omitempty"`
	Version    int             `json:"version,omitempty"`
	ID         int             `json:"id,omitempty"`
	SchemaType string          `json:"schemaType,omitempty"`
	References []Reference     `json:"references,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	RuleSet    json.RawMessage `json:"ruleSet,omitempty"`
	Schema     string          `json:"schema"`
}

func show(v *schemaValue) schemaAnswer {
	answer := showContent(v)
	answer.Subject, answer.Version, answer.ID = v.Subject, v.Version, v.ID
	return answer
}

// showContent leaves out where a schema is registered.
func showContent(v *schemaValue) schemaAnswer {
	answer := schemaAnswer{SchemaType: v.SchemaType, References: v.References, Metadata: v.Metadata, RuleSet: v.RuleSet, Schema: v.Schema}
	if answer.SchemaType == schemaTypeAvro {
		// Clients that know only Avro expect no type.
		answer.SchemaType = ""
	}
	return answer
}

// subjectVersion is one place in which an id is used.
type subjectVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// text is an answer that is JSON already: the schema itself.
type text string

// endpoint answers one request with a value to be shown as JSON, or an error.
type endpoint func(*http.Request) (any, error)

// Handler serves the API. It may be used until Close, and by many servers.
func (r *Registry) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, methods := range r.routes() {
		mux.Handle(path, r.serve(methods))
	}
	mux.Handle("/", r.serve(nil))
	return mux
}

// routes is the whole API.
func (r *Registry) routes() map[string]map[string]endpoint {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return map[string]map[string]endpoint{
		"/{$}":      {get: r.getRoot},
		"/contexts": {get: r.getContexts},

		"/subjects":                                           {get: r.getSubjects},
		"/subjects/{subject}":                                 {post: r.postLookup, del: r.led(r.delSubject)},
		"/subjects/{subject}/versions":                        {get: r.getVersions, post: r.led(r.postVersion)},
		"/subjects/{subject}/versions/{version}":              {get: r.getVersion, del: r.led(r.delVersion)},
		"/subjects/{subject}/versions/{version}/schema":       {get: r.getVersionText},
		"/subjects/{subject}/versions/{version}/referencedby": {get: r.getReferrers},

		"/schemas":                   {get: r.getSchemas},
		"/schemas/types":             {get: r.getTypes},
		"/schemas/ids/{id}":          {get: r.getSchema},
		"/schemas/ids/{id}/schema":   {get: r.getSchemaText},
		"/schemas/ids/{id}/subjects": {get: r.getSchemaSubjects},
		"/schemas/ids/{id}/versions": {get: r.getSchemaVersions},

		"/compatibility/subjects/{subject}/versions":           {post: r.postCompatibility},
		"/compatibility/subjects/{subject}/versions/{version}": {post: r.postCompatibility},

		"/config":           {get: r.getConfig, put: r.led(r.putConfig), del: r.led(r.delConfig)},
		"/config/{subject}": {get: r.getConfig, put: r.led(r.putConfig), del: r.led(r.delConfig)},
		"/mode":             {get: r.getMode, put: r.led(r.putMode), del: r.led(r.delMode)},
		"/mode/{subject}":   {get: r.getMode, put: r.led(r.putMode), del: r.led(r.delMode)},
	}
}

// serve dispatches by method, so that everything, a wrong path or method too, is
// answered in the registry's form.
func (r *Registry) serve(methods map[string]endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		method := req.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		run, ok := methods[method]
		if !ok {
			status := http.StatusNotFound
			if methods != nil {
				status = http.StatusMethodNotAllowed
				for allowed := range methods {
					w.Header().Add("Allow", allowed)
				}
			}
			answer(w, status, errorBody{Code: status, Message: "HTTP " + strconv.Itoa(status) + " " + http.StatusText(status)})
			return
		}
		req.Body = http.MaxBytesReader(w, req.Body, maxBody)
		value, err := run(req)
		if from, ok := value.(passed); ok && err == nil {
			answer(w, from.status, text(from.body))
			return
		}
		if err == nil {
			answer(w, http.StatusOK, value)
			return
		}
		var known *apiError
		if !errors.As(err, &known) {
			r.cfg.Log.Error("schema registry failed a request", "method", req.Method, "path", req.URL.Path, "error", err)
			known = fail(http.StatusInternalServerError, "%v", err)
		}
		answer(w, known.Status, errorBody{Code: known.Code, Message: known.Message})
	})
}

// errorBody is the registry's error form.
type errorBody struct {
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

func answer(w http.ResponseWriter, status int, value any) {
	var body []byte
	if raw, ok := value.(text); ok {
		body = []byte(raw)
	} else if encoded, err := encodeJSON(value); err == nil {
		body = encoded
	} else {
		status, body = http.StatusInternalServerError, []byte(`{"error_code":500,"message":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; nobody else wants to know
}

func readBody(req *http.Request) ([]byte, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, fail(codeSchemaTooLarge, "the request is larger than %d bytes", tooLarge.Limit)
		}
		return nil, fail(http.StatusBadRequest, "the request cannot be read: %v", err)
	}
	return body, nil
}

// decode reads a request's JSON. Fields that the registry does not know are
// ignored, as Confluent's ignores them.
func decode(req *http.Request, into any) error {
	body, err := readBody(req)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fail(http.StatusBadRequest, "the request is not the JSON expected here: %v", err)
	}
	return nil
}

// flag reads a boolean query parameter; anything but true is false.
func flag(req *http.Request, name string) bool {
	return strings.EqualFold(req.URL.Query().Get(name), "true")
}

// page cuts a list to the query's offset and limit; a limit below zero is none.
func page[T any](req *http.Request, all []T) []T {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(req.URL.Query().Get(name)); err == nil {
			return n
		}
		return otherwise
	}
	offset := min(max(number("offset", 0), 0), len(all))
	all = all[offset:]
	if limit := number("limit", -1); limit >= 0 && limit < len(all) {
		all = all[:limit]
	}
	return all
}

// prefix gives the query's subject prefix. Confluent's own default stands for
// every subject of every context, and there is one context here.
func prefix(req *http.Request) string {
	return strings.TrimPrefix(req.URL.Query().Get("subjectPrefix"), ":*:")
}

func pathVersion(req *http.Request) (int, error) {
	value := strings.TrimSpace(req.PathValue("version"))
	if strings.EqualFold(value, "latest") {
		return latestVersion, nil
	}
	version, err := strconv.Atoi(value)
	if err != nil || version > math.MaxInt32 || version < 1 && version != latestVersion {
		return 0, fail(codeInvalidVersion, "invalid version %q: it must be a number from 1 to %d, or latest", value, math.MaxInt32)
	}
	return version, nil
}

func (r *Registry) getRoot(*http.Request) (any, error) { return struct{}{}, nil }

func (r *Registry) getContexts(*http.Request) (any, error) { return []string{"."}, nil }

func (r *Registry) getTypes(*http.Request) (any, error) { return []string{schemaTypeAvro}, nil }

func (r *Registry) getSubjects(req *http.Request) (any, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !flag(req, "deletedOnly") {
		return page(req, r.state.names(prefix(req), flag(req, "deleted"))), nil
	}
	names := []string{}
	for _, name := range r.state.names(prefix(req), true) {
		if !r.state.has(name, false) {
			names = append(names, name)
		}
	}
	return page(req, names), nil
}

// getSchemas lists every version of every subject with its text.
func (r *Registry) getSchemas(req *http.Request) (any, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	deleted := flag(req, "deleted")
	answers := []schemaAnswer{}
	for _, name := range r.state.names(prefix(req), deleted) {
		versions := r.state.versions(name, deleted)
		if flag(req, "latestOnly") {
			versions = versions[len(versions)-1:]
		}
		for _, v := range versions {
			answers = append(answers, show(v))
		}
	}
	return page(req, answers), nil
}

func (r *Registry) getVersions(req *http.Request) (any, error) {
	subject, only := req.PathValue("subject"), flag(req, "deletedOnly")
	numbers := []int{}
	for _, v := range r.subjectVersions(subject, only || flag(req, "deleted")) {
		if !only || v.Deleted {
			numbers = append(numbers, v.Version)
		}
	}
	if len(numbers) == 0 {
		return nil, subjectNotFound(subject)
	}
	return page(req, numbers), nil
}

func (r *Registry) postVersion(req *http.Request) (any, error) {
	var q schemaRequest
	if err := decode(req, &q); err != nil {
		return nil, err
	}
	v, err := r.register(req.PathValue("subject"), q)
	if err != nil {
		return nil, err
	}
	return struct {
		ID      int `json:"id"`
		Version int `json:"version"`
	}{v.ID, v.Version}, nil
}

func (r *Registry) postLookup(req *http.Request) (any, error) {
	var q schemaRequest
	if err := decode(req, &q); err != nil {
		return nil, err
	}
	v, err := r.lookup(req.PathValue("subject"), q, flag(req, "deleted"))
	if err != nil {
		return nil, err
	}
	return show(v), nil
}

func (r *Registry) delSubject(req *http.Request) (any, error) {
	return r.deleteSubject(req.PathValue("subject"), flag(req, "permanent"))
}

// version finds the version that the path names.
func (r *Registry) version(req *http.Request, deleted bool) (*schemaValue, error) {
	number, err := pathVersion(req)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.version(req.PathValue("subject"), number, deleted)
}

func (r *Registry) getVersion(req *http.Request) (any, error) {
	v, err := r.version(req, flag(req, "deleted"))
	if err != nil {
		return nil, err
	}
	return show(v), nil
}

func (r *Registry) getVersionText(req *http.Request) (any, error) {
	v, err := r.version(req, flag(req, "deleted"))
	if err != nil {
		return nil, err
	}
	return text(v.Schema), nil
}

func (r *Registry) getReferrers(req *http.Request) (any, error) {
	v, err := r.version(req, true)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	ids := []int{}
	for _, referrer := range r.state.referrers(v.Subject, v.Version, flag(req, "deleted")) {
		ids = append(ids, referrer.ID)
	}
	return ids, nil
}

func (r *Registry) delVersion(req *http.Request) (any, error) {
	number, err := pathVersion(req)
	if err != nil {
		return nil, err
	}
	return r.deleteVersion(req.PathValue("subject"), number, flag(req, "permanent"))
}

// holdersOf gives the versions that have the path's id, soft-deleted ones too: a
// message that was written with an id must be readable afterwards. The subject
// of the query, if any, comes first, since metadata differ between subjects.
func (r *Registry) holdersOf(req *http.Request) ([]*schemaValue, error) {
	id, err := strconv.Atoi(req.PathValue("id"))
	if err != nil {
		return nil, fail(http.StatusNotFound, "invalid id %q: it must be a number", req.PathValue("id"))
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	held := r.state.ids[id]
	if len(held) == 0 {
		return nil, schemaNotFound(id)
	}
	subject := req.URL.Query().Get("subject")
	var first, rest []*schemaValue
	for _, v := range held {
		if subject != "" && v.Subject == subject {
			first = append(first, v)
		} else {
			rest = append(rest, v)
		}
	}
	return append(first, rest...), nil
}

func (r *Registry) getSchema(req *http.Request) (any, error) {
	held, err := r.holdersOf(req)
	if err != nil {
		return nil, err
	}
	return showContent(held[0]), nil
}

func (r *Registry) getSchemaText(req *http.Request) (any, error) {
	held, err := r.holdersOf(req)
	if err != nil {
		return nil, err
	}
	return text(held[0].Schema), nil
}

func (r *Registry) getSchemaSubjects(req *http.Request) (any, error) {
	places, err := r.places(req)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for i, place := range places {
		if i == 0 || place.Subject != places[i-1].Subject {
			names = append(names, place.Subject)
		}
	}
	return page(req, names), nil
}

func (r *Registry) getSchemaVersions(req *http.Request) (any, error) {
	places, err := r.places(req)
	if err != nil {
		return nil, err
	}
	return page(req, places), nil
}

// places lists where the path's id is used, in order of subjects.
func (r *Registry) places(req *http.Request) ([]subjectVersion, error) {
	held, err := r.holdersOf(req)
	if err != nil {
		return nil, err
	}
	deleted, subject := flag(req, "deleted"), req.URL.Query().Get("subject")
	places := []subjectVersion{}
	for _, v := range held {
		if (deleted || !v.Deleted) && (subject == "" || subject == v.Subject) {
			places = append(places, subjectVersion{Subject: v.Subject, Version: v.Version})
		}
	}
	slices.SortFunc(places, func(a, b subjectVersion) int {
		return cmp.Or(strings.Compare(a.Subject, b.Subject), cmp.Compare(a.Version, b.Version))
	})
	return places, nil
}

func (r *Registry) postCompatibility(req *http.Request) (any, error) {
	version := 0
	if req.PathValue("version") != "" {
		var err error
		if version, err = pathVersion(req); err != nil {
			return nil, err
		}
	}
	var q schemaRequest
	if err := decode(req, &q); err != nil {
		return nil, err
	}
	reasons, err := r.compatibility(req.PathValue("subject"), version, q)
	if err != nil {
		return nil, err
	}
	verdict := struct {
		Compatible bool     `json:"is_compatible"`
		Messages   []string `json:"messages,omitempty"`
	}{Compatible: len(reasons) == 0}
	if flag(req, "verbose") {
		verdict.Messages = reasons
	}
	return verdict, nil
}

// Confluent names the level differently in what it takes and what it gives.
type levelRequest struct {
	Level string `json:"compatibility"`
}

type levelAnswer struct {
	Level string `json:"compatibilityLevel"`
}

func (r *Registry) getConfig(req *http.Request) (any, error) {
	subject := req.PathValue("subject")
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, ok := r.state.levels[subject]; !ok && subject != "" && !flag(req, "defaultToGlobal") {
		return nil, fail(codeSubjectCompatibility, "subject %q has no compatibility level of its own", subject)
	}
	return levelAnswer{r.state.level(subject, r.cfg.Compatibility)}, nil
}

func (r *Registry) putConfig(req *http.Request) (any, error) {
	var q levelRequest
	if err := decode(req, &q); err != nil {
		return nil, err
	}
	level, err := parseCompatibility(q.Level)
	if err != nil {
		return nil, err
	}
	return levelRequest{level}, r.setLevel(req.PathValue("subject"), level)
}

func (r *Registry) delConfig(req *http.Request) (any, error) {
	level, err := r.deleteLevel(req.PathValue("subject"))
	return levelAnswer{level}, err
}

type modeBody struct {
	Mode Mode `json:"mode"`
}

func (r *Registry) getMode(req *http.Request) (any, error) {
	subject := req.PathValue("subject")
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, ok := r.state.modes[subject]; !ok && subject != "" && !flag(req, "defaultToGlobal") {
		return nil, fail(codeSubjectMode, "subject %q has no mode of its own", subject)
	}
	return modeBody{r.state.mode(subject)}, nil
}

func (r *Registry) putMode(req *http.Request) (any, error) {
	var q modeBody
	if err := decode(req, &q); err != nil {
		return nil, err
	}
	mode := Mode(strings.ToUpper(string(q.Mode)))
	switch mode {
	case ModeReadWrite, ModeReadOnly, ModeImport:
	default:
		return nil, fail(codeInvalidMode, "invalid mode %q: valid are %s, %s and %s", q.Mode, ModeReadWrite, ModeReadOnly, ModeImport)
	}
	return modeBody{mode}, r.setMode(req.PathValue("subject"), mode, flag(req, "force"))
}

func (r *Registry) delMode(req *http.Request) (any, error) {
	mode, err := r.deleteMode(req.PathValue("subject"))
	return modeBody{mode}, err
}
