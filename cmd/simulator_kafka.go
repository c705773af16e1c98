package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
)

// Topics of the real deployment's simulator, for a cluster that no lab describes.
const (
	siteStaticTopic = "alerts-static"
	siteTopic       = "alerts-simulated"
)

// placeFlags choose the Kafka that a verb of the simulator acts on.
type placeFlags struct{ bootstrap, static, topic string }

// kafkaText is what the verbs' long texts say of it.
const kafkaText = `Without --bootstrap the Kafka is the lab's. With it, or where there is no lab and
KAFKA_BOOTSTRAP_SERVERS is set, it is any cluster: credentials come from the
environment, in the variables that "alertlab env" prints (KAFKA_SECURITY_PROTOCOL,
KAFKA_SASL_MECHANISM, KAFKA_USERNAME, KAFKA_PASSWORD, SSL_CA_FILE). Topics are not
created there.`

func (k *placeFlags) add(c *cobra.Command, static, topic bool) {
	f := c.Flags()
	f.StringVar(&k.bootstrap, "bootstrap", "", "bootstrap address HOST:PORT of a Kafka that is no lab's")
	if static {
		f.StringVar(&k.static, "static-topic", "", "topic that holds the reservoir (default: the lab's, else "+siteStaticTopic+")")
	}
	if topic {
		f.StringVar(&k.topic, "topic", "", "topic to play to (default: the lab's, else "+siteTopic+")")
	}
}

// playground is a Kafka with its topics.
type playground struct {
	login         kafka.Login
	lab           bool // of this host: the lab's own Kafka
	static, topic string
	registry      string // URL of a schema registry, "" for none
}

// cluster finds the Kafka that the flags mean, and makes sure that it answers.
func (a *app) cluster(c *cobra.Command, k *placeFlags) (playground, error) {
	if k.bootstrap == "" && c.Flags().Changed("bootstrap") {
		return playground{}, fault.New(fault.BadInput, "no Kafka is named", "--bootstrap is empty", c.CommandPath()+" --bootstrap HOST:PORT")
	}
	if k.bootstrap == "" && !a.labless() {
		if _, _, err := a.needRunning(c.Context()); err != nil {
			return playground{}, err
		}
		card, creds, err := a.card()
		if err != nil {
			return playground{}, err
		}
		return playground{login(card, creds, card.Superuser()), true, first(k.static, card.Simulator.StaticTopic), first(k.topic, card.Simulator.Topic), card.Registry.URL}, nil
	}
	l, err := a.environLogin(k.bootstrap)
	if err != nil {
		return playground{}, err
	}
	return playground{l, false, first(k.static, siteStaticTopic), first(k.topic, siteTopic), a.getenv("SCHEMA_REGISTRY_URL")}, reach(c.Context(), l)
}

// labless says whether the environment names a Kafka and no lab is meant: none is
// named, and none of the usual name is here.
func (a *app) labless() bool {
	if a.getenv("KAFKA_BOOTSTRAP_SERVERS") == "" || a.lab != state.DefaultLab {
		return false
	}
	dir, err := a.dir()
	return err == nil && !dir.Exists()
}

// environLogin makes a login from the environment; bootstrap stands for its address
// where it is not empty.
func (a *app) environLogin(bootstrap string) (kafka.Login, error) {
	l, err := kafka.FromEnviron(a.getenv, bootstrap)
	var problems *kafka.EnvironError
	if errors.As(err, &problems) {
		return l, &fault.Fault{What: "the environment does not say how to log in to Kafka", Why: problems.Error(),
			Next: "set these variables; alertlab env prints them for a lab", Code: fault.BadInput, Err: err}
	}
	return l, err
}

// reachTime bounds the wait for a cluster that is no lab's, which may not be there.
const reachTime = 20 * time.Second

// reach makes sure that a cluster answers this login.
func reach(ctx context.Context, l kafka.Login) error {
	client, err := kafka.NewClient(l)
	if err != nil {
		return err
	}
	defer client.Close()
	bound, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	if err := client.Ping(bound); err != nil && ctx.Err() == nil {
		return fault.Wrap(fault.StepFailed, "Kafka at "+strings.Join(l.Bootstrap, ",")+" cannot be used", err,
			"check the address, KAFKA_SECURITY_PROTOCOL, KAFKA_USERNAME and KAFKA_PASSWORD; is it reachable from here?")
	}
	return ctx.Err()
}

// absentTopic gives an error about a topic of any Kafka its remedy.
func (p playground) absentTopic(err error, topic string) error {
	if p.lab || err == nil {
		return err
	}
	return fault.Wrap(fault.StepFailed, "topic "+topic+" cannot be used", err,
		fmt.Sprintf("create topic %s and allow user %s to write it, or name another: --topic, --static-topic", topic, first(p.login.User, "anonymous")))
}
