package archive_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/kafka"
)

// BenchmarkArchiveVisit produces one visit of the survey, 10,000 alerts of
// 80 kB, and stores it, from the first produce request to the last object. It
// reports the CPU time of this process (brokers, producer and ingester) and of
// the object store.
func BenchmarkArchiveVisit(b *testing.B) {
	const alerts, size = 10_000, 80_000
	payloads := make([][]byte, 64)
	for i := range payloads {
		payloads[i] = noise(uint64(i), size)
	}
	for b.Loop() {
		b.StopTimer()
		r := newRig(b, map[string]int32{"alerts": 12}, kfake.DataDir(b.TempDir()))
		producer, err := kafka.NewClient(r.login, kgo.ProducerBatchMaxBytes(1<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
		must(b, err)
		last := make(chan struct{})
		var stored atomic.Int64
		cfg := r.config("alerts")
		cfg.CommitInterval = time.Second
		cfg.OnStored = func(archive.Stored) {
			if stored.Add(1) == alerts {
				close(last)
			}
		}
		ours, theirs := cpuSeconds(b, os.Getpid()), cpuSeconds(b, r.child.PID())
		b.StartTimer()
		begin := time.Now()
		in := run(b, cfg)
		for i := range int64(alerts) {
			value := wire(schemaID, 281323062375219200+i, payloads[i%int64(len(payloads))])
			producer.Produce(context.Background(), &kgo.Record{Topic: "alerts", Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		must(b, producer.Flush(context.Background()))
		<-last
		took := time.Since(begin).Seconds()
		b.StopTimer()
		b.ReportMetric(alerts/took, "alerts/s")
		b.ReportMetric(cpuSeconds(b, os.Getpid())-ours, "own-cpu-s")
		b.ReportMetric(cpuSeconds(b, r.child.PID())-theirs, "store-cpu-s")
		in.stop()
		producer.Close()
		b.StartTimer()
	}
}

// BenchmarkServe gets alerts of 80 kB over HTTP with 16 clients, which share the
// processors with server and store. It reports what 99 of 100 requests took at most.
func BenchmarkServe(b *testing.B) {
	const alerts, clients = 200, 16
	r := newRig(b, nil)
	for i := range int64(alerts) {
		must(b, r.objects.Put(b.Context(), buckets.Alerts, archive.AlertKey(1_000_000+i), gzipped(b, wire(schemaID, i, noise(uint64(i), 80_000)))))
	}
	server := httptest.NewServer(archive.NewServer(archive.ServerConfig{Objects: r.objects, Buckets: buckets}))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}}
	ours, theirs := cpuSeconds(b, os.Getpid()), cpuSeconds(b, r.child.PID())
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range clients {
		all.Go(func() {
			buf := make([]byte, 64<<10)
			for {
				n := next.Add(1) - 1
				if n >= int64(len(took)) {
					return
				}
				began := time.Now()
				resp, err := client.Get(fmt.Sprintf("%s/v1/alerts/%d", server.URL, 1_000_000+n%alerts))
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, buf)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Errorf("status %d, %v", resp.StatusCode, err)
				}
				took[n] = time.Since(began)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "GET/s")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
	b.ReportMetric((cpuSeconds(b, os.Getpid())-ours)*1e6/float64(b.N), "own-cpu-us/op")
	b.ReportMetric((cpuSeconds(b, r.child.PID())-theirs)*1e6/float64(b.N), "store-cpu-us/op")
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
		must(b, err)
		ticks += n
	}
	return (time.Duration(ticks) * 10 * time.Millisecond).Seconds()
}
