package steer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/internal/poll"
)

// Pods is a cluster as far as brokers are killed there.
type Pods interface {
	// Pods, DeletePod and WaitReplaced: see kube.Client.
	Pods(ctx context.Context, namespace, selector string) ([]kube.Pod, error)
	DeletePod(ctx context.Context, namespace string, p kube.Pod, atOnce bool) error
	WaitReplaced(ctx context.Context, namespace, selector string, gone map[string]string) error
}

// Set is the brokers of a lab as they are at this moment.
type Set struct {
	// Namespace and Selector choose the pods, each of which is called PREFIX-ID.
	Namespace, Selector, Prefix string
	IDs                         []int32
	// Answers asks a broker at its own address, once.
	Answers func(ctx context.Context, id int32) error
}

// Brokers is an endpoints.BrokerControl, and an endpoints.Reviver, of brokers that are
// pods. Apache's and Strimzi's are treated alike: StatefulSet and StrimziPodSet both make a
// pod anew that was deleted.
type Brokers struct {
	Open func() (Pods, error)
	Set  func() (Set, error)
}

// KillBroker implements endpoints.BrokerControl.
func (b *Brokers) KillBroker(ctx context.Context, id int32) error {
	pods, set, err := b.open()
	if err != nil {
		return err
	}
	all, err := pods.Pods(ctx, set.Namespace, set.Selector)
	if err != nil {
		return err
	}
	p := set.find(all, id)
	if p.UID == "" {
		return nil
	}
	return pods.DeletePod(ctx, set.Namespace, p, true)
}

// RestartBroker implements endpoints.BrokerControl: a broker that is ready is ended as
// Kubernetes ends any pod, and one that is not is on its way back already.
func (b *Brokers) RestartBroker(ctx context.Context, id int32) error {
	return b.again(ctx, []int32{id}, func(p kube.Pod) bool { return p.Ready })
}

// AwaitBroker implements endpoints.Reviver.
func (b *Brokers) AwaitBroker(ctx context.Context, id int32) error {
	return b.again(ctx, []int32{id}, func(kube.Pod) bool { return false })
}

// RestartBrokers implements endpoints.BrokerControl.
func (b *Brokers) RestartBrokers(ctx context.Context) error {
	return b.again(ctx, nil, func(kube.Pod) bool { return true })
}

// again ends those brokers of ids, nil for all, that end chooses, and waits until all of
// ids answer.
func (b *Brokers) again(ctx context.Context, ids []int32, end func(kube.Pod) bool) error {
	pods, set, err := b.open()
	if err != nil {
		return err
	}
	if ids == nil {
		ids = set.IDs
	}
	all, err := pods.Pods(ctx, set.Namespace, set.Selector)
	if err != nil {
		return err
	}
	gone := map[string]string{}
	for _, id := range ids {
		p := set.find(all, id)
		gone[p.Name] = ""
		if p.UID != "" && end(p) {
			gone[p.Name] = p.UID
			if err := pods.DeletePod(ctx, set.Namespace, p, false); err != nil {
				return err
			}
		}
	}
	if err := pods.WaitReplaced(ctx, set.Namespace, set.Selector, gone); err != nil {
		return err
	}
	for _, id := range ids {
		var last error
		err := poll.Until(ctx, 100*time.Millisecond, time.Second, func(string) {}, func(ctx context.Context) (bool, string, error) {
			err := set.Answers(ctx, id)
			if err != nil && ctx.Err() == nil {
				last = err
			}
			return err == nil, "", nil
		})
		if err != nil && last != nil {
			return fmt.Errorf("the pod of broker %d is ready, and it does not answer: %w; last: %w", id, err, last)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Brokers) open() (Pods, Set, error) {
	set, err := b.Set()
	if err != nil {
		return nil, set, err
	}
	pods, err := b.Open()
	return pods, set, err
}

// find gives the pod of a broker among all; one that is not there has no UID.
func (s Set) find(all []kube.Pod, id int32) kube.Pod {
	name := fmt.Sprintf("%s-%d", strings.TrimSuffix(s.Prefix, "-"), id)
	for _, p := range all {
		if p.Name == name {
			return p
		}
	}
	return kube.Pod{Name: name}
}

var _ interface {
	endpoints.BrokerControl
	endpoints.Reviver
} = (*Brokers)(nil)
