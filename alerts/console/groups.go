package console

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Group is a consumer group.
type Group struct {
	Name  string `json:"name"`
	State string `json:"state"` // Stable, Empty, PreparingRebalance, ...
	// Type is "classic", or "consumer" for a group whose partitions the brokers
	// assign (KIP-848).
	Type        string         `json:"type"`
	Assignor    string         `json:"assignor,omitempty"`
	Coordinator Coordinator    `json:"coordinator"`
	Members     []Member       `json:"members"`
	Partitions  []GroupOffsets `json:"partitions"`
	// Lag sums what is known of the partitions; nil when the group has none.
	Lag     *int64 `json:"lag"`
	Problem string `json:"problem,omitempty"`
	// Speed is set where two looks were compared, see Speeds.
	Speed *GroupSpeed `json:"speed,omitempty"`
}

// Coordinator is the broker that looks after a group.
type Coordinator struct {
	ID      int32  `json:"id"`
	Address string `json:"address"` // host:port
}

// Member is a client in a group.
type Member struct {
	ID         string             `json:"id"`
	Instance   string             `json:"instance,omitempty"` // group.instance.id
	Client     string             `json:"client"`             // client.id
	Host       string             `json:"host"`
	Partitions map[string][]int32 `json:"partitions"` // assigned, by topic
}

// GroupOffsets is how far a group is in a partition.
type GroupOffsets struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed *int64 `json:"committed"` // offset of the next record to read; nil: none committed
	Latest    *int64 `json:"latest"`    // offset after the last record; nil when it cannot be told
	// Lag is Latest less Committed, or less the partition's first offset while
	// nothing is committed; nil when it cannot be told.
	Lag     *int64 `json:"lag"`
	Member  string `json:"member,omitempty"` // id of the member that reads it
	Problem string `json:"problem,omitempty"`
}

// GroupNames lists the groups that the user may see, sorted.
func (c *Cluster) GroupNames(ctx context.Context) ([]string, error) {
	listed, err := c.admin.ListGroups(ctx)
	if err != nil && len(listed) == 0 {
		return nil, doing("listing groups", err)
	}
	names := listed.Groups()
	slices.Sort(names)
	return names, nil
}

// Groups looks at all groups that the user may see, or at those that are named,
// sorted by name. The strings say what could not be seen and why. Errors are
// *UnknownError and *RefusedError for a group that is named, or the client's.
func (c *Cluster) Groups(ctx context.Context, names ...string) ([]Group, []string, error) {
	var missing notes
	listed, err := c.admin.ListGroups(ctx)
	if err != nil {
		if len(listed) == 0 {
			return nil, nil, doing("listing groups", err)
		}
		missing.add("groups", err)
	}
	all := names
	if len(all) == 0 {
		all = listed.Groups()
	}
	if len(all) == 0 {
		return nil, missing, nil
	}
	slices.Sort(all)
	groups, err := c.describe(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	for i, g := range groups {
		if len(names) == 0 {
			continue
		}
		_, there := listed[g.Name]
		switch {
		case g.err != nil && refused(g.err) != nil:
			return nil, nil, doing("describing group "+g.Name, g.err)
		case !there && (g.State == "Dead" || g.State == "" || errors.Is(g.err, kerr.GroupIDNotFound)):
			return nil, nil, &UnknownError{Kind: "group", Name: g.Name, Known: slices.Sorted(maps.Keys(listed))}
		case g.err != nil:
			groups[i].Problem = g.err.Error()
		}
	}
	c.lag(ctx, groups, &missing)
	if err := ended(ctx); err != nil {
		return nil, nil, err
	}
	out := make([]Group, 0, len(groups))
	for _, g := range groups {
		if g.err != nil && g.Problem == "" {
			g.Problem = g.err.Error()
		}
		out = append(out, g.Group)
	}
	return out, missing, nil
}

// described is a group while it is being looked at.
type described struct {
	Group
	err error
}

// describe asks for each group as what it is: those of the newer protocol are not
// described by the request for the others. A broker that does not know the newer
// one (before Kafka 4) has no such groups.
func (c *Cluster) describe(ctx context.Context, names []string) ([]described, error) {
	newer, _ := c.admin.ListGroupsByType(ctx, []string{"consumer"})
	var older []string
	for _, name := range names {
		if _, ok := newer[name]; !ok {
			older = append(older, name)
		}
	}
	var (
		classic kadm.DescribedGroups
		err     error
	)
	if len(older) > 0 {
		classic, err = c.admin.DescribeGroups(ctx, older...)
	}
	if err != nil && len(classic) == 0 && refused(err) == nil {
		return nil, doing("describing groups", err)
	}
	var out []described
	for _, name := range names {
		var d described
		if g, ok := classic[name]; ok {
			d = fromClassic(g)
		} else if _, ok := newer[name]; ok {
			// One by one: one that may not be described fails a whole request.
			answer, err := c.admin.DescribeConsumerGroups(ctx, name)
			if d = fromConsumer(answer[name]); err != nil {
				d.err = err
			}
		} else if d.err = err; err == nil {
			d.err = kerr.GroupIDNotFound
		}
		d.Name = name
		out = append(out, d)
	}
	return out, nil
}

func fromClassic(g kadm.DescribedGroup) described {
	out := described{err: g.Err, Group: Group{Name: g.Group, State: g.State, Type: "classic", Assignor: g.Protocol, Coordinator: coordinator(g.Coordinator)}}
	for _, m := range g.Members {
		member := newMember(m.MemberID, m.InstanceID, m.ClientID, m.ClientHost)
		if a, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range a.Topics {
				member.Partitions[t.Topic] = slices.Sorted(slices.Values(t.Partitions))
			}
		}
		out.Members = append(out.Members, member)
	}
	return out
}

func fromConsumer(g kadm.DescribedConsumerGroup) described {
	out := described{err: g.Err, Group: Group{Name: g.Group, State: g.State, Type: "consumer", Assignor: g.AssignorName, Coordinator: coordinator(g.Coordinator)}}
	for _, m := range g.Members {
		member := newMember(m.MemberID, m.InstanceID, m.ClientID, m.ClientHost)
		for _, t := range m.Assignment.Sorted() {
			if t.Topic == "" { // embedded brokers name topics by id only
				continue
			}
			member.Partitions[t.Topic] = slices.Sorted(slices.Values(t.Partitions))
		}
		out.Members = append(out.Members, member)
	}
	return out
}

// newMember makes a member without partitions; instance is nil where none was given.
func newMember(id string, instance *string, client, host string) Member {
	m := Member{ID: id, Client: client, Host: host, Partitions: map[string][]int32{}}
	if instance != nil {
		m.Instance = *instance
	}
	return m
}

func coordinator(b kadm.BrokerDetail) Coordinator {
	return Coordinator{ID: b.NodeID, Address: address(b)}
}

type topicPartition struct {
	topic     string
	partition int32
}

// lag adds to groups how far they are: in every partition that is assigned to a
// member or that an offset is committed for.
func (c *Cluster) lag(ctx context.Context, groups []described, missing *notes) {
	var names []string
	for _, g := range groups {
		if g.err == nil {
			names = append(names, g.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	commits := c.admin.FetchManyOffsets(ctx, names...)
	reading := make([]map[topicPartition]string, len(groups)) // member ids
	topics := map[string]bool{}
	for i, g := range groups {
		reading[i] = map[topicPartition]string{}
		for _, m := range g.Members {
			for topic, partitions := range m.Partitions {
				topics[topic] = true
				for _, p := range partitions {
					reading[i][topicPartition{topic, p}] = m.ID
				}
			}
		}
		answer := commits[g.Name]
		missing.add("offsets of group "+g.Name, answer.Err)
		answer.Fetched.Each(func(o kadm.OffsetResponse) {
			topics[o.Topic] = true
			if at := (topicPartition{o.Topic, o.Partition}); reading[i][at] == "" {
				reading[i][at] = ""
			}
		})
	}
	if len(topics) == 0 {
		return
	}
	all := slices.Sorted(maps.Keys(topics))
	starts, err := c.admin.ListStartOffsets(ctx, all...)
	missing.add("first offsets", err)
	ends, err := c.admin.ListEndOffsets(ctx, all...)
	missing.add("last offsets", err)
	for i := range groups {
		g := &groups[i]
		for at, member := range reading[i] {
			o := GroupOffsets{Topic: at.topic, Partition: at.partition, Member: member, Latest: offset(ends, at.topic, at.partition)}
			if end, ok := ends.Lookup(at.topic, at.partition); ok && end.Err != nil {
				o.Problem = end.Err.Error()
			}
			from := offset(starts, at.topic, at.partition)
			if commit, ok := commits[g.Name].Fetched.Lookup(at.topic, at.partition); ok {
				if commit.Err != nil {
					o.Problem = commit.Err.Error()
				} else if commit.At >= 0 {
					o.Committed, from = &commit.At, &commit.At
				}
			}
			if o.Latest != nil && from != nil {
				behind := max(*o.Latest-*from, 0)
				o.Lag = &behind
			}
			g.Partitions = append(g.Partitions, o)
		}
		slices.SortFunc(g.Partitions, func(a, b GroupOffsets) int {
			if a.Topic != b.Topic {
				if a.Topic < b.Topic {
					return -1
				}
				return 1
			}
			return int(a.Partition) - int(b.Partition)
		})
		known := slices.DeleteFunc(slices.Clone(g.Partitions), func(o GroupOffsets) bool { return o.Lag == nil })
		if len(known) > 0 {
			g.Lag = sum(known, func(o GroupOffsets) *int64 { return o.Lag })
		}
	}
}
