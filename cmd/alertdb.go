package cmd

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render"
	"github.com/alertlab/alertlab/render/phrase"
)

func (a *app) alertdb() *cobra.Command {
	c := &cobra.Command{
		Use:   "alertdb",
		Short: "Read the alert database, or run its programs by themselves",
		Long: `The alert database holds every alert of the public topic, under its id, with the
bytes that were published. get reads it, show says what it holds, purge deletes what is
old. ingest and serve are its two programs, in the foreground and against any Kafka,
registry and object store, as in a pod.`,
		Example: "  alertlab alertdb get 281323062375219200\n  alertlab alertdb serve --help",
	}
	c.AddCommand(a.alertdbGet(), a.alertdbShow(), a.alertdbIngest(), a.alertdbServe(), a.alertdbPurge())
	return c
}

func (a *app) alertdbGet() *cobra.Command {
	var url string
	c := &cobra.Command{
		Use:   "get ID",
		Short: "Fetch an archived alert by its id",
		Long: `get fetches an alert and decodes it with the schema that its header names, as
the alert database holds it. With -o wire it writes the bytes that were in Kafka:
the Confluent header of five bytes and the Avro body. "alertlab status" shows an
id: the one that was archived last. Where the lab's alert database asks for a token,
the lab's own is used; another alert database gets that in ALERTDB_TOKEN.`,
		Example: `  alertlab alertdb get 281323062375219200
  alertlab alertdb get 281323062375219200 -o json | jq .diaSource.psfFlux
  alertlab alertdb get 281323062375219200 -o wire > alert.bin`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&url, "url", "", "address of an alert database (default: the lab's)")
	output := outputFlag(c, "summary", "json", "wire")
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || id < 0 {
			return fault.New(fault.BadInput, fmt.Sprintf("%q is no alert id", args[0]), "an id is a decimal number of at most 19 digits", "alertlab alertdb get ID")
		}
		if f, ok := a.out.(*os.File); ok && *output == "wire" && term.IsTerminal(int(f.Fd())) {
			return fault.New(fault.BadInput, "an alert's bytes are not for a terminal", "they are binary", "the same command with > FILE, or with --output json")
		}
		next, token := "check the address: --url http://HOST:PORT; and ALERTDB_TOKEN, if it asks for a token", a.getenv("ALERTDB_TOKEN")
		if url == "" {
			if _, _, err := a.needRunning(c.Context()); err != nil {
				return err
			}
			card, creds, err := a.card()
			if err != nil {
				return err
			}
			token = card.AlertDB.Secret(creds, time.Now())
			url, next = card.AlertDB.URL, "alertlab status   # shows the id that was archived last"
		} else if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			return fault.New(fault.BadInput, fmt.Sprintf("%q is no address of an alert database", url), "it begins with http:// or https://", "alertlab alertdb get ID --url http://HOST:PORT")
		}
		client := archive.Client{Token: token, URL: strings.TrimSuffix(strings.TrimSuffix(url, "/"), "/v1")}
		wire, err := client.Alert(c.Context(), id)
		if err != nil {
			return fault.Wrap(fault.StepFailed, fmt.Sprintf("alert %d could not be fetched", id), err, next)
		}
		if *output == "wire" {
			_, err := a.out.Write(wire)
			return err
		}
		schema, alert, err := decodeArchived(c.Context(), client, wire)
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(readable(alert))
		}
		return printAlert(a.out, id, schema, alert, len(wire))
	}
	return c
}

func (a *app) alertdbShow() *cobra.Command {
	var letters int
	c := &cobra.Command{
		Use:   "show",
		Short: "Say what the lab's alert database holds, and what it could not store",
		Long: `show lists the lab's bucket of alerts: how many there are and what they take, and the
dead letters, which are messages that could not be stored as alerts, each with its
reason. An alert that is published again is stored once. How far the database is behind
is shown by "alertlab console groups".`,
		Example: `  alertlab alertdb show
  alertlab alertdb show -o json | jq '.latestDeadLetters[].reason'`,
		Args: cobra.NoArgs,
	}
	c.Flags().IntVar(&letters, "dead-letters", 10, "show at most this many dead letters, the newest")
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if letters < 0 {
			return fault.New(fault.BadInput, fmt.Sprintf("%d dead letters cannot be shown", letters), "--dead-letters is a number from 0 on", "alertlab alertdb show")
		}
		if _, _, err := a.needRunning(c.Context()); err != nil {
			return err
		}
		card, creds, err := a.card()
		if err != nil {
			return err
		}
		contents, err := stored(c.Context(), card, creds, letters)
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(contents)
		}
		fmt.Fprintf(a.out, "bucket %s holds %d alerts, %s, and %d dead letters\n", card.ObjectStore.AlertBucket, contents.Alerts, bytesText(&contents.Bytes), contents.DeadLetters)
		if len(contents.Latest) == 0 {
			return nil
		}
		fmt.Fprintln(a.out)
		table := render.NewTable(a.out, "TOPIC", "PARTITION", "OFFSET", "PUBLISHED", "BYTES", "REASON")
		for _, l := range contents.Latest {
			table.Row(l.Topic, l.Partition, l.Offset, l.Timestamp.Local().Format("2006-01-02 15:04:05"), l.Bytes, phrase.Line(l.Reason))
		}
		return table.Flush()
	}
	return c
}

// decodeArchived decodes an alert with the schema that the alert database has for it.
func decodeArchived(ctx context.Context, client archive.Client, wire []byte) (*packet.Schema, packet.Alert, error) {
	schemaID, body, err := packet.Unframe(wire)
	if err != nil {
		return nil, nil, err
	}
	text, err := client.Schema(ctx, int(schemaID))
	if err != nil {
		return nil, nil, err
	}
	schema, err := packet.ParseSchema(text)
	if err != nil {
		return nil, nil, err
	}
	alert, err := schema.Decode(body)
	return schema, alert, err
}

func printAlert(w io.Writer, id int64, schema *packet.Schema, alert packet.Alert, size int) error {
	table := render.NewTable(w, "FIELD", "VALUE")
	table.Row("id", id)
	table.Row("schema", fmt.Sprintf("%s (id %d)", schema.Version(), schema.ID()))
	table.Row("packet", fmt.Sprintf("%d bytes", size))
	if source, ok := alert["diaSource"].(map[string]any); ok {
		// Names changed over the versions; what one has is shown.
		for _, field := range []string{"midPointTai", "midpointMjdTai", "band", "filterName", "ra", "decl", "dec", "snr", "psFlux", "psfFlux", "psFluxErr", "psfFluxErr"} {
			if v, ok := source[field]; ok && v != nil {
				table.Row("diaSource."+field, v)
			}
		}
	}
	for _, field := range []string{"prvDiaSources", "prvDiaForcedSources"} {
		if list, ok := alert[field].([]any); ok {
			table.Row(field, fmt.Sprintf("%d", len(list)))
		}
	}
	for _, field := range []string{"cutoutDifference", "cutoutScience", "cutoutTemplate"} {
		if stamp, ok := alert[field].([]byte); ok {
			table.Row(field, fmt.Sprintf("%d bytes", len(stamp)))
		}
	}
	return table.Flush()
}

// readable replaces bytes by base64 text, as JSON has no bytes.
func readable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = readable(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = readable(e)
		}
		return out
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	}
	return v
}
