// Package objectstore is an S3 server over a volume, versitygw in a pod of our own
// image.
package objectstore

import (
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// region is what S3 clients name; the reference services use it with every endpoint.
const region = "us-east-1"

// Internal is where it answers inside the cluster.
const Internal = "http://object-store." + component.Namespace + ".svc:9000"

// Want describes the object store; every profile has the same.
func Want(_ *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "object-store", Namespace: component.Namespace, Chart: "object-store",
		Outputs: map[string]string{"url": "http://${addresses.object-store}", "url.internal": Internal, "region": region},
		Values: lab.Values(map[string]any{"region": region, "storage": map[string]any{"size": "2Gi", "class": lab.StorageClass},
			"service": component.NodePort(nodeports.ObjectStore)})}
	return r.Want("S3 object store, versitygw over a volume", component.Rollout(2*time.Minute),
		plan.Gate{Name: component.GateAnswers, What: "it answers from outside", Deadline: 30 * time.Second})
}

// Probes gives the probes of the gates. The path is the server's own health, which no
// bucket can be called.
func Probes() map[string]component.Probe {
	return map[string]component.Probe{component.GateAnswers: component.Answers("url", "/-health")}
}
