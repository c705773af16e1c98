package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// disks makes an answer about log directories true. kfake tells every partition at
// every broker, so that whoever sums over brokers counts each of them as often as
// there are brokers, and makes the size of the disk up. There is one copy of every
// record and one disk: a partition is told by the broker that leads it.
func (c *Cluster) disks(a *kmsg.DescribeLogDirsResponse, node int32) {
	total, free := int64(-1), int64(-1) // Kafka's "not known"
	var disk unix.Statfs_t
	if unix.Statfs(c.cfg.DataDir, &disk) == nil {
		total, free = int64(disk.Blocks)*int64(disk.Bsize), int64(disk.Bavail)*int64(disk.Bsize)
	}
	if len(a.Dirs) == 1 { // kfake's own, which is a name only
		a.Dirs[0].Dir = c.cfg.DataDir
	}
	for i := range a.Dirs {
		dir := &a.Dirs[i]
		dir.TotalBytes, dir.UsableBytes = total, free
		for j := range dir.Topics {
			t := &dir.Topics[j]
			t.Partitions = slices.DeleteFunc(t.Partitions, func(p kmsg.DescribeLogDirsResponseDirTopicPartition) bool {
				return c.fake.LeaderFor(t.Topic, p.Partition) != node
			})
		}
		dir.Topics = slices.DeleteFunc(dir.Topics, func(t kmsg.DescribeLogDirsResponseDirTopic) bool { return len(t.Partitions) == 0 })
	}
}
