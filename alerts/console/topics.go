package console

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Topic is a topic with what it holds.
type Topic struct {
	Name     string `json:"name"`
	Internal bool   `json:"internal,omitempty"`
	Replicas int    `json:"replicas"` // of each partition; the most, where they differ
	// Records counts offsets between the ends of each partition: where records
	// were compacted away, or transactions were used, fewer are there. Nil when
	// it cannot be told.
	Records *int64 `json:"records"`
	// Bytes is what the topic takes on the disks of all brokers together; nil
	// when they do not tell.
	Bytes      *int64      `json:"bytes"`
	Settings   []Setting   `json:"settings"` // those that are not Kafka's defaults; nil when it is not told
	Partitions []Partition `json:"partitions"`
	// Speed is set where two looks were compared, see Speeds.
	Speed *TopicSpeed `json:"speed,omitempty"`
}

// Partition is a partition of a topic. Offsets, Records and Bytes are nil when
// they cannot be told.
type Partition struct {
	ID       int32   `json:"id"`
	Leader   int32   `json:"leader"` // -1: none
	Replicas []int32 `json:"replicas"`
	InSync   []int32 `json:"inSync"`
	Offline  []int32 `json:"offline,omitempty"`
	Earliest *int64  `json:"earliest"` // offset of the first record
	Latest   *int64  `json:"latest"`   // offset of the next one
	Records  *int64  `json:"records"`
	Bytes    *int64  `json:"bytes"` // on the leader
	Problem  string  `json:"problem,omitempty"`
}

// Topics looks at all topics that the user may see, internal ones included, or at
// those that are named, sorted by name. The strings say what could not be seen
// and why. Errors are *UnknownError and *RefusedError for a topic that is named,
// or the client's.
func (c *Cluster) Topics(ctx context.Context, names ...string) ([]Topic, []string, error) {
	meta, err := c.admin.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, nil, doing("listing topics", err)
	}
	for _, name := range names {
		switch err := meta[name].Err; {
		case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.InvalidTopicException), err == nil && !meta.Has(name):
			known, _ := c.TopicNames(ctx)
			return nil, nil, &UnknownError{Kind: "topic", Name: name, Known: known}
		case err != nil:
			return nil, nil, doing("describing topic "+name, err)
		}
	}
	if len(meta) == 0 {
		return nil, nil, nil
	}
	var missing notes
	all := meta.Names()
	// Each of these fails for its own reasons, a lack of rights first of all,
	// and none of them is worth losing the rest.
	starts, err := c.admin.ListStartOffsets(ctx, all...)
	missing.add("first offsets", err)
	ends, err := c.admin.ListEndOffsets(ctx, all...)
	missing.add("last offsets", err)
	disks, err := c.admin.DescribeAllLogDirs(ctx, meta.TopicsSet())
	missing.add("bytes", err)
	configs, err := c.admin.DescribeTopicConfigs(ctx, all...)
	missing.add("settings", err)
	if err := ended(ctx); err != nil {
		return nil, nil, err
	}
	set := map[string][]Setting{}
	for _, r := range configs {
		missing.add("settings of "+r.Name, r.Err)
		set[r.Name] = settings(r.Configs)
	}
	out := make([]Topic, 0, len(meta))
	for _, detail := range meta.Sorted() {
		t := Topic{Name: detail.Topic, Internal: detail.IsInternal, Settings: set[detail.Topic]}
		missing.add("topic "+t.Name, detail.Err)
		for _, d := range detail.Partitions.Sorted() {
			p := Partition{ID: d.Partition, Leader: d.Leader, Replicas: d.Replicas, InSync: d.ISR, Offline: d.OfflineReplicas}
			if d.Err != nil {
				p.Problem = d.Err.Error()
			}
			p.Earliest, p.Latest = offset(starts, t.Name, p.ID), offset(ends, t.Name, p.ID)
			if p.Earliest != nil && p.Latest != nil {
				n := *p.Latest - *p.Earliest
				p.Records = &n
			}
			t.Replicas = max(t.Replicas, len(p.Replicas))
			t.Partitions = append(t.Partitions, p)
		}
		t.Records = sum(t.Partitions, func(p Partition) *int64 { return p.Records })
		t.weigh(disks)
		out = append(out, t)
	}
	return out, missing, nil
}

// weigh takes over the sizes that the brokers told.
func (t *Topic) weigh(disks kadm.DescribedAllLogDirs) {
	var total int64
	told := false
	for broker, dirs := range disks {
		dirs.EachPartition(func(d kadm.DescribedLogDirPartition) {
			if d.Topic != t.Name || d.IsFuture {
				return
			}
			told = true
			total += d.Size
			i := slices.IndexFunc(t.Partitions, func(p Partition) bool { return p.ID == d.Partition && p.Leader == broker })
			if i >= 0 {
				t.Partitions[i].Bytes = &d.Size
			}
		})
	}
	if told {
		t.Bytes = &total
	}
}

// TopicNames lists the topics that the user may see, internal ones included.
func (c *Cluster) TopicNames(ctx context.Context) ([]string, error) {
	meta, err := c.admin.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, doing("listing topics", err)
	}
	return meta.Names(), nil
}

func offset(listed kadm.ListedOffsets, topic string, partition int32) *int64 {
	if o, ok := listed.Lookup(topic, partition); ok && o.Err == nil && o.Offset >= 0 {
		return &o.Offset
	}
	return nil
}

// sum is nil as soon as one part of it is.
func sum[T any](parts []T, value func(T) *int64) *int64 {
	var total int64
	for _, p := range parts {
		v := value(p)
		if v == nil {
			return nil
		}
		total += *v
	}
	return &total
}
