package archive

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alertlab/alertlab/alerts/objectstore"
)

// Contents is what a bucket of alerts holds.
type Contents struct {
	Alerts      int64 `json:"alerts"` // objects, of every layout
	Bytes       int64 `json:"bytes"`  // as stored
	DeadLetters int64 `json:"deadLetters"`
	// Latest are the dead letters that were set aside last, the newest first.
	Latest []DeadLetter `json:"latestDeadLetters"`
}

// Look lists a bucket of alerts, and reads at most latest of its dead letters. It takes
// a request for each thousand objects. The error is the store's.
func Look(ctx context.Context, objects *objectstore.Client, bucket string, latest int) (Contents, error) {
	out := Contents{Latest: []DeadLetter{}}
	for _, prefix := range AlertPrefixes() {
		for o, err := range objects.List(ctx, bucket, prefix) {
			if err != nil {
				return out, fmt.Errorf("alerts in %s: %w", bucket, err)
			}
			out.Alerts++
			out.Bytes += o.Size
		}
	}
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
