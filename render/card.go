package render

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/render/style"
)

// Command is a command line for the reader to type.
type Command struct {
	Line string // e.g. "alertlab smoke"
	Does string // e.g. "check that everything works"
}

// Card writes the connection card of a lab: where everything answers, who may
// log in, in what the lab differs from its profile, and what to type next.
// password is the command that prints a user's credentials, e.g.
// "alertlab env --user NAME". The card holds no secret.
func Card(w io.Writer, e endpoints.Endpoints, password string, next ...Command) error {
	c := card{lineWriter{w: w, Styles: style.New(w, os.Getenv)}}
	c.line(c.Heading.Render("Lab "+phrase.Line(e.Lab)) + c.Dim.Render(of(e)))

	c.kafka(e.Kafka)
	c.users(e.Users, password)

	if r := e.Registry; r.URL != "" {
		c.section("Schema registry",
			row{"url", r.URL, "read-only: GET and HEAD"},
			row{label: "subject", value: r.Subject},
			row{label: "schemas", value: versions(r.Versions)})
	}
	if s := e.Simulator; s.Topic != "" {
		c.section("Simulator",
			row{label: "topic", value: s.Topic},
			row{label: "a visit", value: fmt.Sprintf("%s every %s, schema %s", phrase.Count(s.Alerts, "alert"), span(s.Interval), s.Schema)},
			row{label: "reservoir", value: s.StaticTopic})
	}
	if a := e.AlertDB; a.URL != "" {
		rows := []row{{label: "url", value: a.URL + "/v1"}}
		if a.Scope != "" {
			rows = append(rows, row{"token", "with the scope " + a.Scope, "alertlab token add NAME"})
		}
		c.section("Alert database", rows...)
	}
	if o := e.ObjectStore; o.URL != "" {
		rows := []row{{"url", o.URL, "S3, path style"}, {label: "region", value: o.Region}}
		if o.AlertBucket == o.SchemaBucket {
			rows = append(rows, row{"bucket", o.AlertBucket, "alerts and schemas"})
		} else {
			rows = append(rows, row{"buckets", o.AlertBucket, "alerts"}, row{"", o.SchemaBucket, "schemas"})
		}
		c.section("Object store", rows...)
	}
	if a := e.ArgoCD; a.URL != "" {
		c.section("Argo CD",
			row{"url", a.URL, "alertlab open argocd"},
			row{label: "user", value: a.User},
			row{label: "ca", value: a.CAFile},
			row{label: "application", value: a.Application})
	}
	if i := e.Ingress; i.Address != "" {
		c.section("By host names, over TLS",
			row{"registry", i.RegistryURL, "read-only"},
			row{label: "alerts", value: i.AlertDBURL + "/v1"},
			row{label: "argo cd", value: i.ArgoCDURL},
			row{"at", i.Address, "alertlab hosts --install"},
			row{"ca", i.CAFile, "alertlab trust --install"})
	}
	if len(e.Concessions) > 0 {
		c.line("")
		c.line(c.Heading.Render("Other than in the profile"))
		for _, s := range e.Concessions {
			c.line("  " + c.Warn.Render("-") + " " + phrase.Line(s))
		}
	}
	if len(next) > 0 {
		c.next(next)
	}
	return c.err
}

// card writes sections of labelled rows.
type card struct{ lineWriter }

type row struct{ label, value, remark string }

// labels is the width of the longest label, "auto topics".
const labels = 11

// section writes a heading and the rows that have a value.
func (c *card) section(heading string, rows ...row) {
	c.line("")
	c.line(c.Heading.Render(heading))
	for _, r := range rows {
		value := phrase.Line(r.value)
		if value == "" {
			continue
		}
		if r.remark != "" {
			value += "  " + c.Dim.Render("("+r.remark+")")
		}
		c.line("  " + c.Dim.Render(pad(r.label, labels)) + "  " + value)
	}
}

func (c *card) kafka(k endpoints.Kafka) {
	rows := []row{{label: "bootstrap", value: k.Bootstrap}}
	for i, b := range k.Brokers {
		label := ""
		if i == 0 {
			label = "brokers"
		}
		rows = append(rows, row{label, b.Address, fmt.Sprintf("broker %d", b.ID)})
	}
	security := k.Security
	if k.Mechanism != "" {
		security += ", " + k.Mechanism
	}
	rows = append(rows, row{label: "security", value: security}, row{label: "ca", value: k.CAFile})
	auto := "off"
	if k.AutoCreateTopics {
		auto = "on"
	}
	c.section("Kafka", append(rows, row{label: "auto topics", value: auto})...)
}

func (c *card) users(users []endpoints.User, password string) {
	if len(users) == 0 {
		return
	}
	c.line("")
	c.line(c.Heading.Render("Users") + c.Dim.Render("  password: "+phrase.Line(password)))
	names, roles := 0, 0
	for _, u := range users {
		names, roles = max(names, ansi.StringWidth(phrase.Line(u.Name))), max(roles, ansi.StringWidth(string(u.Role)))
	}
	for _, u := range users {
		line := "  " + pad(phrase.Line(u.Name), names) + "  " + c.Dim.Render(pad(string(u.Role), roles))
		if may := reads(u); may != "" {
			line += "  " + may
		}
		c.line(strings.TrimRight(line, " "))
	}
}

func (c *card) next(next []Command) {
	c.line("")
	c.line(c.Heading.Render("Next"))
	width := 0
	for _, n := range next {
		width = max(width, ansi.StringWidth(n.Line))
	}
	for _, n := range next {
		c.line("  " + pad(n.Line, width) + "  " + c.Dim.Render(n.Does))
	}
}

// of says of which profile and where a lab is.
func of(e endpoints.Endpoints) string {
	var parts []string
	if e.Profile != "" {
		parts = append(parts, "profile "+phrase.Line(e.Profile))
	}
	if e.Provider != "" {
		parts = append(parts, phrase.Line(e.Provider))
	}
	if len(parts) == 0 {
		return ""
	}
	return "  " + strings.Join(parts, ", ")
}

// reads says which topics a reader may read.
func reads(u endpoints.User) string {
	switch {
	case u.Role != endpoints.Reader || len(u.Topics) == 0:
		return ""
	case len(u.Topics) == 1 && u.Topics[0] == "*":
		return "every topic"
	}
	return phrase.Line(strings.Join(u.Topics, ", "))
}

// versions shortens a list that is too long to read: they are all one after
// the other, so the ends and the number say enough.
func versions(v []string) string {
	if len(v) <= 4 {
		return strings.Join(v, ", ")
	}
	return fmt.Sprintf("%s to %s, %d versions", v[0], v[len(v)-1], len(v))
}

// span writes a configured time as it was configured: 37s, 2m, 1.5s.
func span(d endpoints.Duration) string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-ansi.StringWidth(s), 0))
}
