package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// broker is one of six, with the address at which the world finds it.
type broker struct {
	ID      int
	Address netip.Addr
}

// kafka asserts that six brokers of Apache Kafka in pods form a cluster with a quorum
// of three controllers, and that a client on the host produces and consumes by the
// address of each, port 9094, as the observatory's clients do.
func (s *stack) kafka() {
	const brokers, partitions, records = 6, 12, 600
	s.load("kafka=ok", "kafka")
	list := make([]broker, brokers)
	for i := range list {
		list[i].ID = i
	}
	s.apply("kafka-services.yaml", map[string]any{"Brokers": list})
	bootstrap := s.serviceAddress("kafka", "bootstrap")
	seen := map[netip.Addr]bool{bootstrap: true}
	for i := range list {
		list[i].Address = s.serviceAddress("kafka", fmt.Sprintf("broker-%d", i))
		if seen[list[i].Address] {
			s.Fatalf("%s is the address of two Services", list[i].Address)
		}
		seen[list[i].Address] = true
	}
	user, password := "kafka-admin", secret()
	begun := time.Now()
	s.apply("kafka.yaml", map[string]any{"Brokers": list, "Image": s.image("kafka"), "User": user, "Password": password,
		"ClusterID": "YWxlcnRsYWItcmlnLWUyZQ", "StorageClass": "wekafs--sdf-k8s01"})
	s.eventually(6*time.Minute, "six ready brokers", func() error {
		set, err := s.kube.Clientset.AppsV1().StatefulSets("kafka").Get(s.ctx, "kafka", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if set.Status.ReadyReplicas != brokers {
			return fmt.Errorf("%d of %d are ready", set.Status.ReadyReplicas, brokers)
		}
		return nil
	})
	s.Logf("six brokers ready after %.1f s", time.Since(begun).Seconds())

	options := []kgo.Opt{
		kgo.SeedBrokers(net.JoinHostPort(bootstrap.String(), "9094")),
		kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumeTopics("alerts-simulated"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RequestTimeoutOverhead(30 * time.Second),
	}
	c, err := kgo.NewClient(options...)
	s.must(err)
	defer c.Close()
	admin := kadm.NewClient(c)
	s.eventually(2*time.Minute, "a cluster of six", func() error {
		m, err := admin.BrokerMetadata(s.ctx)
		if err != nil {
			return err
		}
		var got, want []string
		for _, b := range m.Brokers {
			got = append(got, fmt.Sprintf("%d at %s:%d", b.NodeID, b.Host, b.Port))
		}
		for _, b := range list {
			want = append(want, fmt.Sprintf("%d at %s:9094", b.ID, b.Address))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("brokers %v, and not %v", got, want)
		}
		return nil
	})
	s.quorum(c)
	created, err := admin.CreateTopic(s.ctx, partitions, 3, nil, "alerts-simulated")
	s.must(err)
	s.must(created.Err)

	sent := map[string]bool{}
	var batch []*kgo.Record
	for i := range records {
		value := fmt.Sprintf("alert %d", i)
		sent[value] = true
		batch = append(batch, &kgo.Record{Topic: "alerts-simulated", Partition: int32(i % partitions), Value: []byte(value)})
	}
	s.eventually(time.Minute, "a topic with leaders", func() error {
		return c.ProduceSync(s.ctx, &kgo.Record{Topic: "alerts-simulated", Value: []byte("first")}).FirstErr()
	})
	s.must(c.ProduceSync(s.ctx, batch...).FirstErr())
	topics, err := admin.ListTopics(s.ctx, "alerts-simulated")
	s.must(err)
	leaders := map[int32]bool{}
	for _, p := range topics["alerts-simulated"].Partitions {
		leaders[p.Leader] = true
	}
	if len(leaders) != brokers {
		s.Errorf("the partitions have leaders %v: not every address was used", leaders)
	}
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	for len(sent) > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			s.Fatalf("%d of %d records did not come back: %v", len(sent), records, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { delete(sent, string(r.Value)) })
	}

	// Someone with a wrong password is refused, or the listener asks for none.
	stranger, err := kgo.NewClient(kgo.SeedBrokers(net.JoinHostPort(list[3].Address.String(), "9094")),
		kgo.SASL(scram.Auth{User: user, Pass: "wrong"}.AsSha512Mechanism()))
	s.must(err)
	defer stranger.Close()
	if err := stranger.Ping(ctx); err == nil {
		s.Error("a wrong password is let in")
	}
	// What comes next needs the memory.
	s.must(s.kube.Clientset.CoreV1().Namespaces().Delete(s.ctx, "kafka", metav1.DeleteOptions{}))
}

// quorum asserts that three controllers vote, and that the six brokers follow.
func (s *stack) quorum(c *kgo.Client) {
	s.Helper()
	request := kmsg.NewDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic, topic.Partitions = "__cluster_metadata", []kmsg.DescribeQuorumRequestTopicPartition{{}}
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(s.ctx, c)
	s.must(err)
	s.must(kerr.ErrorForCode(response.ErrorCode))
	p := response.Topics[0].Partitions[0]
	s.must(kerr.ErrorForCode(p.ErrorCode))
	if len(p.CurrentVoters) != 3 || len(p.Observers) != 3 {
		s.Errorf("quorum: %d voters and %d observers, and not three and three", len(p.CurrentVoters), len(p.Observers))
	}
	s.Logf("quorum: leader %d, high watermark %d", p.LeaderID, p.HighWatermark)
}
