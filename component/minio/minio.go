// Package minio is MinIO, the S3 server of the full stack, over a volume.
package minio

import (
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/component/objectstore"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// region is what S3 clients name; the reference services use it with every endpoint.
const region = "us-east-1"

// Image is upstream's.
func Image() string { return upstream.Image("minio") }

// Want describes the object store; every profile has the same.
func Want(_ *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "object-store", Namespace: component.Namespace, Chart: "minio",
		Outputs: map[string]string{"url": "http://${addresses.object-store}", "url.internal": objectstore.Internal, "region": region},
		Values: lab.Policed(map[string]any{"lab": lab.Name, "secret": component.Secret, "image": map[string]any{"reference": Image(), "pullPolicy": "IfNotPresent"},
			"region": region, "storage": map[string]any{"size": "2Gi", "class": lab.StorageClass}, "service": component.NodePort(nodeports.ObjectStore)})}
	return r.Want("S3 object store, MinIO over a volume", component.Rollout(2*time.Minute),
		plan.Gate{Name: component.GateAnswers, What: "it answers from outside", Deadline: 30 * time.Second})
}

// Probes gives the probes of the gates.
func Probes() map[string]component.Probe {
	return map[string]component.Probe{component.GateAnswers: component.Answers("url", "/minio/health/ready")}
}
