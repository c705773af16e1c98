package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// endsOfEpochs mends where epochs end: a client that has read to the end of a log
// asks so after each change of leaders, to find out whether the new leader lacks
// some of it (KIP-320). kfake knows epochs by the batches that were written in them,
// so of the last one with a batch it says that it knows nothing, until the new
// leader's first batch is there; of a log that retention has emptied it says 0.
// Clients take both for lost records and begin anew where auto.offset.reset says.
// Kafka's leaders write down where they took over: the earlier epoch ends there.
func (c *Cluster) endsOfEpochs(asked *kmsg.OffsetForLeaderEpochRequest, a *kmsg.OffsetForLeaderEpochResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || asked == nil {
		return
	}
	epochs := map[string]map[int32]int32{}
	for _, t := range asked.Topics {
		epochs[t.Topic] = map[int32]int32{}
		for _, p := range t.Partitions {
			epochs[t.Topic][p.Partition] = p.LeaderEpoch
		}
	}
	for i := range a.Topics {
		t := &a.Topics[i]
		ends := map[int32]mark{}
		for _, p := range c.fake.PartitionInfos(t.Topic) {
			ends[p.Partition] = mark{End: p.HighWatermark, Epoch: p.Epoch}
		}
		for j := range t.Partitions {
			p := &t.Partitions[j]
			epoch, ok := epochs[t.Topic][p.Partition]
			now, known := ends[p.Partition]
			if !ok || !known || p.ErrorCode != 0 || epoch < 0 || epoch >= now.Epoch {
				continue
			}
			nowhere, emptied := p.EndOffset < 0, p.LeaderEpoch == now.Epoch
			if nowhere || emptied {
				p.LeaderEpoch, p.EndOffset = epoch, now.End
			}
		}
	}
}
