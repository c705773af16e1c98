package catalog

import (
	"context"
	"fmt"

	simulated "github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/kafka"
	"github.com/alertlab/alertlab/deployer/steer"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	played "github.com/alertlab/alertlab/provider/embedded/simulator"
)

// Brokers gives control of the lab's brokers, nil while there are none.
func (l *Lab) Brokers() endpoints.BrokerControl {
	if l.pods == nil {
		return l.Lab.Brokers()
	}
	if card, err := l.pods.Dir.Endpoints(); err != nil || len(card.Kafka.Brokers) == 0 {
		return nil
	}
	return &steer.Brokers{Set: l.pods.brokers, Open: func() (steer.Pods, error) { return l.pods.api() }}
}

// brokers are those of the lab's card, in pods.
func (c *cluster) brokers() (steer.Set, error) {
	desc, err := c.Dir.Describe()
	if err != nil {
		return steer.Set{}, err
	}
	p, _, err := profileOf(desc)
	if err != nil {
		return steer.Set{}, err
	}
	card, err := c.Dir.Endpoints()
	if err != nil {
		return steer.Set{}, err
	}
	name := p.Kafka.Cluster + "-kafka"
	set := steer.Set{Namespace: component.Namespace, Selector: "strimzi.io/cluster=" + p.Kafka.Cluster + ",strimzi.io/name=" + name, Prefix: name}
	addresses := map[int32]string{}
	for _, b := range card.Kafka.Brokers {
		set.IDs, addresses[b.ID] = append(set.IDs, b.ID), b.Address
	}
	set.Answers = func(ctx context.Context, id int32) error {
		address, ok := addresses[id]
		if !ok {
			return fmt.Errorf("the lab's card has no broker %d", id)
		}
		login, err := c.Secrets.Login(address, p.Kafka.Superuser)
		if err != nil {
			return err
		}
		return kafka.Answers(ctx, login)
	}
	return set, nil
}

// player makes the part of the simulator, which takes orders.
func player(c *cluster) plan.Part {
	return &steer.Player{Release: c.released("simulator", nil, nil), Open: func() (steer.Asker, error) { return c.api() },
		Facts: func(st simulated.Status) []event.Fact { return played.Facts(st, nil) }}
}
