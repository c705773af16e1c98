package cmd

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/front"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/program"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
	embedded "github.com/alertlab/alertlab/provider/embedded/objectstore"
)

// pod is the hidden verb of the pods that run our own image: a program each, its
// settings as flags, its secrets from the environment.
func (a *app) pod() *cobra.Command {
	c := &cobra.Command{
		Use: "pod", Hidden: true,
		Short: "Run one program of the lab in a pod (started by the charts)",
	}
	c.AddCommand(a.podRegistry(), a.podFront(), a.podStore(), a.podIngester(), a.podServer(), a.podPlayer(), a.podCharts(), a.podScaler())
	return c
}

// podFlags are flags that several programs have.
type podFlags struct {
	common        program.Common
	listen        string
	bootstrap     string
	ca, cert, key string // files of a login to Kafka
	store, region string
	buckets       archive.Buckets
}

func (a *app) podVerb(name, short string) (*cobra.Command, *podFlags) {
	f := &podFlags{}
	c := &cobra.Command{Use: name, Short: short, Hidden: true, Args: cobra.NoArgs}
	c.Flags().StringVar(&f.common.Health, "health", ":8090", "address of /health and /ready")
	f.common.Log = slog.New(slog.NewTextHandler(a.err, nil))
	return c, f
}

func (f *podFlags) listens(c *cobra.Command, address string) {
	c.Flags().StringVar(&f.listen, "listen", address, "address to serve at")
}

func (f *podFlags) kafka(c *cobra.Command) {
	c.Flags().StringVar(&f.bootstrap, "bootstrap", "", "Kafka's bootstrap addresses, with commas between them")
	c.Flags().StringVar(&f.ca, "ca-file", "", "PEM of the authority of Kafka's certificates")
	c.Flags().StringVar(&f.cert, "cert-file", "", "PEM of the Kafka user's certificate")
	c.Flags().StringVar(&f.key, "key-file", "", "PEM of its private key")
}

func (f *podFlags) s3(c *cobra.Command) {
	c.Flags().StringVar(&f.store, "object-store", "", "URL of the S3 server; its keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	c.Flags().StringVar(&f.region, "region", embedded.Region, "S3 region")
	c.Flags().StringVar(&f.buckets.Alerts, "alert-bucket", "", "bucket of alerts")
	c.Flags().StringVar(&f.buckets.Schemas, "schema-bucket", "", "bucket of schemas")
}

func (a *app) podLogin(f *podFlags) (kafka.Login, error) {
	if f.bootstrap == "" || f.ca == "" || f.cert == "" || f.key == "" {
		return kafka.Login{}, fault.New(fault.BadInput, "the program has no login to Kafka", "it needs --bootstrap, --ca-file, --cert-file and --key-file", "alertlab pod --help")
	}
	config, err := kafka.TLS(f.ca, f.cert, f.key)
	if err != nil {
		return kafka.Login{}, fault.Wrap(fault.BadInput, "the program cannot log in to Kafka", err, "alertlab pod --help")
	}
	return kafka.Login{Bootstrap: strings.Split(f.bootstrap, ","), TLS: config}, nil
}

func (a *app) podObjects(f *podFlags) (objectstore.ClientConfig, error) {
	cfg := objectstore.ClientConfig{Endpoint: f.store, Region: f.region, AccessKey: a.getenv("AWS_ACCESS_KEY_ID"), SecretKey: a.getenv("AWS_SECRET_ACCESS_KEY")}
	if cfg.Endpoint == "" || cfg.SecretKey == "" || f.buckets.Alerts == "" || f.buckets.Schemas == "" {
		return cfg, fault.New(fault.BadInput, "the program has no object store",
			"it needs --object-store, --alert-bucket, --schema-bucket, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment", "alertlab pod --help")
	}
	return cfg, nil
}

func (a *app) podRegistry() *cobra.Command {
	c, f := a.podVerb("schema-registry", "Serve the schema registry")
	f.listens(c, ":8081")
	f.kafka(c)
	topic := c.Flags().String("topic", "registry-schemas", "compacted topic that holds its state")
	level := c.Flags().String("compatibility", "NONE", "compatibility level while none is stored")
	c.RunE = func(c *cobra.Command, _ []string) error {
		login, err := a.podLogin(f)
		if err != nil {
			return err
		}
		return program.Registry{Common: f.common, Listen: f.listen, Login: login, Topic: *topic, Compatibility: *level}.Run(c.Context())
	}
	return c
}

func (a *app) podFront() *cobra.Command {
	c, f := a.podVerb("registry-front", "Serve the registry read-only")
	f.listens(c, ":8080")
	target := c.Flags().String("target", "", "URL of the registry")
	c.RunE = func(c *cobra.Command, _ []string) error {
		u, err := url.Parse(*target)
		if err != nil || u.Host == "" {
			return fault.New(fault.BadInput, "the front has no registry behind it", "--target is a URL, and not "+*target, "alertlab pod --help")
		}
		return program.Front{Common: f.common, Listen: f.listen, Target: u}.Run(c.Context())
	}
	return c
}

func (a *app) podStore() *cobra.Command {
	c, f := a.podVerb("object-store", "Serve a folder as S3")
	f.listens(c, ":9000")
	c.Flags().StringVar(&f.region, "region", embedded.Region, "S3 region")
	root := c.Flags().String("root", "", "folder of the objects")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg := objectstore.Config{Args: []string{embedded.Subcommand}, Root: *root, Address: f.listen, Region: f.region,
			AccessKey: a.getenv("AWS_ACCESS_KEY_ID"), SecretKey: a.getenv("AWS_SECRET_ACCESS_KEY")}
		if cfg.Root == "" || cfg.AccessKey == "" || cfg.SecretKey == "" {
			return fault.New(fault.BadInput, "the object store cannot begin", "it needs --root, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment", "alertlab pod --help")
		}
		return program.Store{Common: f.common, Config: cfg}.Run(c.Context())
	}
	return c
}

func (a *app) podIngester() *cobra.Command {
	c, f := a.podVerb("alert-database-ingester", "Archive the alerts of topics")
	f.kafka(c)
	f.s3(c)
	group := c.Flags().String("group", "alertdb-ingester", "consumer group")
	topics := c.Flags().StringSlice("topics", nil, "topics to archive")
	registry := c.Flags().String("registry", "", "URL of the schema registry")
	days := c.Flags().Int("purge-after-days", 0, "delete alerts that are as old; 0: none")
	c.RunE = func(c *cobra.Command, _ []string) error {
		login, err := a.podLogin(f)
		if err != nil {
			return err
		}
		objects, err := a.podObjects(f)
		if err != nil {
			return err
		}
		return program.Ingester{Common: f.common, Login: login, Group: *group, Topics: *topics, Registry: *registry, Objects: objects, Buckets: f.buckets,
			PurgeAfter: time.Duration(*days) * 24 * time.Hour}.Run(c.Context())
	}
	return c
}

func (a *app) podServer() *cobra.Command {
	c, f := a.podVerb("alert-database-server", "Serve archived alerts")
	f.listens(c, ":3000")
	f.s3(c)
	scope := c.Flags().String("scope", "", "scope that a token must have; the tokens are ALERTDB_TOKENS, as JSON")
	lab := c.Flags().String("lab", "", "lab, as clients without a token are told")
	base := c.Flags().String("base-path", "", "path below which it answers too, as /alertdb")
	c.RunE = func(c *cobra.Command, _ []string) error {
		objects, err := a.podObjects(f)
		if err != nil {
			return err
		}
		access := front.Access{Scope: *scope, Realm: "alertlab " + *lab}
		if *scope != "" {
			var tokens []component.Token
			if err := json.Unmarshal([]byte(a.getenv("ALERTDB_TOKENS")), &tokens); err != nil {
				return fault.New(fault.BadInput, "the program knows no tokens", "ALERTDB_TOKENS in its environment is no list of them", "alertlab pod --help")
			}
			for _, t := range tokens {
				access.Tokens = append(access.Tokens, front.Token{Name: t.Name, Secret: t.Secret, Scopes: t.Scopes, Expires: t.Expires})
			}
		}
		return program.Server{Common: f.common, Listen: f.listen, Objects: objects, Buckets: f.buckets, Access: access, BasePath: *base}.Run(c.Context())
	}
	return c
}

func (a *app) podPlayer() *cobra.Command {
	c, f := a.podVerb("simulator", "Play the reservoir")
	f.kafka(c)
	source := c.Flags().String("source", "alerts-static", "topic of the reservoir")
	topic := c.Flags().String("topic", "alerts-simulated", "topic to play to")
	interval := c.Flags().Duration("interval", 37*time.Second, "between the starts of two visits")
	c.RunE = func(c *cobra.Command, _ []string) error {
		login, err := a.podLogin(f)
		if err != nil {
			return err
		}
		return program.Player{Common: f.common, Login: login, Source: *source, Topic: *topic, Interval: *interval}.Run(c.Context())
	}
	return c
}

func (a *app) podCharts() *cobra.Command {
	c, f := a.podVerb("chart-registry", "Serve this program's charts to Argo CD")
	f.listens(c, ":8443")
	folder := c.Flags().String("folder", "", "folder that keeps the charts")
	certificate := c.Flags().String("certificate", "", "PEM file of the certificate to show")
	key := c.Flags().String("key", "", "PEM file of its key")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *folder == "" || *certificate == "" || *key == "" {
			return fault.New(fault.BadInput, "the registry cannot begin", "it needs --folder, --certificate and --key", "alertlab pod --help")
		}
		return program.Charts{Common: f.common, Listen: f.listen, Folder: *folder, Certificate: *certificate, Key: *key}.Run(c.Context())
	}
	return c
}

func (a *app) podScaler() *cobra.Command {
	c, f := a.podVerb("alert-database-scaler", "Let the number of ingesters follow their lag")
	f.kafka(c)
	p := program.Scaler{}
	c.Flags().StringVar(&p.Group, "group", "alertdb-ingester", "consumer group of the ingesters")
	c.Flags().StringSliceVar(&p.Topics, "topics", nil, "topics that they archive")
	c.Flags().IntVar(&p.Least, "least", 1, "how many ingesters there are at least")
	c.Flags().IntVar(&p.Most, "most", 1, "and at most")
	c.Flags().IntVar(&p.Lag, "lag", 0, "alerts that may wait for each")
	c.Flags().DurationVar(&p.Cooldown, "cooldown", 15*time.Minute, "how long fewer must have been enough before there are fewer")
	namespace := c.Flags().String("namespace", "", "namespace of the ingesters' Deployment")
	deployment := c.Flags().String("deployment", "", "its name")
	c.RunE = func(c *cobra.Command, _ []string) error {
		login, err := a.podLogin(f)
		if err != nil {
			return err
		}
		if p.Lag < 1 || p.Least < 1 || p.Most < p.Least || len(p.Topics) == 0 || *deployment == "" {
			return fault.New(fault.BadInput, "the program cannot scale anything", "it needs --topics, --deployment, --lag of at least 1, and --most of at least --least", "alertlab pod --help")
		}
		replicas, err := kube.OwnReplicas(*namespace, *deployment)
		if err != nil {
			return err
		}
		p.Common, p.Login, p.Replicas = f.common, login, replicas
		return p.Run(c.Context())
	}
	return c
}
