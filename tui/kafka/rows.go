package kafka

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
)

var brokerColumns = []kit.Column{{Title: "broker", Right: true}, {Title: "address"}, {Title: "state"}, {Title: "role", Drop: 2}, {Title: "leads", Right: true},
	{Title: "holds", Right: true}, {Title: "on disk", Right: true}, {Title: "disk free", Right: true, Drop: 1}}

func brokerRow(b Broker) kit.Row {
	state := kit.Cell{Text: "lives", Look: kit.Good}
	switch {
	case b.Away:
		state = kit.Cell{Text: "away", Look: kit.Bad}
	case b.Problem != "":
		state = kit.Cell{Text: b.Problem, Look: kit.Warn}
	}
	number := func(n int) string {
		if b.Away {
			return "-"
		}
		return strconv.Itoa(n)
	}
	return kit.Row{Cells: []kit.Cell{kit.Text(strconv.Itoa(int(b.ID))), kit.Text(b.Address), state, kit.Text(b.Role), kit.Text(number(b.Leads)), kit.Text(number(b.Holds)),
		kit.Text(phrase.Known(b.Bytes, phrase.Bytes)), kit.Text(phrase.Known(b.Free, phrase.Bytes))}}
}

func brokerSum(all []Broker) string {
	live, leads := 0, 0
	var bytes int64
	for _, b := range all {
		if !b.Away {
			live++
		}
		leads += b.Leads
		if b.Bytes != nil {
			bytes += *b.Bytes
		}
	}
	return fmt.Sprintf("%d of %s live, %s led, %s on disk", live, phrase.Count(len(all), "broker"), phrase.Count(leads, "partition"), phrase.Bytes(bytes))
}

func brokerDetail(t kit.Theme, b Broker, _ int) detail {
	head := []string{t.Draw(kit.Heading, fmt.Sprintf("broker %d", b.ID)) + "  " + phrase.Line(b.Address) + "  " + t.Draw(kit.Dim, phrase.Line(b.Role))}
	if b.Problem != "" {
		head = append(head, t.Draw(kit.Warn, phrase.Line(b.Problem)))
	}
	head = append(head, fmt.Sprintf("leads %s, holds %s, %s on disk", phrase.Count(b.Leads, "partition"), phrase.Count(b.Holds, "replica"), phrase.Known(b.Bytes, phrase.Bytes)))
	return settingsDetail(head, b.Settings)
}

func settingsDetail(head []string, settings []Setting) detail {
	d := detail{lines: head, columns: []kit.Column{{Title: "setting"}, {Title: "value", Least: 12}, {Title: "set for", Drop: 1}}, empty: "nothing differs from Kafka's defaults"}
	for _, s := range settings {
		d.rows = append(d.rows, kit.Row{Key: s.Name, Cells: []kit.Cell{kit.Text(s.Name), kit.Text(s.Value), {Text: s.Source, Look: kit.Dim}}})
	}
	return d
}

var topicColumns = []kit.Column{{Title: "topic", Least: 18}, {Title: "parts", Right: true}, {Title: "repl", Right: true, Drop: 3}, {Title: "records", Right: true},
	{Title: "size", Right: true}, {Title: "in", Right: true, Floor: 6}, {Title: "out", Right: true, Floor: 6}, {Title: "kept for", Drop: 2, Least: 7}, {Title: "set for it", Drop: 4, Least: 12}}

func topicRow(t Topic) kit.Row {
	name := kit.Text(t.Name)
	if t.Internal {
		name.Look = kit.Dim
	}
	for _, p := range t.Partitions {
		if p.Leader < 0 || p.Problem != "" {
			name = kit.Cell{Text: t.Name + " (without leader)", Look: kit.Bad}
			if p.Problem != "" {
				name.Text = t.Name + " (" + p.Problem + ")"
			}
			break
		}
	}
	var set []string
	for _, s := range t.Settings {
		if s.Source == "topic" && s.Name != "retention.ms" && s.Name != "retention.bytes" {
			set = append(set, s.Name+"="+s.Value)
		}
	}
	return kit.Row{Cells: []kit.Cell{name, kit.Text(strconv.Itoa(len(t.Partitions))), kit.Text(strconv.Itoa(t.Replicas)), kit.Text(phrase.Known(t.Records, phrase.Number)),
		kit.Text(phrase.Known(t.Bytes, phrase.Bytes)), speed(t.In), speed(t.Out), kit.Text(t.Retention), {Text: strings.Join(set, " "), Look: kit.Dim}}}
}

// speed is dim where nothing moves, so that what moves is seen.
func speed(perSecond *float64) kit.Cell {
	c := kit.Text(phrase.Rate(perSecond, phrase.Number))
	if perSecond == nil || *perSecond == 0 {
		c.Look = kit.Dim
	} else {
		c.Look = kit.Active
	}
	return c
}

func topicSum(all []Topic) string {
	parts := 0
	var records, bytes int64
	for _, t := range all {
		parts += len(t.Partitions)
		if t.Records != nil {
			records += *t.Records
		}
		if t.Bytes != nil {
			bytes += *t.Bytes
		}
	}
	return fmt.Sprintf("%s, %s, %s records, %s; speeds of the last 10 s", phrase.Count(len(all), "topic"), phrase.Count(parts, "partition"), phrase.Number(records), phrase.Bytes(bytes))
}

func topicDetail(t kit.Theme, topic Topic, width int) detail {
	d := detail{columns: []kit.Column{{Title: "partition", Right: true}, {Title: "leader", Right: true}, {Title: "replicas"}, {Title: "in sync"}, {Title: "earliest", Right: true, Drop: 2},
		{Title: "latest", Right: true}, {Title: "records", Right: true}, {Title: "size", Right: true}, {Title: "problem", Drop: 1}}}
	d.lines = []string{t.Draw(kit.Heading, phrase.Line(topic.Name)) + "  " + fmt.Sprintf("%s, %s each, %s records, %s", phrase.Count(len(topic.Partitions), "partition"),
		copies(topic.Replicas), phrase.Known(topic.Records, phrase.Number), phrase.Known(topic.Bytes, phrase.Bytes))}
	d.lines = append(d.lines, "in "+phrase.Rate(topic.In, phrase.Number)+", out "+phrase.Rate(topic.Out, phrase.Number)+", kept for "+phrase.Line(topic.Retention))
	var set []string
	for _, s := range topic.Settings {
		set = append(set, s.Name+"="+s.Value)
	}
	if len(set) > 0 {
		for i, l := range kit.Wrap("set: "+phrase.Line(strings.Join(set, " ")), width) {
			if i < 3 {
				d.lines = append(d.lines, t.Draw(kit.Dim, l))
			}
		}
	}
	for _, p := range topic.Partitions {
		leader := kit.Text(strconv.Itoa(int(p.Leader)))
		if p.Leader < 0 {
			leader = kit.Cell{Text: "none", Look: kit.Bad}
		}
		sync := kit.Text(p.InSync)
		if p.InSync != p.Replicas {
			sync.Look = kit.Warn
		}
		id := strconv.Itoa(int(p.ID))
		d.rows = append(d.rows, kit.Row{Key: id, Cells: []kit.Cell{kit.Text(id), leader, kit.Text(p.Replicas), sync, kit.Text(phrase.Known(p.Earliest, phrase.Number)),
			kit.Text(phrase.Known(p.Latest, phrase.Number)), kit.Text(phrase.Known(p.Records, phrase.Number)), kit.Text(phrase.Known(p.Bytes, phrase.Bytes)), {Text: p.Problem, Look: kit.Bad}}})
	}
	return d
}

func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}

var groupColumns = []kit.Column{{Title: "group", Least: 20}, {Title: "state"}, {Title: "members", Right: true}, {Title: "lag", Right: true}, {Title: "reads", Right: true, Floor: 7},
	{Title: "caught up in"}, {Title: "topics", Least: 12, Drop: 2}, {Title: "coordinator", Drop: 3}}

func groupRow(g Group) kit.Row {
	state := kit.Text(g.State)
	switch {
	case g.Problem != "":
		state = kit.Cell{Text: g.Problem, Look: kit.Bad}
	case g.State == "Stable":
		state.Look = kit.Good
	case g.State == "Empty" || g.State == "Dead":
		state.Look = kit.Dim
	default:
		state.Look = kit.Warn
	}
	lag := kit.Text(phrase.Known(g.Lag, phrase.Number))
	if g.Lag != nil && *g.Lag > 0 {
		lag.Look = kit.Warn
	}
	return kit.Row{Cells: []kit.Cell{kit.Text(g.Name), state, kit.Text(strconv.Itoa(len(g.Members))), lag, speed(g.Reads), catchUp(g), {Text: strings.Join(g.Topics, ", ")},
		{Text: g.Coordinator, Look: kit.Dim}}}
}

// catchUp says when a group will have read everything.
func catchUp(g Group) kit.Cell {
	switch {
	case g.Lag == nil:
		return kit.Cell{Text: "-", Look: kit.Dim}
	case *g.Lag == 0:
		return kit.Cell{Text: "caught up", Look: kit.Good}
	case g.CatchUp == nil && g.Reads == nil:
		return kit.Cell{Text: "-", Look: kit.Dim}
	case g.CatchUp == nil:
		return kit.Cell{Text: "not at this speed", Look: kit.Warn}
	}
	return kit.Text(phrase.About(time.Duration(*g.CatchUp * float64(time.Second))))
}

func groupSum(all []Group) string {
	members := 0
	var lag int64
	for _, g := range all {
		members += len(g.Members)
		if g.Lag != nil {
			lag += *g.Lag
		}
	}
	return fmt.Sprintf("%s, %s, lag %s; speeds of the last 10 s", phrase.Count(len(all), "group"), phrase.Count(members, "member"), phrase.Number(lag))
}

func groupDetail(t kit.Theme, g Group, width int) detail {
	d := detail{columns: []kit.Column{{Title: "topic", Least: 16}, {Title: "part", Right: true}, {Title: "committed", Right: true}, {Title: "latest", Right: true}, {Title: "lag", Right: true},
		{Title: "member", Least: 12, Drop: 2}, {Title: "problem", Drop: 1}}, empty: "it has committed nothing and reads nothing"}
	d.lines = []string{t.Draw(kit.Heading, phrase.Line(g.Name)) + "  " + phrase.Line(strings.Trim(g.State+", "+g.Type+", coordinator "+g.Coordinator, ", "))}
	d.lines = append(d.lines, "lag "+phrase.Known(g.Lag, phrase.Number)+", reads "+phrase.Rate(g.Reads, phrase.Number)+", "+catchUp(g).Text)
	for i, m := range g.Members {
		if i == 4 {
			d.lines = append(d.lines, t.Draw(kit.Dim, fmt.Sprintf("and %s more", phrase.Count(len(g.Members)-i, "member"))))
			break
		}
		d.lines = append(d.lines, t.Cut("member "+phrase.Line(m.Name)+t.Draw(kit.Dim, "  "+phrase.Line(m.Client+" at "+m.Host+": "+m.Partitions)), width))
	}
	for _, p := range g.Partitions {
		lag := kit.Text(phrase.Known(p.Lag, phrase.Number))
		if p.Lag != nil && *p.Lag > 0 {
			lag.Look = kit.Warn
		}
		d.rows = append(d.rows, kit.Row{Key: fmt.Sprintf("%s/%d", p.Topic, p.Partition), Cells: []kit.Cell{kit.Text(p.Topic), kit.Text(strconv.Itoa(int(p.Partition))),
			kit.Text(phrase.Known(p.Committed, phrase.Number)), kit.Text(phrase.Known(p.Latest, phrase.Number)), lag, {Text: p.Member, Look: kit.Dim}, {Text: p.Problem, Look: kit.Bad}}})
	}
	return d
}

var userColumns = []kit.Column{{Title: "user"}, {Title: "role"}, {Title: "logs in by", Drop: 1}, {Title: "may", Least: 20}, {Title: "changed", Drop: 2}}

func userRow(u User) kit.Row {
	var may []string
	for _, r := range u.Rights {
		may = append(may, strings.TrimSpace(r.Resource+" "+r.Name))
	}
	text := kit.Text(strings.Join(may, ", "))
	if len(may) == 0 {
		text = kit.Cell{Text: "everything", Look: kit.Plain}
		if u.Role != "superuser" {
			text = kit.Cell{Text: "nothing", Look: kit.Warn}
		}
	}
	logs := kit.Text(strings.Join(u.Mechanisms, ", "))
	if len(u.Mechanisms) == 0 {
		logs = kit.Cell{Text: "no password", Look: kit.Warn}
	}
	return kit.Row{Cells: []kit.Cell{kit.Text(u.Name), {Text: u.Role, Look: kit.Dim}, logs, text, {Text: u.Changed, Look: kit.Active}}}
}

func userSum(all []User) string {
	acls := 0
	for _, u := range all {
		acls += len(u.Rights)
	}
	return fmt.Sprintf("%s, %s of ACLs; passwords: alertlab env --user NAME", phrase.Count(len(all), "user"), phrase.Count(acls, "group"))
}

func userDetail(t kit.Theme, u User, _ int) detail {
	d := detail{columns: []kit.Column{{Title: "resource"}, {Title: "name", Least: 16}, {Title: "allowed", Least: 12}}, empty: "no ACL: nothing is allowed"}
	if u.Role == "superuser" {
		d.empty = "no ACL is needed: a superuser may do everything"
	}
	d.lines = []string{t.Draw(kit.Heading, phrase.Line(u.Name)) + "  " + phrase.Line(strings.Trim(u.Role+", "+u.Changed, ", ")), "logs in by " + phrase.Line(strings.Join(u.Mechanisms, ", ")),
		t.Draw(kit.Dim, "alertlab user export "+phrase.Line(u.Name)+" prints how to log in")}
	for _, r := range u.Rights {
		d.rows = append(d.rows, kit.Row{Key: r.Resource + r.Name, Cells: []kit.Cell{kit.Text(r.Resource), kit.Text(r.Name), kit.Text(r.Operations)}})
	}
	return d
}
