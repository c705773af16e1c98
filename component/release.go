package component

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Namespace and Secret are the application's own at every site: passwords are in
// the Secret under <user>-password.
const (
	Namespace = "alert-stream-broker"
	Secret    = "alert-stream-broker-secrets"
)

// Keys of the object store in Secret, and that of the alert database's tokens: a list
// of profiles.Token with their secrets, as JSON.
const (
	StoreAccessKey = "object-store-access-key"
	StoreSecretKey = "object-store-secret-key"
	TokensKey      = "alert-database-tokens"
)

// Token is a token with its secret, as it stands in Secret.
type Token struct {
	profiles.Token
	Secret string `json:"secret"`
}

// NodesUser is who Kafka's nodes are to each other.
const NodesUser = "kafka-nodes"

// Lab is what components need to know of a lab beside its profile.
type Lab struct {
	Name string
	// Image is the reference of the image that holds this program.
	Image string
	// Charts are charts of others that are at hand in another version than the pinned
	// one: in the lab's bundle.
	Charts []charts.Upstream
	// Passwords counts how often a Kafka user was given a new password.
	Passwords map[string]int
	// Tokens open the alert database, where its profile asks for a scope.
	Tokens []profiles.Token
	// StorageClass is the class of volumes for which the profile names none; empty: the
	// cluster's default.
	StorageClass string
	// Operators says that Kafka is an operator's, which also makes the certificates by
	// which services log in; else component kafkacertificates does.
	Operators bool
	// StoreExpires says that the object store deletes old alerts itself.
	StoreExpires bool
	// StoreUsers says that the object store has users of its own for ingester and server;
	// else both are its owner.
	StoreUsers bool
	// ArgoCD says that Argo CD deploys the lab.
	ArgoCD bool
	// NetworkPolicies says that our charts make those of their pods.
	NetworkPolicies bool
	// Kubernetes is the minor release of the cluster, as 1.35; "": not known.
	Kubernetes string
	// Ingress is who serves the lab's Ingresses, as component/ingress writes it, and
	// IngressAddress where a controller of the cluster's own is reached, HOST or HOST:PORT;
	// "": as that one says.
	Ingress, IngressAddress string
	// Guest says that the cluster is others' too: what the lab makes lies in its own
	// namespace and has names of its own, where Kubernetes lets it.
	Guest bool
	// RealAddresses says that the lab announces the addresses of its profile's source.
	RealAddresses bool
}

// Kafka are the values of a program that logs in at Kafka as a user, by certificate.
// listener is the output of kafka that has the address. Where the lab makes the
// certificates, pods are made anew with another one, which they read when they start;
// what an operator makes it renews itself.
func (l Lab) Kafka(p *profiles.Profile, user, listener string) map[string]any {
	values := map[string]any{"bootstrap": "${kafka." + listener + "}", "user": user, "cluster": p.Kafka.Cluster}
	if !l.Operators {
		values["issued"] = CertificatesIssued
	}
	return values
}

// CertificatesIssued is another text when brokers and clients have other certificates.
const CertificatesIssued = "${kafka-certificates.issued}"

// Outputs of kafka with the addresses of the listeners inside the cluster, both of which
// ask for a client's certificate (facts, environments.md, A3).
const (
	ListenerInternal = "bootstrap.internal" // 9092
	ListenerTLS      = "bootstrap.tls"      // 9093
)

// Domain is the domain that the lab's own host names are in; nobody else's are
// (RFC 6761: test).
func (l Lab) Domain() string { return endpoints.Domain(l.Name) }

// Upstream gives the chart of others of a name as the lab installs it.
func (l Lab) Upstream(name string) charts.Upstream {
	for _, u := range l.Charts {
		if u.Name == name {
			return u
		}
	}
	u, ok := charts.Pinned(name)
	if !ok {
		panic("charts/upstream.yaml has no " + name) // only a mistake in a component can name it
	}
	return u
}

// ClusterID gives the id of the lab's Kafka cluster: 16 bytes in URL-safe base64, as
// kafka-storage wants it. It is the same for every node and for ever.
func (l Lab) ClusterID() string {
	sum := sha256.Sum256([]byte("Kafka cluster of lab " + l.Name))
	sum[0] &= 0x7f // an id that began with a hyphen would look like a flag
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Release is one component as it should be: the input of its step.
type Release struct {
	Name      string `json:"release"`
	Namespace string `json:"namespace"`
	Chart     string `json:"chart"`
	Version   string `json:"version"` // of the chart; of one of ours with its digest
	// Repository is the URL where a chart of others comes from; empty: it is ours.
	Repository string         `json:"repository,omitempty"`
	Values     map[string]any `json:"values"`
	// Definitions says what becomes of a chart's definitions of custom resources, those in
	// its folder crds.
	Definitions Definitions `json:"definitions,omitempty"`
	// Workloads are the pods that a chart of others makes, for who counts them without
	// having it.
	Workloads []Workload `json:"workloads,omitempty"`
	// Pods chooses, by a label selector, the pods that operators make of its objects, where
	// they have labels of their own: what ails them is why a condition does not come.
	Pods string `json:"pods,omitempty"`
	// Outputs are what other parts may use of it, by name; they may hold references.
	Outputs map[string]string `json:"outputs,omitempty"`
	// Runs, of an operator that the cluster may have already, is the version of what it has
	// to run.
	Runs string `json:"runs,omitempty"`
	// Owner, of a chart of others on a cluster that others use too, is the lab whose label
	// every object of the release gets.
	Owner string `json:"owner,omitempty"`
	// Registry, of such a chart, is HOST/PATH of the registry from which the nodes pull its
	// images; "" where images have their own names.
	Registry string `json:"registry,omitempty"`
}

// Definitions is what becomes of a chart's definitions of custom resources.
type Definitions string

// What becomes of them. As Helm has it (the zero value) they are made with the first
// revision, and neither upgraded nor labelled afterwards.
const (
	DefinitionsOnly      Definitions = "only"      // the release is of them alone, as of any other object
	DefinitionsElsewhere Definitions = "elsewhere" // another release is of them
)

// Workload is equal pods of a chart that is not ours.
type Workload struct {
	Name     string `json:"name"`
	Replicas int    `json:"replicas"`
	CPU      string `json:"cpu"`    // requests, as Kubernetes writes them
	Memory   string `json:"memory"` // requests
}

// GateConditions opens when every object that is watched for it has its condition.
const GateConditions = "conditions"

// Meets is that gate; what completes a sentence, as "Kafka and its nodes are Ready".
func Meets(what string, deadline time.Duration) plan.Gate {
	return plan.Gate{Name: GateConditions, What: what, Deadline: deadline}
}

// Selector finds the objects of a release by the label that every chart sets.
func (r Release) Selector() string { return "app.kubernetes.io/instance=" + r.Name }

// PodSelector finds its pods.
func (r Release) PodSelector() string { return cmp.Or(r.Pods, r.Selector()) }

// GateRollout opens when every workload of a release runs as its chart now says.
const GateRollout = "rollout"

// Rollout is that gate. The deadline bounds a first start with images at hand on a
// machine of two cores.
func Rollout(deadline time.Duration) plan.Gate {
	return plan.Gate{Name: GateRollout, What: "all of its pods are ready", Deadline: deadline}
}

// From makes it the release of a chart of others.
func (r Release) From(u charts.Upstream) Release {
	r.Chart, r.Version, r.Repository = u.Name, u.Version, u.Repository
	return r
}

// Want completes the description of a release's part. Chart names a chart of ours, or
// From was told of another's.
func (r Release) Want(title string, gates ...plan.Gate) plan.Want {
	if r.Repository == "" {
		c, err := charts.Load(r.Chart)
		if err != nil {
			panic(err) // only a mistake in a component can name a chart that there is not
		}
		r.Version = c.Version
	}
	return plan.Want{Title: title, Input: plan.Input(r), Outputs: slices.Sorted(maps.Keys(r.Outputs)), Gates: gates, Behind: "cluster"}
}

// Read reads the input of a step.
func Read(input json.RawMessage) (Release, error) {
	var r Release
	if err := json.Unmarshal(input, &r); err != nil {
		return r, fmt.Errorf("the input of a release: %w", err)
	}
	return r, nil
}

// Probe looks at a gate of a release from outside, once. An error is a cause for
// which waiting on would be in vain.
type Probe func(ctx context.Context, r Release) (open bool, seen string, err error)

// Objects are what a gate watches in the cluster: it opens when each of them is as it
// should be. They are known before the release is applied.
type Objects func(r Release) []kube.Expected

// GateAnswers opens when an address of the component answers from outside.
const GateAnswers = "answers"

// Answers asks for a path below the URL that an output holds; 200 opens the gate.
func Answers(output, path string) Probe {
	return func(ctx context.Context, r Release) (bool, string, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Outputs[output]+path, nil)
		if err != nil {
			return false, "", err
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, err.Error(), nil
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK, request.URL.String() + " answers " + response.Status, nil
	}
}

// Image is the values of our own image.
func (l Lab) image() map[string]any {
	return map[string]any{"reference": l.Image, "pullPolicy": "IfNotPresent"}
}

// Values are what every chart of our own programs takes, with more.
func (l Lab) Values(more map[string]any) map[string]any {
	values := map[string]any{"lab": l.Name, "image": l.image(), "secret": Secret}
	maps.Copy(values, more)
	return l.Policed(values)
}

// Policed adds to the values of a chart with pods that they have a NetworkPolicy, where the
// lab has them.
func (l Lab) Policed(values map[string]any) map[string]any {
	if l.NetworkPolicies {
		values["networkPolicies"] = true
	}
	return values
}

// NodePort is the service values of a port of the nodes.
func NodePort(port int) map[string]any { return map[string]any{"type": "NodePort", "nodePort": port} }
