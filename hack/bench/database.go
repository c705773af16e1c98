package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// databaseClients ask side by side, each over a connection of its own.
	databaseClients = 16
	// databaseTime is how long one round asks.
	databaseTime = 10 * time.Second
)

// database measures GETs of stored alerts, picked at random.
func (b *bench) database(ctx context.Context, l *lab) error {
	ids, err := l.archivedIDs()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: databaseClients, DisableCompression: true}}
	defer client.CloseIdleConnections()
	meter, err := l.startMeter()
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, databaseTime)
	defer cancel()
	took := make([][]time.Duration, databaseClients)
	var sent [databaseClients]int64
	began := time.Now()
	var group errgroup.Group
	for i := range databaseClients {
		group.Go(func() error {
			random := rand.New(rand.NewPCG(uint64(i), uint64(began.UnixNano())))
			for asking.Err() == nil {
				one := time.Now()
				n, err := get(ctx, client, l.database+"/alerts/"+ids[random.IntN(len(ids))])
				if err != nil {
					return err
				}
				took[i] = append(took[i], time.Since(one))
				sent[i] += n
			}
			return nil
		})
	}
	err = group.Wait()
	whole := time.Since(began)
	used, meterErr := meter.stop()
	if err := errors.Join(err, meterErr, ctx.Err()); err != nil {
		return err
	}
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	var bytes int64
	for _, n := range sent {
		bytes += n
	}
	at := func(share float64) float64 {
		return all[min(len(all)-1, int(share*float64(len(all))))].Seconds() * 1000
	}
	b.doc.add(fmt.Sprintf("alert database: GETs by %d clients", databaseClients), "1/s", atLeast(1500), float64(len(all))/whole.Seconds())
	b.doc.add("alert database: half of the answers within", "ms", none, at(0.5))
	b.doc.add("alert database: 99 of 100 answers within", "ms", under(25), at(0.99))
	b.doc.add("alert database: sent to the clients", "MB/s", none, float64(bytes)/1e6/whole.Seconds())
	b.doc.add("alert database: CPU of the lab", "cores", none, (used.runner+used.store).Seconds()/used.wall.Seconds())
	return nil
}

// get reads one answer and gives its size in bytes.
func get(ctx context.Context, client *http.Client, address string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || n == 0) {
		err = fmt.Errorf("GET %s: %s, %d bytes", address, resp.Status, n)
	}
	return n, err
}

// archivedIDs lists the ids of stored alerts, as their objects are named.
func (l *lab) archivedIDs() ([]string, error) {
	var ids []string
	err := filepath.WalkDir(filepath.Join(l.dir, "labs", "default", "data", "object-store", "buckets"), func(path string, d fs.DirEntry, err error) error {
		if id, ok := strings.CutSuffix(d.Name(), ".avro.gz"); ok && err == nil && !d.IsDir() {
			ids = append(ids, id)
		}
		return err
	})
	if err == nil && len(ids) == 0 {
		err = errors.New("no alert is archived")
	}
	return ids, err
}
