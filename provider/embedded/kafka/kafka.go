// Package kafka is the embedded twin of the Kafka cluster that Strimzi runs: the
// same brokers with the same listener, inside the runner.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/broker"
	kafkaclient "github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

type input struct {
	Bootstrap string            `json:"bootstrap"` // host:port
	Brokers   []node            `json:"brokers"`
	Superuser string            `json:"superuser"`
	Settings  map[string]string `json:"settings"` // broker configuration
	// Retention are those settings that change while the brokers run.
	Retention map[string]string `json:"retention,omitempty"`
	TLS       *encryption       `json:"tls,omitempty"`
	Sync      bool              `json:"sync,omitempty"` // acknowledge what is on disk only
}

// encryption is what a listener with TLS needs beyond its addresses.
type encryption struct {
	Hosts []string `json:"hosts"` // names under which clients may know the brokers
}

type node struct {
	Name    string `json:"name"` // the broker's id
	Address string `json:"address"`
}

// gateAnswer opens when every broker answers at its own address.
const gateAnswer = "brokers-answer"

// Want describes the brokers of a profile.
func Want(p *profiles.Profile) plan.Want {
	in := input{Bootstrap: "${addresses.bootstrap}", Superuser: p.Kafka.Superuser, Settings: map[string]string{}, Retention: map[string]string{}, Sync: p.Kafka.Sync}
	for key, value := range p.Kafka.Config {
		if strings.HasPrefix(key, "log.retention.") {
			in.Retention[key] = value
		} else {
			in.Settings[key] = value
		}
	}
	w := plan.Want{Outputs: []string{"bootstrap"}, Runs: true, Stores: "the records of every topic, users and ACLs"}
	for i := range p.Kafka.Brokers.Count {
		id := strconv.Itoa(int(p.Kafka.Brokers.FirstID) + i)
		in.Brokers = append(in.Brokers, node{Name: id, Address: "${addresses.broker." + id + "}"})
		w.Outputs = append(w.Outputs, "broker."+id)
	}
	w.Title = fmt.Sprintf("%d brokers, ids %s to %s, SASL SCRAM-SHA-512", len(in.Brokers), in.Brokers[0].Name, in.Brokers[len(in.Brokers)-1].Name)
	if len(in.Brokers) == 1 {
		w.Title = fmt.Sprintf("1 broker, id %s, SASL SCRAM-SHA-512", in.Brokers[0].Name)
	}
	if l := p.Kafka.Listener; l.TLS {
		w.Title += " over TLS"
		w.Outputs = append(w.Outputs, "ca", "ca-file")
		in.TLS = &encryption{Hosts: slices.Clone(l.BrokerHosts)}
		if l.BootstrapHost != "" {
			in.TLS.Hosts = append(in.TLS.Hosts, l.BootstrapHost)
		}
	}
	if in.Sync {
		w.Title += ", synced to disk"
	}
	w.Input, w.InPlace = plan.Input(in), []string{"retention"}
	w.Gates = []plan.Gate{{Name: gateAnswer, What: "every broker answers at its own address", Deadline: 10 * time.Second}}
	return w
}

// Part is the brokers as a part of a lab, with control of each of them: an
// endpoints.BrokerControl.
type Part struct{ *embedded.Twin[input] }

// New makes the part.
func New(host *embedded.Host) plan.Part {
	store := host.Dir.Data("kafka")
	return Part{&embedded.Twin[input]{Name: "the Kafka cluster", Store: store,
		Start: func(ctx context.Context, in input, _ plan.Order) (embedded.Process, map[string]string, error) {
			password, err := host.Secrets.Password(in.Superuser)
			if err != nil {
				return nil, nil, err
			}
			cfg := broker.Config{Bootstrap: in.Bootstrap, DataDir: store, Superuser: in.Superuser, Password: password,
				Settings: in.settings(), Sync: in.Sync, Log: host.Log("kafka")}
			for _, n := range in.Brokers {
				id, err := strconv.ParseInt(n.Name, 10, 32)
				if err != nil {
					return nil, nil, fmt.Errorf("broker id: %w", err)
				}
				cfg.Nodes = append(cfg.Nodes, broker.Node{ID: int32(id), Address: n.Address})
			}
			out := map[string]string{}
			var ca []byte
			if in.TLS != nil {
				a, err := authority.Open(host.Dir.TLS(), "alertlab "+host.Dir.Lab(), authority.Log(cfg.Log))
				if err != nil {
					return nil, nil, err
				}
				if cfg.TLS, err = a.Server("kafka", in.hosts(host.Dir.Lab())); err != nil {
					return nil, nil, err
				}
				ca = a.PEM()
				out["ca"], out["ca-file"] = string(ca), a.File()
			}
			// From here on every login of the lab goes the way that these brokers take.
			if err := host.Secrets.Trust(ca); err != nil {
				return nil, nil, err
			}
			cluster, err := broker.Start(ctx, cfg)
			if err != nil {
				return nil, nil, err
			}
			out["bootstrap"] = cluster.Bootstrap()
			for _, n := range cluster.Nodes() {
				out["broker."+strconv.Itoa(int(n.ID))] = n.Address
			}
			login, err := host.Secrets.Login(cluster.Bootstrap(), in.Superuser)
			if err != nil {
				return nil, nil, errors.Join(err, cluster.Close())
			}
			return &process{cluster: cluster, login: login}, out, nil
		},
		Adapt: func(p embedded.Process, was, now input) (bool, error) {
			running, ok := p.(*process)
			retention := now.Retention
			was.Retention, now.Retention = nil, nil
			if !ok || !reflect.DeepEqual(was, now) {
				return false, nil
			}
			return true, running.cluster.SetRetention(retention)
		}}}
}

// settings are all that the brokers start with.
func (in input) settings() map[string]string {
	out := maps.Clone(in.Settings)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, in.Retention)
	return out
}

// errNotRunning says that there are no brokers to control.
var errNotRunning = errors.New("the Kafka cluster does not run")

// KillBroker implements endpoints.BrokerControl.
func (p Part) KillBroker(_ context.Context, id int32) error {
	if p, ok := p.Process().(*process); ok {
		return p.cluster.Kill(id)
	}
	return errNotRunning
}

// RestartBroker implements endpoints.BrokerControl.
func (p Part) RestartBroker(ctx context.Context, id int32) error {
	process, ok := p.Process().(*process)
	if !ok {
		return errNotRunning
	}
	if err := process.cluster.Restart(ctx, id); err != nil {
		return err
	}
	return embedded.Poll(ctx, func(string) {}, func(ctx context.Context) (bool, string, error) {
		err := process.ask(ctx, process.node(id), len(process.cluster.Living()))
		return err == nil, fmt.Sprint(err), nil
	})
}

// RestartBrokers implements endpoints.BrokerControl: the cluster is closed, and
// loaded again from its data directory.
func (p Part) RestartBrokers(ctx context.Context) error {
	if err := p.Again(ctx); err != nil {
		return err
	}
	return p.Wait(ctx, plan.Gate{Name: gateAnswer}, plan.Order{}, func(string) {})
}

// hosts are all names and addresses under which clients may know the brokers: one
// certificate for all, as the real cluster's external listener has it.
func (in input) hosts(lab string) []string {
	hosts := append(slices.Clone(in.TLS.Hosts), "bootstrap."+endpoints.Domain(lab))
	for _, b := range in.Brokers {
		hosts = append(hosts, "broker-"+b.Name+"."+endpoints.Domain(lab))
	}
	add := func(address string) {
		if host, _, err := net.SplitHostPort(address); err == nil {
			hosts = append(hosts, host)
		}
	}
	add(in.Bootstrap)
	for _, b := range in.Brokers {
		add(b.Address)
	}
	return hosts
}

type process struct {
	cluster *broker.Cluster
	login   kafkaclient.Login
}

// Probe asks each broker by itself for the cluster's metadata.
func (p *process) Probe(ctx context.Context, _ string) (bool, string, error) {
	nodes := p.cluster.Nodes()
	answers := 0
	var last error
	for _, n := range nodes {
		if err := p.ask(ctx, n, len(nodes)); err != nil {
			last = fmt.Errorf("broker %d at %s: %w", n.ID, n.Address, err)
			continue
		}
		answers++
	}
	seen := fmt.Sprintf("%d of %d answer", answers, len(nodes))
	if last != nil {
		seen += "; " + last.Error()
	}
	return answers == len(nodes), seen, nil
}

func (p *process) ask(ctx context.Context, n broker.Node, want int) error {
	login := p.login
	login.Bootstrap = []string{n.Address}
	client, err := kafkaclient.NewClient(login, kgo.RetryTimeout(time.Second))
	if err != nil {
		return err
	}
	defer client.Close()
	meta, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	if len(meta.Brokers) != want {
		return fmt.Errorf("it knows %d brokers, not %d", len(meta.Brokers), want)
	}
	return nil
}

func (p *process) node(id int32) broker.Node {
	nodes := p.cluster.Nodes()
	return nodes[slices.IndexFunc(nodes, func(n broker.Node) bool { return n.ID == id })]
}

// Facts implements embedded.Process.
func (p *process) Facts() []event.Fact {
	facts := []event.Fact{
		{Name: "bootstrap", Value: p.cluster.Bootstrap()},
		{Name: "brokers", Value: fmt.Sprintf("%d of %d live", len(p.cluster.Living()), len(p.cluster.Nodes()))},
	}
	if away := p.Away(); away != "" {
		facts = append(facts, event.Fact{Name: "away", Value: away})
	}
	return facts
}

// killed lists the brokers that are dead, ascending.
func (p *process) killed() []int32 {
	var out []int32
	living := p.cluster.Living()
	for _, n := range p.cluster.Nodes() {
		if !slices.Contains(living, n.ID) {
			out = append(out, n.ID)
		}
	}
	return out
}

// Away implements embedded.Mender.
func (p *process) Away() string {
	var ids []string
	for _, id := range p.killed() {
		ids = append(ids, strconv.Itoa(int(id)))
	}
	switch len(ids) {
	case 0:
		return ""
	case 1:
		return "broker " + ids[0] + " is killed"
	}
	return "brokers " + strings.Join(ids, ", ") + " are killed"
}

// Mend implements embedded.Mender.
func (p *process) Mend(ctx context.Context) error {
	for _, id := range p.killed() {
		if err := p.cluster.Restart(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// Ended implements embedded.Process: the brokers end with the runner only.
func (p *process) Ended() <-chan error { return nil }

// Stop implements embedded.Process.
func (p *process) Stop(context.Context) error {
	if err := p.cluster.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
