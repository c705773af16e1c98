package profiles

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

// setting checks the text of one Kafka setting. It gives "" or the end of a
// sentence that begins with the value.
type setting func(text string) string

func atLeast(least int64) setting {
	return func(text string) string {
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < least {
			return fmt.Sprintf("must be a whole number, at least %d", least)
		}
		return ""
	}
}

func oneOf(words ...string) setting {
	return func(text string) string {
		if slices.Contains(words, text) {
			return ""
		}
		return "must be one of: " + strings.Join(words, ", ")
	}
}

func listOf(words ...string) setting {
	one := oneOf(words...)
	return func(text string) string {
		for word := range strings.SplitSeq(text, ",") {
			if fault := one(strings.TrimSpace(word)); fault != "" {
				return fault
			}
		}
		return ""
	}
}

func free(string) string { return "" }

// brokerSettings gives the checks of the broker settings that alertlab or its
// profiles depend on. Apache Kafka has some hundreds more: they pass.
func brokerSettings() map[string]setting {
	return map[string]setting{
		"auto.create.topics.enable":                oneOf("true", "false"),
		"compression.type":                         oneOf("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"),
		"default.replication.factor":               atLeast(1),
		"log.cleaner.backoff.ms":                   atLeast(0),
		"log.message.timestamp.type":               oneOf("CreateTime", "LogAppendTime"),
		"log.retention.bytes":                      atLeast(-1),
		"log.retention.hours":                      atLeast(-1),
		"log.retention.minutes":                    atLeast(-1),
		"log.retention.ms":                         atLeast(-1),
		"log.segment.bytes":                        atLeast(14),
		"message.max.bytes":                        atLeast(1),
		"min.insync.replicas":                      atLeast(1),
		"num.partitions":                           atLeast(1),
		"offsets.retention.minutes":                atLeast(1),
		"offsets.topic.replication.factor":         atLeast(1),
		"replica.fetch.max.bytes":                  atLeast(0),
		"replica.lag.time.max.ms":                  atLeast(1),
		"ssl.client.auth":                          oneOf("required", "requested", "none"),
		"transaction.state.log.min.isr":            atLeast(1),
		"transaction.state.log.replication.factor": atLeast(1),
	}
}

// topicSettings gives every setting that Apache Kafka 4 knows for a topic,
// with its check. A misspelt one would silently leave a topic without its
// limit, so there are no others.
func topicSettings() map[string]setting {
	return map[string]setting{
		"cleanup.policy":                          listOf("delete", "compact"),
		"compression.gzip.level":                  atLeast(-1),
		"compression.lz4.level":                   atLeast(1),
		"compression.type":                        oneOf("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"),
		"compression.zstd.level":                  atLeast(-131072),
		"delete.retention.ms":                     atLeast(0),
		"file.delete.delay.ms":                    atLeast(0),
		"flush.messages":                          atLeast(1),
		"flush.ms":                                atLeast(0),
		"follower.replication.throttled.replicas": free,
		"index.interval.bytes":                    atLeast(0),
		"leader.replication.throttled.replicas":   free,
		"local.retention.bytes":                   atLeast(-2),
		"local.retention.ms":                      atLeast(-2),
		"max.compaction.lag.ms":                   atLeast(1),
		"max.message.bytes":                       atLeast(0),
		"message.timestamp.after.max.ms":          atLeast(0),
		"message.timestamp.before.max.ms":         atLeast(0),
		"message.timestamp.type":                  oneOf("CreateTime", "LogAppendTime"),
		"min.cleanable.dirty.ratio":               free,
		"min.compaction.lag.ms":                   atLeast(0),
		"min.insync.replicas":                     atLeast(1),
		"preallocate":                             oneOf("true", "false"),
		"remote.log.copy.disable":                 oneOf("true", "false"),
		"remote.log.delete.on.disable":            oneOf("true", "false"),
		"remote.storage.enable":                   oneOf("true", "false"),
		"retention.bytes":                         atLeast(-1),
		"retention.ms":                            atLeast(-1),
		"segment.bytes":                           atLeast(14),
		"segment.index.bytes":                     atLeast(4),
		"segment.jitter.ms":                       atLeast(0),
		"segment.ms":                              atLeast(1),
		"unclean.leader.election.enable":          oneOf("true", "false"),
	}
}

// The broker's defaults of Apache Kafka for what follows.
const (
	defaultMessageMaxBytes = 1048588
	noLimit                = -1
)

// MessageMaxBytes is the size in bytes of the largest record batch that the
// topic takes: its own max.message.bytes, else the broker's message.max.bytes,
// else Kafka's default. An empty name asks for the broker's limit.
func (k Kafka) MessageMaxBytes(topic string) int64 {
	if t, ok := k.Topic(topic); ok {
		if n, ok := number(t.Config, "max.message.bytes"); ok {
			return n
		}
	}
	if n, ok := number(k.Config, "message.max.bytes"); ok {
		return n
	}
	return defaultMessageMaxBytes
}

// AutoCreateTopics tells whether a broker makes a topic that a client asks
// for; Kafka's default is true.
func (k Kafka) AutoCreateTopics() bool { return k.Config["auto.create.topics.enable"] != "false" }

// Topic gives the declared topic of this name.
func (k Kafka) Topic(name string) (Topic, bool) {
	i := slices.IndexFunc(k.Topics, func(t Topic) bool { return t.Name == name })
	if i < 0 {
		return Topic{}, false
	}
	return k.Topics[i], true
}

// Compacted tells whether the topic keeps the last record of each key rather
// than all records for some time.
func (t Topic) Compacted() bool {
	return strings.Contains(t.Config["cleanup.policy"], "compact")
}

// DiskNeeded gives the bytes that the declared topics hold when they are full,
// over all brokers: the sum of partitions x replicas x retention.bytes, with
// log.retention.bytes for a topic that sets no limit of its own. It is -1 when
// a topic has no limit, and stays at the largest int64 beyond that.
//
// Compacted topics count nothing, since retention.bytes does not bound them
// and here they are small. Kafka drops whole segments, so each copy of a
// partition may exceed its share by up to one segment (segment.bytes).
func (p *Profile) DiskNeeded() int64 {
	var total uint64
	for _, t := range p.Kafka.Topics {
		if t.Compacted() {
			continue
		}
		limit, ok := number(t.Config, "retention.bytes")
		if !ok {
			limit, ok = number(p.Kafka.Config, "log.retention.bytes")
		}
		if !ok || limit == noLimit {
			return noLimit
		}
		copies := uint64(t.Partitions) * uint64(t.Replicas) // at most 2^31 x 2^15
		if copies != 0 && uint64(limit) > (math.MaxInt64-total)/copies {
			total = math.MaxInt64
			continue
		}
		total += copies * uint64(limit)
	}
	return int64(total)
}

func number(config map[string]string, key string) (int64, bool) {
	n, err := strconv.ParseInt(config[key], 10, 64)
	return n, err == nil
}

// checkSettings validates one map of settings at path. Keys that known does
// not hold are refused when closed, else only their shape is checked.
func checkSettings(r *strictyaml.Report, path string, config map[string]string, known map[string]setting, closed bool) {
	for _, key := range slices.Sorted(maps.Keys(config)) {
		at := path + "." + key
		check, ok := known[key]
		switch {
		case ok:
			if fault := check(config[key]); fault != "" {
				r.Addf(at, "%s %s", strictyaml.Quote(config[key]), fault)
			}
		case closed:
			near := strictyaml.Nearest(key, slices.Sorted(maps.Keys(known)))
			if near != "" {
				near = ", did you mean " + strictyaml.Quote(near) + "?"
			}
			r.Addf(at, "Kafka has no such setting of a topic%s", near)
		case !configPattern.MatchString(key):
			r.Addf(at, "is not a key of Kafka's configuration: lower-case words with dots")
		}
	}
}
