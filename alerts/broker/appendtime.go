package broker

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfake keeps message.timestamp.type and ignores it. Worse, a batch that comes
// with the append time attribute has its timestamps overwritten and its CRC
// not, so that consumers refuse it and a restart cuts the log there.
//
// So a batch for a topic with append time gets the time into its header when it
// arrives, without the attribute, and the attribute when it leaves: consumers
// then take the header's time for every record, as they do from Kafka. Both are
// done in kfake's own buffers, with the CRC.

type topicID = [16]byte

// stamps says which topics have append time. It does not change once made.
type stamps struct {
	names map[string]bool
	ids   map[topicID]bool
}

func (s *stamps) none() bool { return len(s.names) == 0 }

func (s *stamps) has(name string, id topicID) bool { return s.names[name] || s.ids[id] }

// request stamps a produce request, from behind its correlation id, with now
// (milliseconds since 1970), and reports whether it did, and whether there will be an
// answer, to tell so: there is none with acks=0.
func (s *stamps) request(b []byte, version int16, now int64) (stamped, answered bool, err error) {
	decoded, err := decodeRequest(b, int16(kmsg.Produce), version)
	if err != nil {
		return false, false, err
	}
	req := decoded.(*kmsg.ProduceRequest)
	for _, t := range req.Topics {
		has := s.has(t.Topic, t.TopicID)
		for _, p := range t.Partitions {
			if len(p.Records) < batchHeader || p.Records[batchMagic] != 2 {
				continue // kfake refuses it
			}
			bits := binary.BigEndian.Uint16(p.Records[batchAttributes:])
			if !has && bits&attributeAppendTime == 0 {
				continue
			}
			// A new CRC must not make a corrupt batch look whole.
			if binary.BigEndian.Uint32(p.Records[batchCRC:]) != checksum(p.Records) {
				continue
			}
			binary.BigEndian.PutUint16(p.Records[batchAttributes:], bits&^attributeAppendTime)
			if has {
				binary.BigEndian.PutUint64(p.Records[batchFirstTime:], uint64(now))
				binary.BigEndian.PutUint64(p.Records[batchMaxTime:], uint64(now))
				stamped = true
			}
			seal(p.Records)
		}
	}
	return stamped, req.Acks != 0, nil
}

// acknowledge puts the append time into the answer to a produce request.
func (s *stamps) acknowledge(a *kmsg.ProduceResponse, at int64) {
	for i := range a.Topics {
		t := &a.Topics[i]
		if !s.has(t.Topic, t.TopicID) {
			continue
		}
		for j := range t.Partitions {
			if t.Partitions[j].ErrorCode == 0 {
				t.Partitions[j].LogAppendTime = at
			}
		}
	}
}

// answer marks the batches of an answer to Fetch, its length first, in place.
func (s *stamps) answer(frame []byte, version int16) error {
	decoded, err := decodeAnswer(frame, int16(kmsg.Fetch), version)
	if err != nil {
		return err
	}
	for _, t := range decoded.(*kmsg.FetchResponse).Topics {
		if !s.has(t.Topic, t.TopicID) {
			continue
		}
		for _, p := range t.Partitions {
			for b := p.RecordBatches; len(b) >= batchHeader; {
				size := batchLength + 4 + int(binary.BigEndian.Uint32(b[batchLength:]))
				if size < batchHeader || size > len(b) {
					return fmt.Errorf("%s[%d]: a batch of %d bytes in %d", t.Topic, p.Partition, size, len(b))
				}
				b[batchAttributes+1] |= attributeAppendTime
				seal(b[:size])
				b = b[size:]
			}
		}
	}
	return nil
}
