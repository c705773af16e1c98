package ingress_test

import (
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/lab/fault"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ingress.Choice{
		"nginx": {Kind: ingress.Nginx, Class: "nginx"}, "traefik": {Kind: ingress.Traefik, Class: "traefik"}, "none": {Kind: ingress.None},
		"class:web": {Kind: ingress.Theirs, Class: "web"}, "class:web-1.example.org": {Kind: ingress.Theirs, Class: "web-1.example.org"}, "class:nginx": {Kind: ingress.Theirs, Class: "nginx"},
	} {
		got, err := ingress.Parse(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v as %s, %v", text, got, got, err)
		}
	}
	for text, why := range map[string]string{
		"": "there is no ingress", "Nginx": `there is no ingress "Nginx"`, "web": "write nginx, traefik, none or class:NAME", "class": "there is no ingress",
		"class:": "is no name of an ingress class", "class:a b": "is no name", "class:-a": "is no name", "class:a..b": "is no name", "class:" + strings.Repeat("a", 254): "is no name",
	} {
		if got, err := ingress.Parse(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	// A lab that says nothing has what the full stack has.
	if got := ingress.Of(component.Lab{}); got.Kind != ingress.Nginx {
		t.Errorf("%+v", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range ingress.Words() {
		f.Add(text + "web")
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ingress.Parse(text); err == nil && c.String() != text {
			t.Errorf("%q is written %q", text, c)
		}
	})
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "192.0.2.7": "192.0.2.7:443", "192.0.2.7:443": "192.0.2.7:443", "192.0.2.7:8443": "192.0.2.7:8443", "web.example.org": "web.example.org:443",
		"web.example.org:30443": "web.example.org:30443", "2001:db8::7": "[2001:db8::7]:443", "[2001:db8::7]": "[2001:db8::7]:443", "[2001:db8::7]:8443": "[2001:db8::7]:8443",
	} {
		if got := ingress.Endpoint(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
		if err := ingress.CheckAddress(text); (err == nil) != (text != "") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"https://web", "web:0", "web:http", "web:70000", "a b", "Web", "192.0.2.7/24", ":443"} {
		if err := ingress.CheckAddress(text); fault.CodeOf(err) != fault.BadInput {
			t.Errorf("%q: %v", text, err)
		}
	}
}
