package smoke

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

func brokersAnswer() Check {
	return Check{
		Name:     "brokers-answer",
		Sentence: "every broker answers at its own address",
		Needs:    []Need{NeedBrokers(), NeedLogin()},
		Run:      runBrokersAnswer,
	}
}

func runBrokersAnswer(ctx context.Context, e *Env) (Evidence, error) {
	card := make(map[int32]string)
	for _, b := range e.Endpoints.Kafka.Brokers {
		card[b.ID] = b.Address
	}
	type asked struct {
		what, address string
		id            int32 // -1 for the bootstrap address
	}
	ask := []asked{{"bootstrap", e.Endpoints.Kafka.Bootstrap, -1}}
	for _, b := range e.Endpoints.Kafka.Brokers {
		ask = append(ask, asked{fmt.Sprintf("broker %d", b.ID), b.Address, b.ID})
	}
	problems := make([]string, len(ask))
	silent := make([]bool, len(ask))
	var group errgroup.Group
	group.SetLimit(8)
	for i, a := range ask {
		group.Go(func() error {
			seen, err := e.askBroker(ctx, a.address, a.id)
			switch {
			case err != nil:
				silent[i] = true
				problems[i] = fmt.Sprintf("%s at %s: %v", a.what, a.address, err)
			case !maps.Equal(seen, card):
				problems[i] = fmt.Sprintf("%s at %s lists other brokers (%s)", a.what, a.address, brokerDiff(card, seen))
			}
			return nil
		})
	}
	_ = group.Wait() // problems are kept by place

	failure := &Failure{
		Expected: fmt.Sprintf("%d brokers and the bootstrap address to answer and to list the brokers of the card", len(card)),
		Next:     nextStatus,
	}
	var seen []string
	for i := len(ask) - 1; i >= 0; i-- {
		if problems[i] == "" {
			continue
		}
		seen = append(seen, problems[i])
		if silent[i] && ask[i].id >= 0 {
			failure.Next = "alertlab up   # brings back what was killed; alertlab logs kafka"
		}
	}
	if len(seen) > 0 {
		slices.Reverse(seen)
		failure.Seen = strings.Join(seen, "; ")
		return "", failure
	}
	ids := slices.Sorted(maps.Keys(card))
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = strconv.Itoa(int(id))
	}
	return evidence("brokers %s, bootstrap %s", strings.Join(text, " "), e.Endpoints.Kafka.Bootstrap), ctx.Err()
}

// askBroker asks the broker at one address which brokers there are, and, when
// a superuser asks, whether it is the one with this id.
func (e *Env) askBroker(ctx context.Context, address string, id int32) (map[int32]string, error) {
	cl, err := newClient(e.login(e.observer(), address))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	// Not the client as a whole: that would go on to whichever broker the
	// first one names.
	broker := cl.SeedBrokers()[0]
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // of no topic
	resp, err := req.RequestWith(ctx, broker)
	if err != nil {
		return nil, err
	}
	if id >= 0 && e.superuser() != "" {
		if err := confirmID(ctx, broker, id); err != nil {
			return nil, err
		}
	}
	seen := make(map[int32]string)
	for _, b := range resp.Brokers {
		seen[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	return seen, nil
}

// confirmID asks for the broker's own configuration: a broker refuses that
// for any id but its own.
func confirmID(ctx context.Context, broker *kgo.Broker, id int32) error {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType = kmsg.ConfigResourceTypeBroker
	r.ResourceName = strconv.Itoa(int(id))
	r.ConfigNames = []string{"node.id"}
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(ctx, broker)
	if err != nil {
		return err
	}
	for _, got := range resp.Resources {
		switch err := kerr.ErrorForCode(got.ErrorCode); {
		case errors.Is(err, kerr.InvalidRequest):
			return fmt.Errorf("another broker answers there, it is not broker %d", id)
		case err != nil:
			return fmt.Errorf("describing its configuration: %w", err)
		}
	}
	return nil
}

// brokerDiff says where two lists of brokers differ.
func brokerDiff(card, seen map[int32]string) string {
	ids := maps.Clone(card)
	maps.Copy(ids, seen)
	var out []string
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		want, wanted := card[id]
		got, there := seen[id]
		switch {
		case !there:
			out = append(out, fmt.Sprintf("no broker %d, the card has it at %s", id, want))
		case !wanted:
			out = append(out, fmt.Sprintf("broker %d at %s, not on the card", id, got))
		case want != got:
			out = append(out, fmt.Sprintf("broker %d at %s, on the card at %s", id, got, want))
		}
	}
	return strings.Join(out, ", ")
}
