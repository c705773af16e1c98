package cmd

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/render"
	"github.com/alertlab/alertlab/render/phrase"
)

func printTopics(w io.Writer, topics []console.Topic) error {
	headings := []string{"TOPIC", "PARTITIONS", "REPLICAS", "RECORDS", "BYTES", "SET FOR IT"}
	fast := len(topics) > 0 && topics[0].Speed != nil
	if fast {
		headings = slices.Insert(headings, 5, "IN", "OUT")
	}
	table := render.NewTable(w, headings...)
	for _, t := range topics {
		var set []string
		for _, s := range t.Settings {
			if s.Source == "topic" {
				set = append(set, settingText(s))
			}
		}
		row := []any{t.Name, len(t.Partitions), t.Replicas, count(t.Records), bytesText(t.Bytes), strings.Join(set, " ")}
		if fast {
			row = slices.Insert(row, 5, any(speedText(t.Speed.In)), any(speedText(t.Speed.Out)))
		}
		table.Row(row...)
	}
	return table.Flush()
}

// speedText writes records a second.
func speedText(perSecond *float64) string {
	if perSecond == nil {
		return "-"
	}
	return strconv.FormatFloat(*perSecond, 'f', 1, 64) + "/s"
}

// catchUpText says when a group has read everything, if it goes on so.
func catchUpText(g console.Group) string {
	switch {
	case g.Lag == nil || g.Speed == nil:
		return "-"
	case *g.Lag == 0:
		return "caught up"
	case g.Speed.CatchUp == nil:
		return "not at this speed"
	}
	return phrase.About(time.Duration(*g.Speed.CatchUp * float64(time.Second)))
}

func printTopic(w io.Writer, t console.Topic) error {
	kind := ""
	if t.Internal {
		kind = ", internal"
	}
	fmt.Fprintf(w, "topic %s: %s, %s each, %s records, %s%s\n\n", phrase.Line(t.Name), phrase.Count(len(t.Partitions), "partition"),
		phrase.Count(t.Replicas, "replica"), first(count(t.Records), "unknown"), first(bytesText(t.Bytes), "size unknown"), kind)
	if t.Speed != nil {
		fmt.Fprintf(w, "in %s, out %s\n\n", speedText(t.Speed.In), speedText(t.Speed.Out))
	}
	table := render.NewTable(w, "PARTITION", "LEADER", "REPLICAS", "IN SYNC", "EARLIEST", "LATEST", "RECORDS", "BYTES", "PROBLEM")
	for _, p := range t.Partitions {
		leader := "none"
		if p.Leader >= 0 {
			leader = strconv.Itoa(int(p.Leader))
		}
		problem := p.Problem
		if len(p.Offline) > 0 {
			problem = strings.TrimPrefix(problem+"; offline: "+ids(p.Offline), "; ")
		}
		table.Row(p.ID, leader, ids(p.Replicas), ids(p.InSync), count(p.Earliest), count(p.Latest), count(p.Records), bytesText(p.Bytes), problem)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return printSettings(w, t.Settings)
}

// printSettings lists what is not Kafka's default.
func printSettings(w io.Writer, settings []console.Setting) error {
	if len(settings) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	table := render.NewTable(w, "SETTING", "VALUE", "SET FOR")
	for _, s := range settings {
		_, value, _ := strings.Cut(settingText(s), "=")
		table.Row(s.Name, value, s.Source)
	}
	return table.Flush()
}

func settingText(s console.Setting) string {
	if s.Sensitive {
		return s.Name + "=(not shown)"
	}
	return s.Name + "=" + s.Value
}

func printGroups(w io.Writer, groups []console.Group) error {
	headings := []string{"GROUP", "STATE", "COORDINATOR", "MEMBERS", "TOPICS", "LAG"}
	fast := len(groups) > 0 && groups[0].Speed != nil
	if fast {
		headings = append(headings, "READS", "CAUGHT UP IN")
	}
	table := render.NewTable(w, headings...)
	for _, g := range groups {
		var topics []string
		for _, p := range g.Partitions {
			if !slices.Contains(topics, p.Topic) {
				topics = append(topics, p.Topic)
			}
		}
		state := g.State
		if g.Problem != "" {
			state = strings.TrimPrefix(state+": "+g.Problem, ": ")
		}
		row := []any{g.Name, state, coordinatorText(g.Coordinator), len(g.Members), strings.Join(topics, ", "), count(g.Lag)}
		if fast {
			row = append(row, speedText(g.Speed.Reads), catchUpText(g))
		}
		table.Row(row...)
	}
	return table.Flush()
}

// assignedText says which partitions a member reads.
func assignedText(m console.Member) string {
	var assigned []string
	for _, topic := range slices.Sorted(maps.Keys(m.Partitions)) {
		assigned = append(assigned, topic+" "+ids(m.Partitions[topic]))
	}
	return strings.Join(assigned, ", ")
}

// patternText is the name in an ACL: one that stands for all that begin with it has a
// star behind it.
func patternText(r console.Right) string {
	if r.Pattern == "prefix" {
		return r.Name + "*"
	}
	return r.Name
}

func printUsers(w io.Writer, users []console.User) error {
	table := render.NewTable(w, "USER", "LOGS IN BY", "MAY")
	for _, u := range users {
		var may []string
		for _, r := range u.Rights {
			may = append(may, r.Resource+" "+patternText(r))
		}
		table.Row(u.Name, first(strings.Join(u.Mechanisms, ", "), "-"), first(strings.Join(may, ", "), "-"))
	}
	return table.Flush()
}

func printUser(w io.Writer, u console.User) error {
	fmt.Fprintf(w, "user %s logs in by %s\n\n", phrase.Line(u.Name), first(strings.Join(u.Mechanisms, ", "), "nothing: it has no password"))
	table := render.NewTable(w, "RESOURCE", "NAME", "ALLOWED")
	for _, r := range u.Rights {
		table.Row(r.Resource, patternText(r), strings.Join(r.Operations, ", "))
	}
	return table.Flush()
}

func printGroup(w io.Writer, g console.Group) error {
	fmt.Fprintf(w, "group %s: %s, %s", phrase.Line(g.Name), phrase.Line(first(g.State, "state unknown")), g.Type)
	if g.Assignor != "" {
		fmt.Fprintf(w, " (%s)", phrase.Line(g.Assignor))
	}
	fmt.Fprintf(w, ", coordinator %s, lag %s\n", first(coordinatorText(g.Coordinator), "unknown"), first(count(g.Lag), "unknown"))
	if g.Speed != nil {
		fmt.Fprintf(w, "it reads %s; all of it is read in: %s\n", speedText(g.Speed.Reads), catchUpText(g))
	}
	if g.Problem != "" {
		fmt.Fprintln(w, phrase.Line(g.Problem))
	}
	names := map[string]string{}
	if len(g.Members) > 0 {
		fmt.Fprintln(w)
		table := render.NewTable(w, "MEMBER", "CLIENT", "HOST", "PARTITIONS")
		for _, m := range g.Members {
			names[m.ID] = first(m.Instance, m.ID)
			table.Row(names[m.ID], m.Client, m.Host, assignedText(m))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if len(g.Partitions) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	table := render.NewTable(w, "TOPIC", "PARTITION", "COMMITTED", "LATEST", "LAG", "MEMBER", "PROBLEM")
	for _, p := range g.Partitions {
		table.Row(p.Topic, p.Partition, count(p.Committed), count(p.Latest), count(p.Lag), names[p.Member], p.Problem)
	}
	return table.Flush()
}

func coordinatorText(c console.Coordinator) string {
	if c.Address == "" {
		return ""
	}
	return fmt.Sprintf("%d at %s", c.ID, c.Address)
}

func printBrokers(w io.Writer, brokers []console.Broker) error {
	table := render.NewTable(w, "BROKER", "ADDRESS", "ROLE", "LEADS", "REPLICAS", "RECORDS ON DISK", "DISK FREE", "CONFIGURATION", "PROBLEM")
	for _, b := range brokers {
		var used *int64
		var free []string
		for _, d := range b.Disks {
			if used == nil {
				used = new(int64)
			}
			*used += d.Bytes
			if text := freeText(d); text != "" && !slices.Contains(free, text) {
				free = append(free, text)
			}
		}
		set := ""
		if b.Settings != nil {
			set = fmt.Sprintf("%d set", len(b.Settings))
		}
		table.Row(b.ID, b.Address, role(b), b.Leads, b.Holds, bytesText(used), strings.Join(free, ", "), set, b.Problem)
	}
	return table.Flush()
}

func printBroker(w io.Writer, b console.Broker) error {
	fmt.Fprintf(w, "broker %d at %s: %s, leads %s, holds %s", b.ID, phrase.Line(b.Address), role(b), phrase.Count(b.Leads, "partition"), phrase.Count(b.Holds, "replica"))
	if b.Rack != "" {
		fmt.Fprintf(w, ", rack %s", phrase.Line(b.Rack))
	}
	fmt.Fprintln(w)
	if b.Problem != "" {
		fmt.Fprintln(w, phrase.Line(b.Problem))
	}
	if len(b.Disks) > 0 {
		fmt.Fprintln(w)
		table := render.NewTable(w, "LOG DIRECTORY", "RECORDS", "DISK FREE", "PROBLEM")
		for _, d := range b.Disks {
			table.Row(d.Dir, bytesText(&d.Bytes), freeText(d), d.Problem)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return printSettings(w, b.Settings)
}

func role(b console.Broker) string {
	if b.Controller {
		return "broker, controller"
	}
	return "broker"
}

func freeText(d console.Disk) string {
	switch {
	case d.Free == nil:
		return ""
	case d.Total == nil:
		return bytesText(d.Free)
	}
	return bytesText(d.Free) + " of " + bytesText(d.Total)
}

// messageLines prints messages as they come: a table whose widths are known only
// at the end would keep whoever waits for messages waiting.
type messageLines struct {
	w      io.Writer
	began  bool
	widths [5]int
}

// messageWidths fit the messages of the observatory; wider cells widen what
// follows them.
var messageWidths = [5]int{9, 10, 24, 34, 19}

func (l *messageLines) print(m console.Message) error {
	if !l.began {
		l.began, l.widths = true, messageWidths
		if err := l.row("PARTITION", "OFFSET", "TIME", "SCHEMA", "ALERT", "CONTENT"); err != nil {
			return err
		}
	}
	id := "-"
	if m.ID != nil {
		id = strconv.FormatInt(*m.ID, 10)
	}
	return l.row(strconv.Itoa(int(m.Partition)), strconv.FormatInt(m.Offset, 10), m.Time.Format("2006-01-02T15:04:05.000Z"),
		schemaText(m), id, contentText(m))
}

func (l *messageLines) row(cells ...string) error {
	var b strings.Builder
	for i, cell := range cells {
		cell = phrase.Line(cell)
		if i == len(cells)-1 {
			b.WriteString(cell)
			break
		}
		l.widths[i] = max(l.widths[i], ansi.StringWidth(cell))
		b.WriteString(cell + strings.Repeat(" ", l.widths[i]-ansi.StringWidth(cell)+2))
	}
	_, err := fmt.Fprintln(l.w, b.String())
	return err
}

// schemaText is the id in a message's header and where the registry has it: under
// the topic's own subject, if there.
func schemaText(m console.Message) string {
	if m.Schema == nil {
		return "-"
	}
	text := strconv.Itoa(m.Schema.ID)
	if len(m.Schema.Subjects) == 0 {
		return text
	}
	s := m.Schema.Subjects[0]
	for _, other := range m.Schema.Subjects {
		if other.Subject == m.Topic+"-value" {
			s = other
		}
	}
	return fmt.Sprintf("%s %s v%d", text, s.Subject, s.Version)
}

// textWidth is how much of a value that is no alert fits a line.
const textWidth = 120

func contentText(m console.Message) string {
	size := fmt.Sprintf("%d bytes", m.Bytes)
	switch {
	case m.Malformed != "" && m.Text+m.Key != "":
		return fmt.Sprintf("no alert (%s): %s", m.Malformed, ansi.Truncate(phrase.Line(strings.TrimSpace(m.Key+" "+m.Text)), textWidth, "…"))
	case m.Malformed != "":
		return fmt.Sprintf("malformed, %s: %s", size, m.Malformed)
	case m.Unread != "":
		return fmt.Sprintf("not decoded, %s: %s", size, m.Unread)
	case m.Summary == nil:
		return "no alert by its schema, " + size
	}
	s := m.Summary
	var parts []string
	add := func(format string, values ...any) { parts = append(parts, fmt.Sprintf(format, values...)) }
	if s.Band != "" {
		add("%s", s.Band)
	}
	if s.RA != nil && s.Dec != nil {
		add("ra %.5f dec %+.5f", *s.RA, *s.Dec)
	}
	if s.SNR != nil {
		add("snr %.1f", *s.SNR)
	}
	if s.Flux != nil {
		text := fmt.Sprintf("flux %.0f", *s.Flux)
		if s.FluxErr != nil {
			text += fmt.Sprintf("±%.0f", *s.FluxErr)
		}
		add("%s nJy", text)
	}
	if s.SolarSystem {
		add("solar system")
	}
	add("history %d+%d", s.Sources, s.Forced)
	add("%s", size)
	return strings.Join(parts, ", ")
}

// count writes a number that may not be known.
func count(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// bytesText writes a size for people; it may not be known.
func bytesText(n *int64) string {
	if n == nil {
		return ""
	}
	return phrase.Bytes(*n)
}

// ids writes numbers shortly: 0-3,5.
func ids(numbers []int32) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		switch {
		case j >= i+2:
			parts = append(parts, fmt.Sprintf("%d-%d", numbers[i], numbers[j]))
			i = j + 1
		default:
			parts = append(parts, strconv.Itoa(int(numbers[i])))
			i++
		}
	}
	return strings.Join(parts, ",")
}
