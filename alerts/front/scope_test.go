package front_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/front"
)

func access(now *time.Time) front.Access {
	return front.Access{Scope: "read:alertdb", Realm: "lab", Open: []string{"/v1/health"}, Now: func() time.Time { return *now },
		Tokens: []front.Token{
			{Name: "good", Secret: "gt-good", Scopes: []string{"exec:x", "read:alertdb"}},
			{Name: "other", Secret: "gt-other", Scopes: []string{"read:tap"}},
			{Name: "short", Secret: "gt-short", Scopes: []string{"read:alertdb"}, Expires: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
			{Name: "empty", Scopes: []string{"read:alertdb"}},
		}}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestRequireScope(t *testing.T) {
	t.Parallel()
	before := time.Date(2026, 1, 2, 3, 4, 4, 0, time.UTC)
	after := before.Add(time.Second)
	const (
		none    = `Bearer realm="lab"`
		unknown = `Bearer realm="lab", error="invalid_token", error_description="the token is not known"`
		expired = `Bearer realm="lab", error="invalid_token", error_description="the token expired at 2026-01-02T03:04:05Z"`
		lacks   = `Bearer realm="lab", error="insufficient_scope", error_description="the token lacks the scope read:alertdb", scope="read:alertdb"`
	)
	for _, test := range []struct {
		name      string
		method    string // GET when empty
		path      string // /v1/alerts/1 when empty
		header    []string
		now       time.Time // before when zero
		status    int
		challenge string
	}{
		{name: "none", status: 401, challenge: none},
		{name: "an empty header", header: []string{""}, status: 401, challenge: none},
		{name: "bearer", header: []string{"Bearer gt-good"}, status: 200},
		{name: "the scheme in any case", header: []string{"bEARER  gt-good "}, status: 200},
		{name: "another method", method: "DELETE", header: []string{"Bearer gt-good"}, status: 200},
		{name: "token as user", header: []string{basic("gt-good", "x-oauth-basic")}, status: 200},
		{name: "token as user alone", header: []string{basic("gt-good", "")}, status: 200},
		{name: "token as password", header: []string{basic("x-oauth-basic", "gt-good")}, status: 200},
		{name: "token as anybody's password", header: []string{basic("antares", "gt-good")}, status: 200},
		{name: "two tokens", header: []string{basic("gt-good", "gt-other")}, status: 400},
		{name: "unknown in basic", header: []string{basic("gt-bad", "x-oauth-basic")}, status: 401, challenge: unknown},
		{name: "no token in basic", header: []string{basic("antares", "password")}, status: 401, challenge: none},
		{name: "unknown", header: []string{"Bearer gt-goo"}, status: 401, challenge: unknown},
		{name: "a name is no secret", header: []string{"Bearer good"}, status: 401, challenge: unknown},
		{name: "before it expires", header: []string{"Bearer gt-short"}, status: 200},
		{name: "expired", header: []string{"Bearer gt-short"}, now: after, status: 401, challenge: expired},
		{name: "without the scope", header: []string{"Bearer gt-other"}, status: 403, challenge: lacks},
		{name: "without the scope, HEAD", method: "HEAD", header: []string{"Bearer gt-other"}, status: 403, challenge: lacks},
		{name: "another scheme", header: []string{"Digest username=x"}, status: 400},
		{name: "no credentials", header: []string{"Bearer"}, status: 400},
		{name: "basic that is none", header: []string{"Basic gt-good"}, status: 400},
		{name: "two headers", header: []string{"Bearer gt-good", "Bearer gt-other"}, status: 400},
		{name: "health", path: "/v1/health", status: 200},
		{name: "health with an unknown token", path: "/v1/health", header: []string{"Bearer x"}, status: 200},
		{name: "below health", path: "/v1/health/", status: 401, challenge: none},
		{name: "any other path", path: "/nothing", status: 401, challenge: none},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := before
			if !test.now.IsZero() {
				now = test.now
			}
			reached := false
			h := front.RequireScope(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }), access(&now))
			method, path := test.method, test.path
			if method == "" {
				method = "GET"
			}
			if path == "" {
				path = "/v1/alerts/1"
			}
			req := httptest.NewRequest(method, path, nil)
			for _, line := range test.header {
				req.Header.Add("Authorization", line)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code != test.status || reached != (test.status == 200) {
				t.Fatalf("got %d %s, next was reached: %t", w.Code, w.Body, reached)
			}
			if test.status == 200 {
				return
			}
			challenge := w.Header().Get("WWW-Authenticate")
			if test.status == 400 {
				if !strings.Contains(challenge, `error="invalid_request"`) {
					t.Errorf("got %s", challenge)
				}
			} else if challenge != test.challenge {
				t.Errorf("got  %s\nwant %s", challenge, test.challenge)
			}
			var body struct{ Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Detail == "" {
				t.Errorf("body %s: %v", w.Body, err)
			}
			for _, line := range test.header {
				if secret := strings.TrimPrefix(line, "Bearer "); len(secret) > 6 && strings.Contains(w.Body.String()+challenge, secret) {
					t.Errorf("the token stands in the answer: %s %s", challenge, w.Body)
				}
			}
		})
	}
}

func TestTokenHidesItsSecret(t *testing.T) {
	t.Parallel()
	token := front.Token{Name: "antares", Secret: "hunter2"}
	if text := fmt.Sprintf("%v %+v %#v %s %v", token, token, token, token, []front.Token{token}); strings.Contains(text, "hunter") {
		t.Error(text)
	}
}

// FuzzAuthorization holds the front to one sentence: nothing but a secret of a token
// with the scope gets through.
func FuzzAuthorization(f *testing.F) {
	for _, line := range []string{"", "Bearer gt-good", "Bearer gt-other", basic("gt-good", ""), "Basic \x00", "bearer", " Bearer  gt-short\t"} {
		f.Add(line)
	}
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, line string) {
		reached := false
		h := front.RequireScope(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }), access(&now))
		req := httptest.NewRequest("GET", "/v1/alerts/1", nil)
		req.Header["Authorization"] = []string{line}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if !reached {
			if w.Code < 400 || w.Code == 404 || w.Header().Get("WWW-Authenticate") == "" {
				t.Fatalf("%q: %d", line, w.Code)
			}
			return
		}
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		decoded, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if strings.TrimSpace(rest) != "gt-good" && !strings.Contains(string(decoded), "gt-good") {
			t.Fatalf("%q got through", line)
		}
	})
}
