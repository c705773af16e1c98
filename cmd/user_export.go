package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) userExport() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "export NAME",
		Short: "Print or write the client settings of a user",
		Long: `export prints what a Kafka client needs to log in to the lab as a user, password
included: a client.properties for Java, settings of librdkafka (kcat -F), a Python
module for confluent-kafka and aiokafka, or JSON. With --file they are written to a
file that only you can read. The settings name a consumer group that the user may
use.`,
		Example: `  alertlab user export antares --file client.properties
  alertlab user export antares -o librdkafka --file kcat.conf   # then: kcat -F kcat.conf -L
  alertlab user export antares -o python --file settings.py
  alertlab user export antares -o json`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeReaders,
	}
	c.Flags().StringVar(&file, "file", "", "write to this file, with mode 0600, instead of standard output")
	output := outputFlag(c, "java", "librdkafka", "python", "json")
	c.RunE = func(_ *cobra.Command, args []string) error {
		card, creds, err := a.card()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(card.Users, func(u endpoints.User) bool { return u.Name == args[0] })
		password := creds.Kafka[args[0]]
		if i < 0 || password == "" {
			var names []string
			for _, u := range card.Users {
				names = append(names, u.Name)
			}
			return fault.New(fault.BadInput, fmt.Sprintf("lab %s has no user %q", card.Lab, args[0]), "there are: "+strings.Join(names, ", "), "alertlab user list")
		}
		login := clientLogin{
			Bootstrap: card.Kafka.Bootstrap, Security: card.Kafka.Security, Mechanism: card.Kafka.Mechanism, User: args[0], Password: password,
			CAFile: card.Kafka.CAFile, Topics: card.Users[i].Topics, Registry: card.Registry.URL,
		}
		if card.Users[i].Role == endpoints.Reader {
			login.Group = args[0]
		}
		if file == "" {
			return a.writeLogin(a.out, login, *output)
		}
		if err := writePrivate(file, func(w io.Writer) error { return a.writeLogin(w, login, *output) }); err != nil {
			return fault.Wrap(fault.BadInput, "the settings cannot be written", err, "alertlab user export "+args[0]+" --file FILE   # in a directory that you may write to")
		}
		_, err = fmt.Fprintf(a.err, "%s holds the settings of user %s\n", file, args[0])
		return err
	}
	return c
}

// clientLogin is everything that a client's settings say.
type clientLogin struct {
	Bootstrap string   `json:"bootstrap"` // host:port
	Security  string   `json:"security"`  // SASL_PLAINTEXT or SASL_SSL
	Mechanism string   `json:"mechanism"`
	User      string   `json:"user"`
	Password  string   `json:"password"`
	CAFile    string   `json:"caFile,omitempty"` // PEM
	Group     string   `json:"group,omitempty"`  // consumer groups that begin so may be used; empty: any
	Topics    []string `json:"topics,omitempty"` // that may be read
	Registry  string   `json:"registry"`         // URL
}

func (a *app) writeLogin(w io.Writer, l clientLogin, format string) error {
	var text string
	switch format {
	case "json":
		return writeJSON(w, l)
	case "java":
		text = l.java()
	case "librdkafka":
		text = l.librdkafka()
	default:
		text = l.python()
	}
	_, err := io.WriteString(w, text)
	return err
}

// java is a properties file of Apache Kafka's Java clients and tools.
func (l clientLogin) java() string {
	var b strings.Builder
	put := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s=%s\n", key, propertyValue(value))
		}
	}
	fmt.Fprintf(&b, "# user %s; schema registry: %s\n", asciiComment(l.User), l.Registry)
	put("bootstrap.servers", l.Bootstrap)
	put("security.protocol", l.Security)
	put("sasl.mechanism", l.Mechanism)
	put("sasl.jaas.config", fmt.Sprintf("org.apache.kafka.common.security.scram.ScramLoginModule required username=%s password=%s;", jaasValue(l.User), jaasValue(l.Password)))
	if l.CAFile != "" {
		put("ssl.truststore.type", "PEM")
		put("ssl.truststore.location", l.CAFile)
	}
	put("group.id", l.Group)
	return b.String()
}

// jaasValue quotes a value as the configuration of the Java Authentication and
// Authorization Service reads it.
func jaasValue(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// propertyValue writes a value as java.util.Properties reads it: a backslash
// escapes, and everything beyond ASCII is written as UTF-16.
func propertyValue(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\', i == 0 && r == ' ':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r > '~':
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// asciiComment writes a name where no reader unescapes it.
func asciiComment(s string) string { return strings.Trim(strconv.QuoteToASCII(s), `"`) }

// librdkafka is a file of settings as kcat -F reads it: key=value lines.
func (l clientLogin) librdkafka() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# user %s; schema registry: %s\n", asciiComment(l.User), l.Registry)
	for _, kv := range l.rdkafka() {
		fmt.Fprintf(&b, "%s=%s\n", kv[0], kv[1])
	}
	return b.String()
}

// rdkafka gives librdkafka's settings, without those that are empty.
func (l clientLogin) rdkafka() [][2]string {
	all := [][2]string{
		{"bootstrap.servers", l.Bootstrap}, {"security.protocol", l.Security}, {"sasl.mechanism", l.Mechanism},
		{"sasl.username", l.User}, {"sasl.password", l.Password}, {"ssl.ca.location", l.CAFile}, {"group.id", l.Group},
	}
	return slices.DeleteFunc(all, func(kv [2]string) bool { return kv[1] == "" })
}

// python is a module with the arguments of two clients. Go quotes ASCII text as
// Python reads it.
func (l clientLogin) python() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# user %s\n", asciiComment(l.User))
	if l.CAFile != "" {
		b.WriteString("import ssl\n")
	}
	b.WriteString("\n# confluent_kafka.Consumer(CONFLUENT_KAFKA)\nCONFLUENT_KAFKA = {\n")
	for _, kv := range l.rdkafka() {
		fmt.Fprintf(&b, "    %s: %s,\n", strconv.QuoteToASCII(kv[0]), strconv.QuoteToASCII(kv[1]))
	}
	b.WriteString("}\n\n# aiokafka.AIOKafkaConsumer(TOPIC, **AIOKAFKA)\nAIOKAFKA = {\n")
	for _, kv := range [][2]string{
		{"bootstrap_servers", l.Bootstrap}, {"security_protocol", l.Security}, {"sasl_mechanism", l.Mechanism},
		{"sasl_plain_username", l.User}, {"sasl_plain_password", l.Password}, {"group_id", l.Group},
	} {
		if kv[1] != "" {
			fmt.Fprintf(&b, "    %s: %s,\n", strconv.QuoteToASCII(kv[0]), strconv.QuoteToASCII(kv[1]))
		}
	}
	if l.CAFile != "" {
		fmt.Fprintf(&b, "    \"ssl_context\": ssl.create_default_context(cafile=%s),\n", strconv.QuoteToASCII(l.CAFile))
	}
	fmt.Fprintf(&b, "}\n\nSCHEMA_REGISTRY = {\"url\": %s}\n", strconv.QuoteToASCII(l.Registry))
	return b.String()
}

// writePrivate replaces a file by what write makes, at once, readable by its owner
// alone.
func writePrivate(path string, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err := write(tmp); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
