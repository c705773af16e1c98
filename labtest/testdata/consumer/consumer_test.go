package consumer_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/labtest"

	"example.org/consumer"
)

func TestSchema(t *testing.T) {
	lab := labtest.Start(t, labtest.Profile("ci"), labtest.Set("simulator.alerts", "5"), labtest.Set("simulator.interval", "2s"))
	client, err := lab.Kafka("antares", kgo.ConsumeTopics(lab.Endpoints.Simulator.Topic))
	if err != nil {
		t.Fatal(err)
	}
	fetches := client.PollFetches(t.Context())
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	for r := range fetches.RecordsAll() {
		if id, err := consumer.Schema(r.Value); err != nil || id < 300 {
			t.Fatalf("schema %d, %v", id, err)
		}
	}
}
