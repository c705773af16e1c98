package objectstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/objectstore"
)

// BenchmarkStartChild is the time from nothing to a child that answers.
func BenchmarkStartChild(b *testing.B) {
	for b.Loop() {
		c, err := objectstore.StartChild(context.Background(), config(b.TempDir()))
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := c.Stop(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkPut puts objects of 60 kB, an alert after gzip, 64 at a time. It
// reports the CPU time of both processes.
func BenchmarkPut(b *testing.B) {
	child := start(b, config(b.TempDir()))
	c := client(b, child.Endpoint())
	if err := c.EnsureBucket(context.Background(), bucketName); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 60_000)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(body)
	var n atomic.Int64
	b.SetBytes(int64(len(body)))
	b.SetParallelism(32)
	ours, theirs := cpuSeconds(b, os.Getpid()), cpuSeconds(b, child.PID())
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := n.Add(1)
			key := fmt.Sprintf("v2/alerts/%06d/%d.avro.gz", id/500, id)
			if err := c.Put(context.Background(), bucketName, key, body); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "PUT/s")
	b.ReportMetric((cpuSeconds(b, os.Getpid())-ours)*1e6/float64(b.N), "client-cpu-us/op")
	b.ReportMetric((cpuSeconds(b, child.PID())-theirs)*1e6/float64(b.N), "server-cpu-us/op")
}

// cpuSeconds is what a process has used, user and system, or 0 where there is
// no /proc.
func cpuSeconds(b *testing.B, pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// After the name in brackets: fields 14 and 15 of proc(5), in ticks of
	// 10 ms, are the 12th and 13th.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return (time.Duration(ticks) * 10 * time.Millisecond).Seconds()
}
