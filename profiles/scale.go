package profiles

import (
	"fmt"
	"math"
	"strconv"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

// Limits are what a lab may take of the machine that it runs on.
type Limits struct {
	// BrokerDisk is what the topics may take of the disk for each broker, in
	// bytes. Zero is no limit.
	BrokerDisk int64
}

// Change is one value that a lab runs otherwise than it stands at its source.
type Change struct {
	Value  string `json:"value"`  // the path, as in a Concession
	Source string `json:"source"` // what it is there, as text
	Run    string `json:"run"`    // what is run
	Why    string `json:"why"`
}

// String is one line.
func (c Change) String() string {
	return fmt.Sprintf("%s: %s -> %s, because %s", c.Value, c.Source, c.Run, c.Why)
}

// Conceded gives what the profile itself concedes: the source's values and
// those that it runs in their place. A value that an override has set to the
// source's is none of them.
func (p *Profile) Conceded() []Change {
	var list []Change
	for _, c := range p.Concessions {
		if run := p.Value(c.Value); run != c.Source {
			list = append(list, Change{c.Value, c.Source, run, c.Why})
		}
	}
	return list
}

// A segment is the least that retention gives back, and an embedded broker reads
// the last one of each partition when it starts: with Kafka's default of 1 GiB
// no small limit would be kept.
const (
	leastSegment = 1 << 20
	mostSegment  = 8 << 20
)

// Scale gives what p becomes within limits, and each value that changes, but for
// the size of each topic's segments, which follows from its retention.bytes. A
// profile whose brokers state no storage, or no more than the limit, is given
// back as it is.
//
// Else the disk of a broker is cut to the limit. Half of it is for the topic
// that visits are played to, the rest for the other topics, in equal shares;
// retention.bytes becomes what a copy of a partition has of that, but never more
// than it was, nor less than one segment, which must hold the largest message.
// Where segments must be so large that the topics exceed the limit, the disk
// grows with them.
func Scale(p *Profile, limits Limits) (*Profile, []Change, error) {
	disk := limits.BrokerDisk
	if had := p.Kafka.Brokers.Storage.Size; disk <= 0 || had <= disk {
		return p, nil, nil
	}
	out := p.clone()
	var changes []Change
	record := func(path, why string) {
		if was, is := p.Value(path), out.Value(path); was != is {
			changes = append(changes, Change{path, was, is, why})
		}
	}
	const why = "this machine's disk is shared by all brokers"

	count := int64(out.Kafka.Brokers.Count)
	others := int64(0)
	for _, t := range out.Kafka.Topics {
		if !t.Compacted() && t.Name != out.Simulator.Topic {
			others++
		}
	}
	budget := disk * count
	// Topics that users add have the brokers' limits.
	setConfig(&out.Kafka.Config, "log.retention.bytes", disk/8)
	setConfig(&out.Kafka.Config, "log.segment.bytes", max(mostSegment, out.Kafka.MessageMaxBytes("")))
	for i := range out.Kafka.Topics {
		t := &out.Kafka.Topics[i]
		if t.Compacted() {
			continue
		}
		share := budget / 2
		if t.Name != out.Simulator.Topic {
			share /= others
		}
		share /= int64(t.Partitions) * int64(t.Replicas)
		segment := max(min(share/4, mostSegment), leastSegment, out.Kafka.MessageMaxBytes(t.Name))
		setConfig(&t.Config, "retention.bytes", max(share, segment))
		setConfig(&t.Config, "segment.bytes", segment)
	}
	out.Kafka.Brokers.Storage.Size = min(p.Kafka.Brokers.Storage.Size, max(disk, perBroker(out.DiskNeeded(), count)))

	record("kafka.brokers.storage.size", why)
	record("kafka.config.log.retention.bytes", why)
	record("kafka.config.log.segment.bytes", "retention gives back whole segments; those of each topic are cut likewise")
	for _, t := range out.Kafka.Topics {
		record("kafka.topics["+t.Name+"].config.retention.bytes", why)
	}
	text, err := out.YAML()
	if err != nil {
		return nil, nil, fmt.Errorf("profile %s scaled: %w", out.Name, err)
	}
	out.source = text
	return out, changes, nil
}

// perBroker is what each of count brokers has of a total, in whole MiB.
func perBroker(total, count int64) int64 {
	const unit = 1 << 20
	if total > math.MaxInt64-count*unit {
		return math.MaxInt64
	}
	return (total + count*unit - 1) / (count * unit) * unit
}

// setConfig sets a limit in a map of settings, unless a lower one is there.
func setConfig(config *map[string]string, key string, most int64) {
	if n, ok := number(*config, key); ok && n != noLimit && n <= most {
		return
	}
	if *config == nil {
		*config = map[string]string{}
	}
	(*config)[key] = strconv.FormatInt(most, 10)
}

// storage checks that what the topics hold when they are full finds room on the
// brokers' disks.
func (v validator) storage() {
	b, size := v.Kafka.Brokers, v.Kafka.Brokers.Storage.Size
	if size <= 0 || b.Count < 1 || !v.r.Sound("kafka.brokers.storage", "kafka.brokers.count", "kafka.topics", "kafka.config") {
		return
	}
	for i, t := range v.Kafka.Topics {
		one := Profile{Kafka: Kafka{Config: v.Kafka.Config, Topics: []Topic{t}}}
		if t.Partitions > 0 && t.Replicas > 0 && one.DiskNeeded() == noLimit {
			v.r.Addf(fmt.Sprintf("kafka.topics[%d].config.retention.bytes", i),
				"the topic %s has no limit, but the brokers' disks have: %s each (kafka.brokers.storage.size); give it retention.bytes, or all of them log.retention.bytes",
				strictyaml.Quote(t.Name), strictyaml.FormatSize(size))
			return
		}
		if t.Partitions < 1 || t.Replicas < 1 {
			return
		}
	}
	if needed := v.DiskNeeded(); needed/int64(b.Count) > size {
		v.r.Addf("kafka.brokers.storage.size", "%d brokers of %s have no room for %s, which the topics hold when they are full (partitions x replicas x retention.bytes)",
			b.Count, strictyaml.FormatSize(size), roughly(needed))
	}
}

// roughly writes a size for reading.
func roughly(bytes int64) string {
	for _, unit := range []struct {
		name  string
		bytes float64
	}{{"PB", 1e15}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}} {
		if float64(bytes) >= unit.bytes {
			return fmt.Sprintf("%.1f %s", float64(bytes)/unit.bytes, unit.name)
		}
	}
	return strictyaml.FormatSize(bytes)
}
