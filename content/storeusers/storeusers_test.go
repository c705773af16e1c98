package storeusers_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/alertlab/alertlab/content/storeusers"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

// store is MinIO as far as users go; that its answers are MinIO's is seen where the real
// one runs (TestStack of the rig).
type store struct {
	mu       sync.Mutex
	users    map[string]map[string]any
	policies map[string]json.RawMessage
	refuses  string // the code for whoever lists a bucket
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op, ok := strings.CutPrefix(r.URL.Path, "/minio/admin/v3/")
	if !ok {
		if s.refuses != "" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", s.refuses)
			return
		}
		io.WriteString(w, "<ListBucketResult></ListBucketResult>")
		return
	}
	q := r.URL.Query()
	missing := func(code string) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"Code":%q}`, code)
	}
	name := q.Get("accessKey") + q.Get("name")
	switch op {
	case "user-info":
		if s.users[name] == nil {
			missing("XMinioAdminNoSuchUser")
			return
		}
		json.NewEncoder(w).Encode(s.users[name])
	case "info-canned-policy":
		if s.policies[name] == nil {
			missing("XMinioAdminNoSuchPolicy")
			return
		}
		w.Write(s.policies[name])
	case "add-user":
		if s.users[name] == nil {
			s.users[name] = map[string]any{}
		}
		s.users[name]["status"] = "enabled"
	case "add-canned-policy":
		s.policies[name], _ = io.ReadAll(r.Body)
	case "set-user-or-group-policy":
		s.users[q.Get("userOrGroup")]["policyName"] = q.Get("policyName")
	case "remove-user":
		delete(s.users, name)
	case "remove-canned-policy":
		delete(s.policies, name)
	default:
		http.NotFound(w, r)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	s := &store{users: map[string]map[string]any{"somebody": {"status": "enabled"}}, policies: map[string]json.RawMessage{"readwrite": json.RawMessage(`{}`)}}
	server := httptest.NewServer(s)
	defer server.Close()
	p, err := profiles.Load("idfint")
	if err != nil {
		t.Fatal(err)
	}
	keys := &secrets.Store{}
	part, want := storeusers.New(keys), storeusers.Want(p)
	input, err := plan.Resolve(want.Input, map[string]map[string]string{"object-store": {"url": server.URL, "region": "us-east-1"}})
	if err != nil {
		t.Fatal(err)
	}
	creds := endpoints.Credentials{ObjectStore: endpoints.Keys{AccessKey: "owner", SecretKey: "owners-key"}}
	keys.Set(creds)
	ctx := t.Context()
	if _, err := part.Apply(ctx, plan.Order{Input: input}); err == nil || !strings.Contains(err.Error(), "no password is kept for the account "+storeusers.Writer) {
		t.Errorf("without keys: %v", err)
	}
	creds.Accounts = map[string]string{storeusers.Writer: "writers-key", storeusers.Reader: "readers-key"}
	keys.Set(creds)
	apply := func() {
		t.Helper()
		if _, err := part.Apply(ctx, plan.Order{Input: input, LastInput: input}); err != nil {
			t.Fatal(err)
		}
	}
	drift := func() string {
		t.Helper()
		o, err := part.Observe(ctx, plan.Look{Want: want, Last: input})
		if err != nil || o.State != plan.Present {
			t.Fatalf("%+v, %v", o, err)
		}
		return o.Drift
	}
	apply()
	apply()
	if got := drift(); got != "" {
		t.Fatal(got)
	}
	packets, schemas := p.AlertDatabase.AlertBucket, p.AlertDatabase.SchemaBucket
	writes := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:ListBucket"],"Resource":["arn:aws:s3:::%[2]s"]},`+
		`{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%[2]s/*"]},{"Effect":"Allow","Action":["s3:PutObject"],"Resource":["arn:aws:s3:::%[1]s/*","arn:aws:s3:::%[2]s/*"]}]}`, packets, schemas)
	if got := string(s.policies[storeusers.Writer]); got != writes {
		t.Errorf("the writer may %s, want %s", got, writes)
	}
	if got := string(s.policies[storeusers.Reader]); strings.Contains(got, "Put") || strings.Contains(got, "Delete") || !strings.Contains(got, packets) {
		t.Errorf("the reader may %s", got)
	}

	for _, test := range []struct {
		what   string
		change func()
		drift  string
	}{
		{"a user is gone", func() { delete(s.users, storeusers.Reader) }, "user alert-database-reader of the object store is missing"},
		{"a user is disabled", func() { s.users[storeusers.Writer]["status"] = "disabled" }, "user alert-database-writer of the object store is disabled"},
		{"a user got more", func() { s.users[storeusers.Reader]["policyName"] = "readwrite" }, "user alert-database-reader of the object store has other policies than its own"},
		{"a user is in a group", func() { s.users[storeusers.Writer]["memberOf"] = []string{"admins"} }, "user alert-database-writer of the object store has other policies than its own"},
		{"a policy is another", func() {
			s.policies[storeusers.Writer] = json.RawMessage(strings.Replace(writes, "s3:PutObject", "s3:*", 1))
		}, "the policy of user alert-database-writer of the object store allows something else"},
		{"a policy is gone", func() { delete(s.policies, storeusers.Reader) }, "the policy of user alert-database-reader of the object store is missing"},
	} {
		test.change()
		if got := drift(); got != test.drift {
			t.Errorf("%s: %q", test.what, got)
		}
		apply()
		if got := drift(); got != "" {
			t.Errorf("%s, healed: %q", test.what, got)
		}
	}
	s.refuses = "SignatureDoesNotMatch"
	if got := drift(); !strings.Contains(got, "the key of user alert-database-writer does not open the object store: SignatureDoesNotMatch") {
		t.Errorf("another key: %q", got)
	}
	if got := drift(); strings.Contains(got, "writers-key") {
		t.Errorf("a key is told: %q", got)
	}

	// What is not wanted goes, and what is somebody else's stays.
	if _, err := part.Apply(ctx, plan.Order{Input: []byte(fmt.Sprintf(`{"url":%q,"region":"us-east-1"}`, server.URL)), LastInput: input}); err != nil {
		t.Fatal(err)
	}
	if len(s.users) != 1 || len(s.policies) != 1 {
		t.Errorf("left: %v %s", s.users, s.policies)
	}
}
