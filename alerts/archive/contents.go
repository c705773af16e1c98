package archive

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alertlab/alertlab/alerts/objectstore"
)

// Contents is what a bucket of alerts holds.
type Contents struct {
	Alerts      int64 `json:"alerts"` // objects, of every layout
	Bytes       int64 `json:"bytes"`  // as stored
	DeadLetters int64 `json:"deadLetters"`
	// Newest are the alerts that were stored last, the newest first.
	Newest []Listed `json:"-"`
	// Latest are the dead letters that were set aside last, the newest first.
	Latest []DeadLetter `json:"latestDeadLetters"`
}

// Listed is an alert as a bucket lists it.
type Listed struct {
	ID    int64
	At    time.Time
	Bytes int64 // as stored
}

// newest keeps those that were stored last.
type newest struct {
	most int
	list []Listed
}

func (n *newest) add(o objectstore.ObjectInfo) {
	name := o.Key[strings.LastIndexByte(o.Key, '/')+1:]
	id, err := strconv.ParseInt(name[:max(strings.IndexByte(name, '.'), 0)], 10, 64)
	if err != nil {
		return // not an alert by its name
	}
	if n.list = append(n.list, Listed{id, o.Modified, o.Size}); len(n.list) >= 2*n.most {
		n.trim()
	}
}

func (n *newest) trim() {
	slices.SortFunc(n.list, func(a, b Listed) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
	n.list = n.list[:min(len(n.list), n.most)]
}

// newestKept is how many alerts Look names.
const newestKept = 50

// Look lists a bucket of alerts, and reads at most latest of its dead letters. It takes
// a request for each thousand objects. The error is the store's.
func Look(ctx context.Context, objects *objectstore.Client, bucket string, latest int) (Contents, error) {
	out := Contents{Latest: []DeadLetter{}}
	last := newest{most: newestKept}
	for _, prefix := range AlertPrefixes() {
		for o, err := range objects.List(ctx, bucket, prefix) {
			if err != nil {
				return out, fmt.Errorf("alerts in %s: %w", bucket, err)
			}
			out.Alerts++
			out.Bytes += o.Size
			last.add(o)
		}
	}
	last.trim()
	out.Newest = last.list
	type letter struct {
		key string
		at  time.Time
	}
	var letters []letter
	for o, err := range objects.List(ctx, bucket, DeadLetterPrefix) {
		if err != nil {
			return out, fmt.Errorf("dead letters in %s: %w", bucket, err)
		}
		if strings.HasSuffix(o.Key, ".json") {
			letters = append(letters, letter{o.Key, o.Modified})
		}
	}
	out.DeadLetters = int64(len(letters))
	slices.SortFunc(letters, func(a, b letter) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.key, b.key)) })
	for _, l := range letters[:min(max(latest, 0), len(letters))] {
		text, err := objects.Bytes(ctx, bucket, l.key)
		if errors.Is(err, objectstore.ErrNotFound) {
			continue // deleted since it was listed
		}
		if err != nil {
			return out, fmt.Errorf("dead letter %s: %w", l.key, err)
		}
		var d DeadLetter
		if err := json.Unmarshal(text, &d); err != nil {
			return out, fmt.Errorf("dead letter %s: %w", l.key, err)
		}
		out.Latest = append(out.Latest, d)
	}
	return out, nil
}
