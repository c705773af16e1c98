package profiles_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/internal/structdoc"
	"github.com/alertlab/alertlab/profiles"
)

// The tables of docs/profiles.md are those that the types and the files make.
func TestDocumentIsCurrent(t *testing.T) {
	const file = "../docs/profiles.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for name, table := range map[string]string{"profiles": shipped(t), "variables": variables(), "keys": keyTable(keys(t))} {
		begin, end := "<!-- generated: "+name+" -->\n", "<!-- end -->"
		head, rest, ok := strings.Cut(got, begin)
		_, tail, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no place for the table of %s", file, name)
		}
		got = head + begin + table + end + tail
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(text) {
		t.Errorf("%s is not current: go test ./profiles -update writes its tables", file)
	}
}

func shipped(t *testing.T) string {
	var b strings.Builder
	list := []*profiles.Profile{}
	b.WriteString("| |")
	for _, info := range profiles.List() {
		list = append(list, load(t, info.Name))
		fmt.Fprintf(&b, " `%s` |", info.Name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(list)) + "\n")
	row := func(label string, value func(*profiles.Profile) string) {
		fmt.Fprintf(&b, "| %s |", label)
		for _, p := range list {
			text := value(p)
			if text == profiles.NotSet {
				text = ""
			}
			fmt.Fprintf(&b, " %s |", text)
		}
		b.WriteByte('\n')
	}
	at := func(path string) func(*profiles.Profile) string {
		return func(p *profiles.Profile) string { return p.Value(path) }
	}
	row("source", func(p *profiles.Profile) string {
		if p.Origin == "" {
			return "ours"
		}
		return p.Origin
	})
	row("brokers, ids", func(p *profiles.Profile) string {
		first := int(p.Kafka.Brokers.FirstID)
		return fmt.Sprintf("%d, %d–%d", p.Kafka.Brokers.Count, first, first+p.Kafka.Brokers.Count-1)
	})
	row("Kafka (run, where named)", at("kafka.version"))
	row("controllers", at("kafka.controllers.count"))
	row("disk of a broker", func(p *profiles.Profile) string {
		s := p.Kafka.Brokers.Storage
		if s.Size == 0 {
			return profiles.NotSet
		}
		return strings.TrimSpace(p.Value("kafka.brokers.storage.size") + " " + s.Class + " " + s.ReclaimPolicy)
	})
	row("listener", func(p *profiles.Profile) string {
		text := "SCRAM"
		if p.Kafka.Listener.TLS {
			text = "SCRAM, TLS"
		}
		return text + ", " + p.Kafka.Listener.Type
	})
	row("largest message", func(p *profiles.Profile) string { return fmt.Sprint(p.Kafka.MessageMaxBytes("")) })
	row("topics: partitions × copies", func(p *profiles.Profile) string {
		var all []string
		for _, t := range p.Kafka.Topics {
			all = append(all, fmt.Sprintf("%s %d×%d", t.Name, t.Partitions, t.Replicas))
		}
		return strings.Join(all, "<br>")
	})
	row("readers", func(p *profiles.Profile) string { return fmt.Sprint(len(p.Kafka.Readers)) })
	row("registry's rule", at("registry.compatibility"))
	row("a visit", func(p *profiles.Profile) string {
		s := p.Simulator
		return fmt.Sprintf("%d alerts every %s, schema %s, into %s", s.Alerts, s.Interval, s.Schema, s.Topic)
	})
	row("buckets", func(p *profiles.Profile) string {
		d := p.AlertDatabase
		if d.AlertBucket == d.SchemaBucket {
			return d.AlertBucket
		}
		return d.AlertBucket + "<br>" + d.SchemaBucket
	})
	row("concessions", func(p *profiles.Profile) string { return fmt.Sprint(len(p.Concessions)) })
	return b.String()
}

func variables() string {
	var b strings.Builder
	b.WriteString("| variable | path, for `--set` | meaning |\n|---|---|---|\n")
	for _, v := range profiles.Variables() {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", v.Name, v.Path, v.Description)
	}
	return b.String()
}

func keyTable(keys []structdoc.Key) string {
	var b strings.Builder
	b.WriteString("| key | what stands there | default | meaning | at the source |\n|---|---|---|---|---|\n")
	var rows func(prefix string, keys []structdoc.Key)
	rows = func(prefix string, keys []structdoc.Key) {
		for _, k := range keys {
			path, kind, fallback := prefix+k.Name, string(k.Kind), ""
			switch {
			case k.Required:
				fallback = "required"
			case k.HasDefault:
				fallback = "`" + k.Default + "`"
			}
			switch {
			case k.Values != nil:
				kind = "`" + strings.Join(k.Values, "`, `") + "`"
			case k.Kind == structdoc.Size:
				kind = "size"
			case k.Kind == structdoc.Texts:
				kind = "list of texts"
			case k.Kind == structdoc.List:
				kind = "list"
			case k.Kind == structdoc.Settings:
				kind = "Kafka's settings"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", path, kind, fallback, k.Meaning, k.From)
			switch k.Kind {
			case structdoc.Mapping:
				rows(path+".", k.Keys)
			case structdoc.List:
				rows(path+"[].", k.Keys)
			}
		}
	}
	rows("", keys)
	return b.String()
}
