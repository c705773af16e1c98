package broker

import (
	"encoding/binary"
	"hash/crc32"
)

// Where things are in a record batch (Kafka message format 2).
const (
	batchOffset      = 0
	batchLength      = 8 // of what follows it
	batchLeaderEpoch = 12
	batchMagic       = 16
	batchCRC         = 17 // of what follows it, CRC-32C
	batchAttributes  = 21
	batchLastDelta   = 23
	batchFirstTime   = 27
	batchMaxTime     = 35
	batchProducer    = 43
	batchEpoch       = 51
	batchSequence    = 53
	batchHeader      = 61 // where records begin

	attributeAppendTime  = 0x08
	attributeTransaction = 0x10
	attributeControl     = 0x20
)

func checksum(batch []byte) uint32 {
	return crc32.Checksum(batch[batchAttributes:], crc32.MakeTable(crc32.Castagnoli))
}

// seal gives a batch the CRC of its content.
func seal(batch []byte) {
	binary.BigEndian.PutUint32(batch[batchCRC:], checksum(batch))
}
