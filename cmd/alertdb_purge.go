package cmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) alertdbPurge() *cobra.Command {
	var (
		older  string
		dryRun bool
		quiet  bool
	)
	c := &cobra.Command{
		Use:   "purge",
		Short: "Delete archived alerts that are older than some days",
		Long: `purge deletes alerts that were stored before some time, by the store's clock; never a
schema and never a dead letter, also where all lie in one bucket. An alert that is
stored again meanwhile stays. A lab whose profile has purgeAfterDays does the same by
itself once a day.

Without --s3-endpoint or AWS_ENDPOINT_URL, or where --lab is given, it is the lab's
archive. Another store's keys come from the environment or files, never from the
command line.`,
		Example: `  alertlab alertdb purge --older-than 28d --dry-run
  alertlab alertdb purge --older-than 28d
  alertlab alertdb purge --older-than 36h --s3-endpoint http://store:9000 --alert-bucket alerts`,
		Args: cobra.NoArgs,
	}
	storeOf := a.addStoreFlags(c, false)
	c.Flags().StringVar(&older, "older-than", "", "age from which on alerts go: days (28d) or hours, minutes, seconds (36h, 90m)")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "count what would go and delete nothing")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var m mistakes
		age, err := parseAge(older)
		if err != nil {
			m.add("--older-than: %v", err)
		}
		var store objectstore.ClientConfig
		// What is deleted is of the lab that the command line names, whatever store
		// the environment is about.
		elsewhere := storeOf.endpoint != "" && (c.Flags().Changed("s3-endpoint") || !c.Flags().Changed("lab"))
		bucket := storeOf.alertBucket
		if elsewhere {
			store = storeOf.client(a, &m)
		}
		if err := m.fault(c); err != nil {
			return err
		}
		if !elsewhere {
			if _, _, err := a.needRunning(c.Context()); err != nil {
				return err
			}
			card, creds, err := a.card()
			if err != nil {
				return err
			}
			store = objectstore.ClientConfig{Endpoint: card.ObjectStore.URL, Region: card.ObjectStore.Region,
				AccessKey: creds.ObjectStore.AccessKey, SecretKey: creds.ObjectStore.SecretKey}
			if bucket == "" || !c.Flags().Changed("alert-bucket") {
				bucket = card.ObjectStore.AlertBucket
			}
		}
		objects := objectstore.NewClient(store)
		defer objects.Close()
		before := time.Now().Add(-age)
		var purged archive.Purged
		err = a.showing(c.Context(), quiet, "purge", fmt.Sprintf("delete alerts stored before %s from bucket %s", before.Format(time.DateTime), bucket),
			func(ctx context.Context, progress func(done, total int64, unit string)) error {
				var err error
				purged, err = archive.Purge{Objects: objects, Bucket: bucket, Before: before, DryRun: dryRun,
					Progress: func(p archive.Purged) { progress(p.Seen, 0, "alerts looked at") }}.Run(ctx)
				return err
			})
		if err != nil {
			return fault.Wrap(fault.StepFailed, fmt.Sprintf("%d of the alerts seen were deleted, then it ended", purged.Deleted), err, "the same command again goes on")
		}
		if *output == "json" {
			return a.printJSON(struct {
				Bucket  string    `json:"bucket"`
				Before  time.Time `json:"before"`
				DryRun  bool      `json:"dryRun"`
				Seen    int64     `json:"seen"`
				Deleted int64     `json:"deleted"`
				Bytes   int64     `json:"bytes"`
			}{bucket, before, dryRun, purged.Seen, purged.Deleted, purged.Bytes})
		}
		did := "deleted"
		if dryRun {
			did = "would delete"
		}
		_, err = fmt.Fprintf(a.out, "%s %d of %d alerts in bucket %s, %d bytes\n", did, purged.Deleted, purged.Seen, bucket, purged.Bytes)
		return err
	}
	return c
}

// parseAge reads an age: a number of days with a d, or a duration as Go writes it.
func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, errors.New("no age is given")
	}
	age, err := time.ParseDuration(text)
	if days, cut := strings.CutSuffix(text, "d"); cut {
		var n int
		if n, err = strconv.Atoi(days); n > 36500 {
			err = strconv.ErrRange
		}
		age = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || age <= 0 {
		return 0, fmt.Errorf("%q is no age such as 28d or 36h", text)
	}
	return age, nil
}
