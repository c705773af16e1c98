package support

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Mark stands where a secret stood.
const Mark = "[secret]"

// Redactor removes secrets from text: each as it is, and as it is written in JSON,
// in a URL, in hexadecimal and in base64.
type Redactor struct{ forms [][]byte }

// NewRedactor makes a redactor of secrets. Empty ones are left out.
func NewRedactor(secrets []string) *Redactor {
	var forms []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		quoted, _ := json.Marshal(s) // a string always has a form
		forms = append(forms, s, strings.Trim(string(quoted), `"`), url.QueryEscape(s), url.PathEscape(s),
			hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))))
		forms = append(forms, inBase64(s)...)
	}
	// The longest first, or what is left of a secret that holds another one would
	// still stand there.
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	r := &Redactor{}
	for _, f := range slices.Compact(forms) {
		if f != "" {
			r.forms = append(r.forms, []byte(f))
		}
	}
	return r
}

// inBase64 gives what a secret looks like in base64: three forms, by its place in
// what was encoded (a password behind a user name), without the characters at the
// ends that depend on its neighbours.
func inBase64(s string) []string {
	var out []string
	for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			text := alphabet.EncodeToString(append(make([]byte, shift), s...))
			begin := (shift*8 + 5) / 6
			end := (shift + len(s)) * 8 / 6
			// Less than four characters are in any text.
			if end-begin >= 4 {
				out = append(out, text[begin:end])
			}
		}
	}
	return out
}

// Bytes removes the secrets from text and says at how many places they stood.
func (r *Redactor) Bytes(text []byte) ([]byte, int) {
	removed := 0
	for _, form := range r.forms {
		if n := bytes.Count(text, form); n > 0 {
			text = bytes.ReplaceAll(text, form, []byte(Mark))
			removed += n
		}
	}
	return text, removed
}

// Text is Bytes for a string.
func (r *Redactor) Text(text string) (string, int) {
	b, n := r.Bytes([]byte(text))
	return string(b), n
}
