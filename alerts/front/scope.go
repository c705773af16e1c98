package front

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Token is a key that lets its bearer do what its scopes name.
type Token struct {
	Name   string
	Secret string
	Scopes []string
	// Expires is when it ends to be of use; zero is never.
	Expires time.Time
}

// String keeps the secret out of logs and error texts.
func (t Token) String() string { return "token " + t.Name }

// GoString keeps the secret out of %#v.
func (t Token) GoString() string { return t.String() }

// Access says who gets through RequireScope.
type Access struct {
	// Scope is what a token must have, e.g. read:alertdb.
	Scope string
	// Realm names the place in WWW-Authenticate (RFC 9110, 11.5).
	Realm  string
	Tokens []Token
	// Open are the paths that need no token, such as that of a liveness probe,
	// which asks the service itself and not its ingress.
	Open []string
	// Now is the clock; nil for the system's.
	Now func() time.Time
}

// RequireScope lets a request through to next when it carries a token that has the
// scope. It takes tokens as Gafaelfawr does, which stands before the alert database
// at the observatory's sites: as `Authorization: Bearer TOKEN` (RFC 6750), or by
// basic authentication as the user's name or password, the other half being anything,
// by custom x-oauth-basic, for clients that know nothing else.
//
// What is refused is answered as RFC 6750 has it, with WWW-Authenticate and the
// reason as JSON {"detail": …}: 401 without a token, and with one that is unknown or
// expired; 403 with one that lacks the scope; 400 when the header cannot be read.
func RequireScope(next http.Handler, a Access) http.Handler {
	if a.Now == nil {
		a.Now = time.Now
	}
	// Looked up by a digest, so that the time it takes tells nothing of a secret.
	known := make(map[[sha256.Size]byte]Token, len(a.Tokens))
	for _, t := range a.Tokens {
		if t.Secret != "" {
			known[sha256.Sum256([]byte(t.Secret))] = t
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(a.Open, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		secret, problem := bearer(r.Header)
		if problem != "" {
			a.deny(w, http.StatusBadRequest, "invalid_request", problem)
			return
		}
		if secret == "" {
			a.deny(w, http.StatusUnauthorized, "", "a token with the scope "+a.Scope+" is needed")
			return
		}
		token, ok := known[sha256.Sum256([]byte(secret))]
		switch {
		case !ok:
			a.deny(w, http.StatusUnauthorized, "invalid_token", "the token is not known")
		case !token.Expires.IsZero() && !a.Now().Before(token.Expires):
			a.deny(w, http.StatusUnauthorized, "invalid_token", "the token expired at "+token.Expires.UTC().Format(time.RFC3339))
		case !slices.Contains(token.Scopes, a.Scope):
			a.deny(w, http.StatusForbidden, "insufficient_scope", "the token lacks the scope "+a.Scope)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// TokenPrefix begins every token, as it does Gafaelfawr's: by it a token is told from
// the other half of basic authentication.
const TokenPrefix = "gt-"

// bearer finds the token in a request: "" when it carries none, a problem when what
// it carries cannot be read.
func bearer(h http.Header) (token, problem string) {
	lines := h.Values("Authorization")
	switch {
	case len(lines) == 0:
		return "", ""
	case len(lines) > 1:
		return "", "there is more than one Authorization header"
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(lines[0]), " ")
	rest = strings.TrimSpace(rest)
	if scheme != "" && rest == "" {
		return "", "the Authorization header holds no credentials"
	}
	switch strings.ToLower(scheme) {
	case "":
		return "", ""
	case "bearer":
		return rest, ""
	case "basic":
		text, err := base64.StdEncoding.DecodeString(rest)
		user, password, ok := strings.Cut(string(text), ":")
		if err != nil || !ok {
			return "", "the credentials of basic authentication are not those of a user"
		}
		switch first, second := strings.HasPrefix(user, TokenPrefix), strings.HasPrefix(password, TokenPrefix); {
		case first && second && user != password:
			return "", "basic authentication holds two tokens"
		case first:
			return user, ""
		case second:
			return password, ""
		}
		return "", ""
	}
	return "", "the authentication scheme is neither Bearer nor Basic"
}

func (a Access) deny(w http.ResponseWriter, status int, code, detail string) {
	challenge := "Bearer realm=" + strconv.Quote(a.Realm)
	if code != "" {
		challenge += `, error="` + code + `", error_description=` + strconv.Quote(detail)
	}
	if status == http.StatusForbidden {
		challenge += ", scope=" + strconv.Quote(a.Scope)
	}
	body, err := json.Marshal(map[string]string{"detail": detail})
	if err != nil {
		panic(err) // a text always marshals
	}
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; nobody else wants to know
}
