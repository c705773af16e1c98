package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/state"
)

// A lab on Kubernetes gives control of its brokers when its card has them, by the names
// that both stacks give their pods.
func TestBrokersInPods(t *testing.T) {
	t.Parallel()
	for _, stack := range []string{"alerts-light", StrimziStack} {
		desc := on(t, K3d, "usdfdev")
		desc.Stack = stack
		l := open(t, desc)
		if err := l.pods.Dir.Create(); err != nil {
			t.Fatal(err)
		}
		if control := l.Brokers(); control != nil {
			t.Errorf("%s: control of no brokers: %T", stack, control)
		}
		if err := l.pods.Dir.SetDescription(desc); err != nil {
			t.Fatal(err)
		}
		card := endpoints.Endpoints{Kafka: endpoints.Kafka{Brokers: []endpoints.Broker{{ID: 6, Address: "192.0.2.6:9094"}, {ID: 7, Address: "192.0.2.7:9094"}}}}
		if err := l.pods.Dir.SetEndpoints(card); err != nil {
			t.Fatal(err)
		}
		control := l.Brokers()
		if _, revives := control.(endpoints.Reviver); !revives {
			t.Errorf("%s: control is %T", stack, control)
		}
		set, err := l.pods.brokers()
		if err != nil || set.Namespace != "alert-stream-broker" || set.Prefix != "alert-broker-kafka" || set.Selector != "strimzi.io/cluster=alert-broker,strimzi.io/name=alert-broker-kafka" || !slices.Equal(set.IDs, []int32{6, 7}) {
			t.Errorf("%s: %+v, %v", stack, set, err)
		}
		if err := set.Answers(t.Context(), 8); err == nil || !strings.Contains(err.Error(), "has no broker 8") {
			t.Errorf("%s: a broker that there is not: %v", stack, err)
		}
	}
	embedded := open(t, state.Description{Name: "default", Provider: Embedded, Stack: "alerts-light", Profile: "ci"})
	if control := embedded.Brokers(); control != nil {
		t.Errorf("an embedded lab that does not run: %T", control)
	}
}
