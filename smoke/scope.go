package smoke

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func alertDatabaseScope() Check {
	return Check{
		Name:     "alert-database-scope",
		Sentence: "the alert database refuses who has no token, and who has one without the scope",
		Needs:    []Need{NeedAlertDatabase(), NeedScope()},
		Run:      runAlertDatabaseScope,
	}
}

// NeedScope is met when the alert database asks for a token with a scope.
func NeedScope() Need {
	return Need{Name: "scope", Missing: func(e *Env) string {
		if e.Endpoints.AlertDB.Scope == "" {
			return "the profile asks for no token with a scope"
		}
		return ""
	}}
}

func runAlertDatabaseScope(ctx context.Context, e *Env) (Evidence, error) {
	db := e.Endpoints.AlertDB
	// Nobody has it: who gets through gets 404.
	alert := under(db.URL, "v1", "alerts", strconv.FormatInt(9_000_000_000_000_000_000+e.random("alert-database-scope").Int64N(200_000_000_000_000_000), 10))
	ask := []struct {
		who, address, token string
		want                int
		challenge           string // what WWW-Authenticate must say
	}{
		{"without a token", alert, "", http.StatusUnauthorized, "Bearer"},
		{"with an unknown token", alert, "gt-0000000000000000000000.0000000000000000000000", http.StatusUnauthorized, `error="invalid_token"`},
		{"health without a token", under(db.URL, "v1", "health"), "", http.StatusOK, ""},
	}
	proven := []string{"no token and an unknown one refused (401)"}
	if token := e.token(); token != "" {
		ask = append(ask, ask[0])
		last := &ask[len(ask)-1]
		last.who, last.token, last.want, last.challenge = "with a token that has the scope", token, http.StatusNotFound, ""
		proven = append(proven, "one with "+db.Scope+" let through")
	}
	now := time.Now()
	for _, t := range db.Tokens {
		secret := e.Credentials.Tokens[t.Name]
		if secret == "" || db.Opens(t, now) || !t.Expires.IsZero() {
			continue
		}
		ask = append(ask, ask[0])
		last := &ask[len(ask)-1]
		last.who, last.token, last.want, last.challenge = "with the token "+t.Name+", which lacks the scope", secret, http.StatusForbidden, `error="insufficient_scope"`
		proven = append(proven, fmt.Sprintf("%s, with %s, refused (403)", t.Name, strings.Join(t.Scopes, " ")))
		break
	}
	var problems []string
	for _, a := range ask {
		got, err := e.getAs(ctx, a.address, a.token)
		switch {
		case err != nil:
			problems = append(problems, fmt.Sprintf("%s: %v", a.who, err))
		case got.status != a.want:
			problems = append(problems, fmt.Sprintf("%s: %s, not %d", a.who, got, a.want))
		case !strings.Contains(got.challenge, a.challenge):
			problems = append(problems, fmt.Sprintf("%s: WWW-Authenticate is %q", a.who, got.challenge))
		}
	}
	if len(problems) > 0 {
		return "", &Failure{
			Expected: "an alert to be fetched by who has a token with the scope " + db.Scope + ", and by nobody else",
			Seen:     strings.Join(problems, "; "), Next: "alertlab token list", Err: ctx.Err(),
		}
	}
	return evidence("%s", strings.Join(proven, "; ")), nil
}
