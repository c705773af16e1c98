package component

import (
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
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Namespace and Secret are the application's own at every site: passwords are in
// the Secret under <user>-password.
const (
	Namespace = "alert-stream-broker"
	Secret    = "alert-stream-broker-secrets"
)

// Keys of the object store in Secret.
const (
	StoreAccessKey = "object-store-access-key"
	StoreSecretKey = "object-store-secret-key"
)

// NodesUser is who Kafka's nodes are to each other.
const NodesUser = "kafka-nodes"

// Lab is what components need to know of a lab beside its profile.
type Lab struct {
	Name string
	// Image is the reference of the image that holds this program.
	Image string
	// Certificates says that services log in to Kafka by certificate.
	Certificates bool
	// Bundle is the file with charts and images of others; "": they are fetched.
	Bundle string
	// Kubernetes is the minor release of the cluster, as 1.35; "": not known.
	Kubernetes string
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
	Name      string         `json:"release"`
	Namespace string         `json:"namespace"`
	Chart     string         `json:"chart"`
	Version   string         `json:"version"` // of the chart, with its digest
	Values    map[string]any `json:"values"`
	// Outside says where a chart comes from that is not ours; nil for ours.
	Outside *Outside `json:"outside,omitempty"`
	// Conditions are those that its objects must have, for GateConditions.
	Conditions []Condition `json:"conditions,omitempty"`
	// Pods chooses, by a label selector, the pods that operators make for it: what ails
	// them is why a condition does not come.
	Pods string `json:"pods,omitempty"`
	// Outputs are what other parts may use of it, by name; they may hold references.
	Outputs map[string]string `json:"outputs,omitempty"`
}

// Outside is a chart that others publish.
type Outside struct {
	Repository string `json:"repository"`       // URL, https or oci
	Bundle     string `json:"bundle,omitempty"` // file that has the chart; "": it is fetched
	// Definitions says that of the chart only its definitions of custom resources are
	// installed, as a release of their own. Else they are left out: Helm never upgrades
	// or labels what lies in a chart's folder crds.
	Definitions bool `json:"definitions,omitempty"`
	// Workloads are the pods that it makes, for who counts before there is a chart to read.
	Workloads []Workload `json:"workloads,omitempty"`
}

// Workload is equal pods of a chart that is not ours.
type Workload struct {
	Name     string `json:"name"`
	Replicas int    `json:"replicas"`
	CPU      string `json:"cpu"`    // requests, as Kubernetes writes them
	Memory   string `json:"memory"` // requests
}

// Condition is one that an object must have in its status, seen of its newest
// generation.
type Condition struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	Type       string `json:"type"` // e.g. Ready; its status must be True
}

// GateConditions opens when every object of Release.Conditions has its condition.
const GateConditions = "conditions"

// Meets is that gate; what completes a sentence, as "Kafka and its nodes are Ready".
func Meets(what string, deadline time.Duration) plan.Gate {
	return plan.Gate{Name: GateConditions, What: what, Deadline: deadline}
}

// Selector finds the objects of a release by the label that every chart sets.
func (r Release) Selector() string { return "app.kubernetes.io/instance=" + r.Name }

// GateRollout opens when every workload of a release runs as its chart now says.
const GateRollout = "rollout"

// Rollout is that gate. The deadline bounds a first start with images at hand on a
// machine of two cores.
func Rollout(deadline time.Duration) plan.Gate {
	return plan.Gate{Name: GateRollout, What: "all of its pods are ready", Deadline: deadline}
}

// Want completes the description of a release's part. Chart names a chart of ours, or
// of others with its version.
func (r Release) Want(title string, gates ...plan.Gate) plan.Want {
	if r.Outside == nil {
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
	return values
}

// Kafka is how a program of ours reaches Kafka as one user.
func (l Lab) Kafka(p *profiles.Profile, user string) map[string]any {
	out := map[string]any{"bootstrap": "${kafka.bootstrap.internal}", "user": user}
	if l.Certificates {
		out["tls"], out["cluster"] = true, p.Kafka.Cluster
	}
	return out
}

// NodePort is the service values of a port of the nodes.
func NodePort(port int) map[string]any { return map[string]any{"type": "NodePort", "nodePort": port} }
