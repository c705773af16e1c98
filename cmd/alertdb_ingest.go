package cmd

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/objectstore"
)

func (a *app) alertdbIngest() *cobra.Command {
	var (
		cfg             archive.IngesterConfig
		registryURL, ca string
		metrics         string
		kafkaOf         *kafkaFlags
		storeOf         *storeFlags
		logOf           *logFlags
	)
	c := &cobra.Command{
		Use:   "ingest",
		Short: "Archive the alerts of any Kafka into any S3 store, in the foreground",
		Long: `ingest runs the alert database's ingester by itself, without a lab: it reads topics
in a consumer group, stores the schema and then the alert, and commits an offset
only when everything before it is stored. What cannot be reached is tried again for
ever; what is no alert is set aside as a dead letter. SIGTERM or Ctrl-C lets what is
under way finish, commits it and ends with exit code 0.

Addresses come from flags or the environment, as "alertlab env" prints it; passwords
and keys from the environment or files, never from the command line. With --metrics
it answers /v1/health, /v1/ready and /metrics there.`,
		Example: `  eval "$(alertlab env)"
  aws s3 mb s3://copy    # a bucket that is not there is waited for
  alertlab alertdb ingest --topics alerts-simulated --group kafka-admin-copy --alert-bucket copy
  alertlab alertdb ingest --bootstrap kafka:9094 --user ingester --password-file /secrets/password \
    --topics lsst-alerts-v11 --registry http://registry:8081 --s3-endpoint http://store:9000 \
    --alert-bucket alerts --schema-bucket schemas --metrics :9100 --log-format json`,
		Args: cobra.NoArgs,
	}
	kafkaOf, storeOf, logOf = a.addKafkaFlags(c), a.addStoreFlags(c, true), a.addLogFlags(c)
	f := c.Flags()
	f.StringSliceVar(&cfg.Topics, "topics", nil, "topics to archive, NAME,...")
	f.StringVar(&cfg.Group, "group", archive.DefaultGroup, "consumer group")
	f.StringVar(&registryURL, "registry", a.getenv("SCHEMA_REGISTRY_URL"), "URL of the schema registry (environment: SCHEMA_REGISTRY_URL)")
	f.StringVar(&ca, "registry-ca", "", "PEM file of the registry's CA (default: the system's)")
	f.IntVar(&cfg.Workers, "workers", 8, "alerts that are compressed and stored at a time")
	f.IntVar(&cfg.GzipLevel, "gzip-level", 1, "1 (fast) to 9 (small)")
	f.DurationVar(&cfg.UnknownSchemaWait, "unknown-schema-wait", time.Minute, "how long a schema id may be unknown before its alerts are set aside")
	f.StringVar(&metrics, "metrics", "", "HOST:PORT to answer probes and Prometheus at (default: none)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var m mistakes
		log := logOf.logger(a, &m)
		cfg.Log, cfg.Login = log, kafkaOf.login(a, &m)
		store := storeOf.client(a, &m)
		cfg.Buckets = archive.Buckets{Alerts: storeOf.alertBucket, Schemas: storeOf.schemaBucket}
		cfg.Schemas = registryClient(&m, "registry", registryURL, "registry-ca", ca)
		if len(cfg.Topics) == 0 {
			m.add("--topics: no topic is named")
		}
		if cfg.Group == "" {
			m.add("--group: it is empty")
		}
		if cfg.Workers < 1 {
			m.add("--workers: %d are none", cfg.Workers)
		}
		if cfg.GzipLevel < 1 || cfg.GzipLevel > 9 {
			m.add("--gzip-level: %d is not from 1 to 9", cfg.GzipLevel)
		}
		if cfg.UnknownSchemaWait <= 0 {
			m.add("--unknown-schema-wait: %s is no time to wait", cfg.UnknownSchemaWait)
		}
		if metrics != "" {
			m.address("metrics", metrics)
		}
		if err := m.fault(c); err != nil {
			return err
		}
		return a.ingest(c.Context(), cfg, store, metrics, log)
	}
	return c
}

// ingest runs an ingester until ctx ends.
func (a *app) ingest(ctx context.Context, cfg archive.IngesterConfig, store objectstore.ClientConfig, metrics string, log *slog.Logger) error {
	if err := a.checkLogin(ctx, cfg.Login, log); err != nil {
		return err
	}
	objects := objectstore.NewClient(store)
	defer objects.Close()
	if err := a.checkStore(ctx, objects, cfg.Buckets, log); err != nil {
		return err
	}
	cfg.Objects = objects
	ingester, err := archive.NewIngester(cfg)
	if err != nil {
		return err
	}
	var l net.Listener
	if metrics != "" {
		if l, err = listen(ctx, metrics); err != nil {
			return err
		}
		log.Info("answering", "address", l.Addr().String(), "paths", "/v1/health /v1/ready /metrics")
	}
	log.Info("archiving", "topics", cfg.Topics, "group", cfg.Group, "store", store.Endpoint, "bucket", cfg.Buckets.Alerts)
	// The listener answers until the last commit is done, so that a pod which is
	// being ended is seen to the end.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() {
		if l == nil {
			<-serving.Done()
			served <- nil
			return
		}
		served <- serveHTTP(serving, l, ingester.Handler(), log)
	}()
	err = ingester.Run(ctx)
	stop()
	st := ingester.Stats()
	log.Info("ended", "stored", st.Stored, "deadLetters", st.DeadLetters, "bytes", st.WireBytes)
	if failed := <-served; err == nil {
		err = failed
	}
	return err
}
