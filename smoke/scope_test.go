package smoke

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/front"
	"github.com/alertlab/alertlab/endpoints"
)

// scoped puts an alert database on the card that asks for a scope, behind what
// wrong makes of a right front.
func scoped(t *testing.T, wrong func(http.Handler) http.Handler) Options {
	t.Helper()
	db := newFakeAlertDB()
	all := http.NewServeMux()
	all.HandleFunc("/v1/health", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("OK")) })
	all.Handle("/", db)
	o := withRegistry(card(), serve(t, newFakeRegistry()))
	o.Endpoints.AlertDB = endpoints.AlertDB{Scope: "read:alertdb", Tokens: []endpoints.Token{
		{Name: "old", Scopes: []string{"read:alertdb"}, Expires: time.Now().Add(-time.Hour)},
		{Name: "good", Scopes: []string{"read:alertdb"}},
		{Name: "poor", Scopes: []string{"user:token"}},
	}}
	o.Credentials.Tokens = map[string]string{"old": "gt-secret-0", "good": "gt-secret-1", "poor": "gt-secret-2"}
	access := front.Access{Scope: "read:alertdb", Realm: "test", Open: []string{"/v1/health"}}
	for _, token := range o.Endpoints.AlertDB.Tokens {
		access.Tokens = append(access.Tokens, front.Token{Name: token.Name, Secret: o.Credentials.Tokens[token.Name], Scopes: token.Scopes, Expires: token.Expires})
	}
	o.Endpoints.AlertDB.URL = serve(t, wrong(front.RequireScope(all, access)))
	return o
}

func right(h http.Handler) http.Handler { return h }

func TestScope(t *testing.T) {
	t.Parallel()
	const name = "alert-database-scope"
	o := scoped(t, right)
	wantPassed(t, check(t, o, name), "refused (401)", "one with read:alertdb let through", "poor, with user:token, refused (403)")
	// The other checks come with the token.
	wantPassed(t, check(t, o, "unknown-ids"))

	// Without any token at hand it proves less, and says so.
	none := o
	none.Credentials.Tokens = nil
	if r := check(t, none, name); r.Status != Passed || strings.Contains(string(r.Evidence), "403") {
		t.Errorf("%s: %s %s", r.Status, r.Reason, r.Evidence)
	}
	wantFailed(t, check(t, none, "unknown-ids"), "401 Unauthorized")

	if r := check(t, withRegistry(card(), serve(t, newFakeRegistry())), name); r.Status != Skipped {
		t.Errorf("without an alert database: %s", r.Status)
	}
	free := o
	free.Endpoints.AlertDB.Scope = ""
	if r := check(t, free, name); r.Status != Skipped || r.Reason != "the profile asks for no token with a scope" {
		t.Errorf("without a scope: %s %s", r.Status, r.Reason)
	}

	// Whatever is wrong with a front is found.
	strip := func(header string) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del(header)
				h.ServeHTTP(w, r)
			})
		}
	}
	wantFailed(t, check(t, scoped(t, strip("Authorization")), name), "with a token that has the scope: 401 Unauthorized", "poor", "not 403")
	open := func(http.Handler) http.Handler { return newFakeAlertDB() }
	wantFailed(t, check(t, scoped(t, open), name), "without a token: 404", "with an unknown token: 404", "poor, which lacks the scope: 404")
	shut := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = "/elsewhere"
			h.ServeHTTP(w, r)
		})
	}
	wantFailed(t, check(t, scoped(t, shut), name), "health without a token: 401")
	mute := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&withoutChallenge{w}, r)
		})
	}
	wantFailed(t, check(t, scoped(t, mute), name), `WWW-Authenticate is ""`)
}

type withoutChallenge struct{ http.ResponseWriter }

func (w *withoutChallenge) WriteHeader(status int) {
	w.Header().Del("WWW-Authenticate")
	w.ResponseWriter.WriteHeader(status)
}
