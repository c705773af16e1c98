package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	// cadence is the observatory's time between two visits.
	cadence = 37 * time.Second
	// sampleEvery is how often memory is looked at while visits play: often enough
	// to meet the end of a visit, when most is held.
	sampleEvery = 500 * time.Millisecond
	// warm visits are not asked whether memory grows: pools and caches fill.
	warm = 4
)

// sample is memory at a moment, in bytes.
type sample struct {
	at     time.Time
	memory int64
}

// steady lets the lab's own simulator play full visits at the observatory's cadence,
// while its ingester archives them, and looks at memory, disk, and when visits start.
func (b *bench) steady(ctx context.Context, cycles int) (err error) {
	l := b.newLab("steady", fmt.Sprintf("ALERTLAB_SIMULATOR_ALERTS=%d", alerts), "ALERTLAB_SIMULATOR_PACKET_SIZE="+packetSize, "ALERTLAB_SIMULATOR_INTERVAL="+cadence.String())
	defer func() { err = errors.Join(err, l.purge(ctx)) }()
	if _, err := l.alertlab(ctx, "up", "--progress", "quiet"); err != nil {
		return err
	}
	if err := l.connect(ctx); err != nil {
		return err
	}
	meter, err := l.startMeter()
	if err != nil {
		return err
	}
	first, err := l.firstRecord(ctx, time.Time{})
	if err != nil {
		return err
	}
	starts := []time.Time{first}
	var samples []sample
	var disk int64
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	// To the end of the last visit's interval, so that it is archived too.
	for end := first.Add(time.Duration(cycles) * cadence); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		memory, err := l.memory()
		if err != nil {
			return err
		}
		samples = append(samples, sample{time.Now(), memory})
		due := first.Add(time.Duration(len(starts)) * cadence)
		if len(starts) < cycles && time.Since(due) > cadence/2 { // it has long begun
			start, err := l.firstRecord(ctx, due.Add(-cadence/4))
			if err != nil {
				return err
			}
			starts = append(starts, start)
			size, err := diskUsage(filepath.Join(l.dir, "labs", "default", "data", "kafka"))
			if err != nil {
				return err
			}
			disk = max(disk, size)
			fmt.Fprintf(b.say, "visit %d of %d: first alert %+d ms after it was due by the first visit, memory %d MB, brokers' disk %.1f GB\n",
				len(starts), cycles, start.Sub(due).Milliseconds(), memory/1e6, float64(size)/1e9)
		}
	}
	used, err := meter.stop()
	if err != nil {
		return err
	}
	visits, err := l.visitsPlayed()
	if err != nil {
		return err
	}
	if len(visits) < cycles {
		return fmt.Errorf("%d of %d visits were played", len(visits), cycles)
	}
	var late time.Duration
	missed := 0
	for _, v := range visits[:cycles] {
		if v.alerts != alerts {
			return fmt.Errorf("a visit of %d alerts, not %d", v.alerts, alerts)
		}
		late = max(late, v.late)
		missed += v.missed
	}
	// By the brokers' clock, which the player does not know: how far from the grid each
	// first alert was stored. The first visit meets cold brokers.
	var off []float64
	for i, s := range starts[1:] {
		off = append(off, float64(s.Sub(first.Add(time.Duration(i+1)*cadence)).Milliseconds()))
	}
	usual, few := (&figure{values: off}).median(), max(1, len(off)/4)
	furthest := 0.0
	for _, o := range off {
		furthest = max(furthest, math.Abs(o-usual))
	}
	drift := (&figure{values: off[len(off)-few:]}).median() - (&figure{values: off[:few]}).median()
	name := func(text string) string { return fmt.Sprintf("%d visits every %s: %s", cycles, cadence, text) }
	b.doc.add(name("the latest start, by the player"), "ms", under(50), late.Seconds()*1000)
	b.doc.add(name("visits missed"), "", under(1), float64(missed))
	b.doc.add(name("drift of the first alerts, by the brokers' clock"), "ms", under(50), math.Abs(drift))
	b.doc.add(name("the first alert furthest from where it usually is"), "ms", none, furthest)
	memory := func(from, to int) float64 {
		var in []float64
		for _, s := range samples {
			if !s.at.Before(first.Add(time.Duration(from)*cadence)) && s.at.Before(first.Add(time.Duration(to)*cadence)) {
				in = append(in, float64(s.memory)/1e6)
			}
		}
		f := figure{values: in}
		return f.median()
	}
	var peak int64
	for _, s := range samples {
		peak = max(peak, s.memory)
	}
	b.doc.add(name("peak memory of the lab"), "MB", under(700), float64(peak)/1e6)
	if cycles >= 2*warm {
		quarter := (cycles - warm) / 2
		before, after := memory(warm, warm+quarter), memory(cycles-quarter, cycles)
		b.doc.add(name(fmt.Sprintf("memory of visits %d to %d, median", warm+1, warm+quarter)), "MB", none, before)
		b.doc.add(name(fmt.Sprintf("memory of visits %d to %d, median", cycles-quarter+1, cycles)), "MB", none, after)
		b.doc.add(name("growth from these to those"), "%", under(5), (after-before)/before*100)
	}
	b.doc.add(name("brokers' disk at most"), "GB", none, float64(disk)/1e9)
	b.doc.add(name("CPU of the lab"), "cores", none, (used.runner+used.store).Seconds()/used.wall.Seconds())
	b.doc.add(name("cores taken by others"), "cores", none, used.others(0))
	return nil
}

// firstRecord gives the time of the first alert of the lab's topic from a moment on,
// waiting for one.
func (l *lab) firstRecord(ctx context.Context, from time.Time) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, archiveDeadline)
	defer cancel()
	millis := int64(0)
	if !from.IsZero() {
		millis = from.UnixMilli()
	}
	for {
		listed, err := l.admin.ListOffsetsAfterMilli(ctx, millis, l.topic)
		if err == nil {
			err = listed.Error()
		}
		if err != nil {
			return time.Time{}, err
		}
		var first time.Time
		listed.Each(func(o kadm.ListedOffset) {
			if at := time.UnixMilli(o.Timestamp); o.Timestamp >= 0 && (first.IsZero() || at.Before(first)) {
				first = at
			}
		})
		if !first.IsZero() {
			return first, nil
		}
		if err := sleep(ctx, lagPoll); err != nil {
			return first, fmt.Errorf("no alert on %s: %w", l.topic, err)
		}
	}
}

// visit is what the player says of one visit.
type visit struct {
	alerts, missed int
	late           time.Duration
}

var visitLine = regexp.MustCompile(`msg="visit played" visit=\d+ alerts=(\d+) .* late=(\S+) missed=(\d+)\b`)

// visitsPlayed reads the simulator's log.
func (l *lab) visitsPlayed() ([]visit, error) {
	text, err := os.ReadFile(filepath.Join(l.dir, "labs", "default", "logs", "simulator.log"))
	if err != nil {
		return nil, err
	}
	var out []visit
	for _, m := range visitLine.FindAllStringSubmatch(string(text), -1) {
		var v visit
		var errs [3]error
		v.alerts, errs[0] = strconv.Atoi(m[1])
		v.late, errs[1] = time.ParseDuration(m[2])
		v.missed, errs[2] = strconv.Atoi(m[3])
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// diskUsage sums the sizes of all files below a directory, in bytes.
func diskUsage(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				size += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) { // retention took it
			return nil
		}
		return err
	})
	return size, err
}
