package cmd

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) alertdbServe() *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve an archive in any S3 store over HTTP, in the foreground",
		Long: `serve runs the alert database's HTTP server by itself, without a lab: GET
/v1/alerts/ID and /v1/schemas/ID answer with the stored bytes, whether they were
stored by ours or by the observatory's ingester, of its present layout or the one
before. /v1/health says that it lives, /v1/ready that the store answers for both
buckets, /metrics counts requests for Prometheus. SIGTERM or Ctrl-C lets requests
under way finish and ends with exit code 0.

Where the store is comes from flags or the environment, as "alertlab env" prints it;
its keys from the environment or files, never from the command line.`,
		Example: `  eval "$(alertlab env)"
  alertlab alertdb serve --listen 127.0.0.1:3001
  alertlab alertdb serve --listen :3000 --s3-endpoint http://store:9000 --alert-bucket alerts \
    --schema-bucket schemas --s3-access-key-file /secrets/access --s3-secret-key-file /secrets/secret`,
		Args: cobra.NoArgs,
	}
	storeOf, logOf := a.addStoreFlags(c, true), a.addLogFlags(c)
	c.Flags().StringVar(&address, "listen", "127.0.0.1:3000", "HOST:PORT to serve at")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var m mistakes
		log := logOf.logger(a, &m)
		store := storeOf.client(a, &m)
		m.address("listen", address)
		if err := m.fault(c); err != nil {
			return err
		}
		return a.serveArchive(c.Context(), address, store, archive.Buckets{Alerts: storeOf.alertBucket, Schemas: storeOf.schemaBucket}, log)
	}
	return c
}

// serveArchive serves the archive in a store until ctx ends.
func (a *app) serveArchive(ctx context.Context, address string, store objectstore.ClientConfig, buckets archive.Buckets, log *slog.Logger) error {
	objects := objectstore.NewClient(store)
	defer objects.Close()
	return a.serveFrom(ctx, address, objects, buckets, store.Endpoint, log)
}

// serveFrom serves an archive that is read from anywhere.
func (a *app) serveFrom(ctx context.Context, address string, objects archive.Reader, buckets archive.Buckets, where string, log *slog.Logger) error {
	if err := a.checkStore(ctx, objects, buckets, log); err != nil {
		return err
	}
	l, err := listen(ctx, address)
	if err != nil {
		return err
	}
	log.Info("serving", "address", l.Addr().String(), "store", where, "alerts", buckets.Alerts, "schemas", buckets.Schemas)
	if err := serveHTTP(ctx, l, archive.NewServer(archive.ServerConfig{Objects: objects, Buckets: buckets, Log: log}), log); err != nil {
		return err
	}
	log.Info("ended")
	return nil
}

// checkStore asks the store once whether it takes the keys. That it does not answer,
// or has no bucket yet, is no error: whoever works for weeks waits for it.
func (a *app) checkStore(ctx context.Context, objects archive.Reader, buckets archive.Buckets, log *slog.Logger) error {
	limited, cancel := context.WithTimeout(ctx, a.patience())
	defer cancel()
	err := archive.CheckBuckets(limited, objects, buckets)
	var refused *objectstore.RequestError
	switch {
	case errors.As(err, &refused):
		return fault.Wrap(fault.StepFailed, "the object store refuses us", err, "correct the keys, the region and the buckets")
	case err != nil && ctx.Err() == nil:
		log.Warn("the object store is not ready yet", "error", err)
	}
	return nil
}
