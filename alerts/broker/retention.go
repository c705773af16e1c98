package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// defaultBackoff is how often retention runs unless log.cleaner.backoff.ms
	// says otherwise. Kafka checks every five minutes; a lab's disk is small.
	defaultBackoff = 30 * time.Second
	// neverMillis, ten years, is what kfake is told, because its own cleaner
	// loses records: it deletes by age from compacted topics too, and its
	// compaction removes segment files before it writes the new ones. Here
	// compacted topics keep every record, which compaction allows.
	neverMillis = "315360000000"

	marksFile = "marks.json"
	// room is more records than a partition takes in while retention runs.
	room = 100_000
)

// retain applies retention.ms and retention.bytes until ctx ends.
func (c *Cluster) retain(ctx context.Context) {
	every := defaultBackoff
	if ms, err := strconv.ParseInt(c.cfg.Settings["log.cleaner.backoff.ms"], 10, 64); err == nil && ms > 0 {
		every = time.Duration(ms) * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.ApplyRetention(); err != nil && !errors.Is(err, ErrClosed) {
			c.log.Error("broker cannot apply retention", "err", err)
		}
	}
}

// SetRetention gives the brokers other limits for topics that have none of their own,
// while they run: log.retention.ms, else .minutes, else .hours, and
// log.retention.bytes. Those that settings does not name are Kafka's defaults again.
// Other keys are left out of account.
func (c *Cluster) SetRetention(settings map[string]string) error {
	cfg := Config{Settings: settings}
	now := cfg.settings()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType = kmsg.ConfigResourceTypeBroker
	for _, key := range retentionKeys {
		rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		rc.Name = key
		if value := now[key]; value != "" {
			rc.Value = kmsg.StringPtr(value)
		} else {
			rc.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		r.Configs = append(r.Configs, rc)
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	req.Resources = append(req.Resources, r)
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return ErrClosed
	}
	return c.alter(req)
}

// ApplyRetention deletes what retention.ms and retention.bytes no longer keep,
// now rather than at the next turn of log.cleaner.backoff.ms. Disk is given
// back a whole segment (log.segment.bytes) at a time.
func (c *Cluster) ApplyRetention() error { return c.withTopics(c.applyRetention) }

func (c *Cluster) applyRetention(topics []kmsg.MetadataResponseTopic) error {
	if err := c.shield(topics); err != nil {
		return err
	}
	// A partition that retention empties leaves no file that tells where it
	// ended, so that is written down first; with room, because records may
	// come in meanwhile that are old enough to go at once. After a crash in
	// between offsets skip the room, which Kafka's may; none is used twice.
	if err := c.mark(topics, room); err != nil {
		return err
	}
	c.fake.ApplyRetention()
	return c.mark(topics, 0)
}

// shield exempts topics that are only compacted from retention, as in Kafka.
func (c *Cluster) shield(topics []kmsg.MetadataResponseTopic) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	for _, t := range topics {
		info := c.fake.TopicInfo(*t.Topic)
		if info == nil {
			continue
		}
		value := func(key string) string {
			if v := info.Configs[key]; v != nil {
				return *v
			}
			return ""
		}
		policy := value("cleanup.policy")
		if !strings.Contains(policy, "compact") || strings.Contains(policy, "delete") {
			continue
		}
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, *t.Topic
		for _, key := range []string{"retention.ms", "retention.bytes"} {
			if value(key) != "-1" {
				rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
				rc.Name, rc.Value = key, kmsg.StringPtr("-1")
				r.Configs = append(r.Configs, rc)
			}
		}
		if len(r.Configs) > 0 {
			req.Resources = append(req.Resources, r)
		}
	}
	return c.alter(req)
}

// notice sees to topics that a Metadata request made: kfake writes down that
// they exist only when it is closed or some topic's configuration is altered.
func (c *Cluster) notice(a *kmsg.MetadataResponse) error {
	if !c.cfg.autoCreate() {
		return nil
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	c.mu.Lock()
	for _, t := range a.Topics {
		if t.ErrorCode == 0 && t.Topic != nil && !c.topics[*t.Topic] {
			r := kmsg.NewIncrementalAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, *t.Topic
			req.Resources = append(req.Resources, r)
		}
	}
	if len(req.Resources) == 0 || c.closed {
		c.mu.Unlock()
		return nil
	}
	err := c.alter(req)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if err := c.changed(); err != nil {
		return err
	}
	// The answer was made before the leaders were given their places.
	topics, err := func() ([]kmsg.MetadataResponseTopic, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed {
			return nil, ErrClosed
		}
		return c.describe()
	}()
	if err != nil {
		return err
	}
	now := make(map[string][]kmsg.MetadataResponseTopicPartition)
	for _, t := range topics {
		now[*t.Topic] = t.Partitions
	}
	for i := range a.Topics {
		if t := &a.Topics[i]; t.ErrorCode == 0 && t.Topic != nil && now[*t.Topic] != nil {
			t.Partitions = now[*t.Topic]
		}
	}
	return nil
}

func (c *Cluster) alter(req *kmsg.IncrementalAlterConfigsRequest) error {
	if len(req.Resources) == 0 {
		return nil
	}
	answer, err := c.ask(req)
	if err != nil {
		return err
	}
	for _, r := range answer.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return fmt.Errorf("altering the configuration of %q: %w", r.ResourceName, err)
		}
	}
	return nil
}

// ask puts one request to the controller as the superuser.
func (c *Cluster) ask(req kmsg.Request) (kmsg.Response, error) {
	l, err := c.dial(c.cfg.Superuser, address("127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	defer l.Close()
	answer, err := l.ask(req)
	if err != nil {
		return nil, fmt.Errorf("asking the controller for %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	return answer, nil
}

// describe lists all topics as the superuser sees them.
func (c *Cluster) describe() ([]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	answer, err := c.ask(req)
	if err != nil {
		return nil, err
	}
	return answer.(*kmsg.MetadataResponse).Topics, nil
}

// readStamps finds the topics with append time: by their own configuration, or
// by the brokers' when they have none.
func (c *Cluster) readStamps(topics []kmsg.MetadataResponseTopic) (*stamps, error) {
	const own, brokers = "message.timestamp.type", "log.message.timestamp.type"
	s := &stamps{names: make(map[string]bool), ids: make(map[topicID]bool)}
	if len(topics) == 0 {
		return s, nil
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version = 4
	ids := make(map[string]topicID)
	for _, t := range topics {
		ids[*t.Topic] = t.TopicID
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, *t.Topic
		r.ConfigNames = []string{own, brokers}
		req.Resources = append(req.Resources, r)
	}
	answer, err := c.ask(req)
	if err != nil {
		return nil, err
	}
	for _, r := range answer.(*kmsg.DescribeConfigsResponse).Resources {
		var kind string
		for _, config := range r.Configs {
			set := config.Name == own && config.Source == kmsg.ConfigSourceDynamicTopicConfig
			if config.Value != nil && (set || config.Name == brokers && kind == "") {
				kind = *config.Value
			}
		}
		if kind == "LogAppendTime" {
			s.names[r.ResourceName] = true
			s.ids[ids[r.ResourceName]] = true
		}
	}
	return s, nil
}

// marks is where each partition started and ended, and which leader epoch it had,
// when it was last written down. It is a floor: what is on disk may be further.
type marks map[string]topicMarks

type topicMarks struct {
	ID         topicID        `json:"id"`
	Partitions map[int32]mark `json:"partitions"`
}

type mark struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"` // the next offset
	Epoch int32 `json:"epoch"`
}

// mark writes down the ends and epochs of all partitions, the ends moved ahead.
func (c *Cluster) mark(topics []kmsg.MetadataResponseTopic, ahead int64) error {
	m := make(marks)
	for _, t := range topics {
		ps := make(map[int32]mark)
		for _, p := range c.fake.PartitionInfos(*t.Topic) {
			ps[p.Partition] = mark{p.LogStartOffset, p.HighWatermark + ahead, p.Epoch}
		}
		m[*t.Topic] = topicMarks{t.TopicID, ps}
	}
	if reflect.DeepEqual(m, c.marked) {
		return nil
	}
	if err := writeJSON(filepath.Join(c.cfg.DataDir, marksFile), m); err != nil {
		return &DataDirError{c.cfg.DataDir, "writing down where partitions end", err}
	}
	c.marked = m
	return nil
}

// written writes down the ends and epochs of all partitions, after a client
// deleted records and when the cluster has started.
func (c *Cluster) written() error {
	return c.withTopics(func(topics []kmsg.MetadataResponseTopic) error {
		return c.mark(topics, 0)
	})
}

func readMarks(dir string) (marks, error) {
	var m marks
	if err := readJSON(filepath.Join(dir, marksFile), &m); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &DataDirError{dir, "reading where partitions ended", err}
	}
	return m, nil
}

// outrank raises leader epochs above any that a client may have seen: kfake
// takes them from the last batch on disk, and clients that outlive a crash of
// this process ignore leaders of an older epoch.
func (c *Cluster) outrank(m marks) error {
	topics, err := c.describe()
	if err != nil {
		return err
	}
	var behind int32
	for _, t := range topics {
		old := m[*t.Topic]
		if old.ID != t.TopicID {
			continue
		}
		for _, p := range t.Partitions {
			behind = max(behind, old.Partitions[p.Partition].Epoch-p.LeaderEpoch+1)
		}
	}
	for range behind {
		c.fake.ShufflePartitionLeaders()
	}
	return nil
}
