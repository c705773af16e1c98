package labtest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/labtest"
	"github.com/alertlab/alertlab/smoke"
)

// A whole test of a community broker: it logs in as one of the readers, gets a visit's
// alerts and decodes them by the schema that the registry has.
func TestMyBroker(t *testing.T) {
	t.Parallel()
	lab := labtest.Start(t, labtest.Profile("ci"), labtest.Set("simulator.alerts", "10"), labtest.Set("simulator.interval", "2s"))

	client, err := lab.Kafka("antares", kgo.ConsumeTopics(lab.Endpoints.Simulator.Topic), kgo.ConsumerGroup("antares-suite"))
	if err != nil {
		t.Fatal(err)
	}
	registry, err := lab.Registry()
	if err != nil {
		t.Fatal(err)
	}
	for got := 0; got < 10; {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for record := range fetches.RecordsAll() {
			id, body, err := packet.Unframe(record.Value) // Confluent's wire format
			if err != nil {
				t.Fatal(err)
			}
			text, err := registry.SchemaByID(t.Context(), int(id))
			if err != nil {
				t.Fatal(err)
			}
			if got == 0 {
				t.Logf("an alert of %d bytes, its schema of %d", len(body), len(text.Schema))
			}
			got++
		}
	}
}

// The lab's own checks, run before your suite is blamed for what is the lab's.
func TestSmoke(t *testing.T) {
	t.Parallel()
	lab := labtest.Start(t, labtest.Set("simulator.alerts", "10"), labtest.Set("simulator.interval", "3s"))
	report, err := smoke.Run(t.Context(), smoke.Options{Endpoints: lab.Endpoints, Credentials: lab.Credentials, Only: []string{"brokers-answer", "reader-reads", "schema-versions"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report.Results {
		if result.Status == smoke.Failed {
			t.Errorf("%s: %s", result.Sentence, result.Reason)
		}
	}
}

// A lab in a container, for a suite that runs where containers do. The image is made by
// `make image` and loaded by `docker load`.
func ExampleRunContainer() {
	ctx := context.Background()
	lab, err := labtest.RunContainer(ctx, os.Getenv("ALERTLAB_IMAGE"),
		labtest.Profile("ci"),
		testcontainers.WithLabels(map[string]string{"suite": "antares"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() {
		if err := testcontainers.TerminateContainer(lab); err != nil {
			fmt.Println(err)
		}
	}()
	client, err := lab.Kafka("antares")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.Ping(ctx) == nil)
}
