package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/credentials"
	"github.com/alertlab/alertlab/component/minio"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/content/buckets"
	"github.com/alertlab/alertlab/content/storeusers"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/internal/minioadmin"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

// ownStore asserts that our own chart of MinIO runs, as the full stack brings it, that its
// users may do what ingester and server do and nothing else, and that what somebody changes
// about them is seen and healed.
func (s *stack) ownStore() {
	s.load("!kafka", "minio")
	p, err := profiles.Load("idfint")
	s.must(err)
	creds := endpoints.Credentials{Kafka: map[string]string{}, ObjectStore: endpoints.Keys{AccessKey: "alertlab-owner", SecretKey: secret()},
		Accounts: map[string]string{storeusers.Writer: secret(), storeusers.Reader: secret()}}
	for _, user := range credentials.Users(p) {
		creds.Kafka[user] = secret()
	}
	store := &secrets.Store{}
	store.Set(creds)
	lab := component.Lab{Name: "e2e", Operators: true, StoreExpires: true, StoreUsers: true}
	list, err := s.kube.Clientset.CoreV1().Nodes().List(s.ctx, metav1.ListOptions{})
	s.must(err)
	var node string
	for _, a := range list.Items[0].Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			node = a.Address
		}
	}
	outputs := map[string]map[string]string{"addresses": {"object-store": net.JoinHostPort(node, strconv.Itoa(nodeports.ObjectStore))}}
	resolved := func(w plan.Want) []byte {
		s.Helper()
		input, err := plan.Resolve(w.Input, outputs)
		s.must(err)
		return input
	}
	apply := func(part plan.Part, w plan.Want) []byte {
		s.Helper()
		input := resolved(w)
		out, err := part.Apply(s.ctx, plan.Order{Action: plan.Create, Input: input, Progress: func(int64, int64, string) {}})
		s.must(err)
		outputs[w.Key] = out
		return input
	}

	apply(credentials.New(store, func() (credentials.API, error) { return s.kube.Clientset, nil }), credentials.Want(p, lab))
	begun := time.Now()
	server := &helm.Part{}
	server.Open = func() (helm.Target, error) { return helm.Cluster{Client: s.kube}, nil }
	server.Probes = minio.Probes()
	want := minio.Want(p, lab)
	want.Key = "object-store"
	input := apply(server, want)
	for _, gate := range want.Gates {
		var last string
		if err := server.Wait(s.ctx, gate, plan.Order{Input: input}, func(seen string) { last = seen }); err != nil {
			s.Fatalf("%s: %v; %s", gate.What, err, last)
		}
	}
	s.Logf("our chart of MinIO is ready and answers after %.1f s", time.Since(begun).Seconds())

	expiring := buckets.WantExpiring(p)
	apply(buckets.New(store), expiring)
	if o, err := buckets.New(store).Observe(s.ctx, plan.Look{Want: expiring, Last: resolved(expiring)}); err != nil || o.Drift != "" {
		s.Errorf("buckets and their rule: %+v, %v", o, err)
	}
	users, wanted := storeusers.New(store), storeusers.Want(p)
	last := apply(users, wanted)
	drift := func() string {
		s.Helper()
		o, err := users.Observe(s.ctx, plan.Look{Want: wanted, Last: last})
		s.must(err)
		return o.Drift
	}
	if seen := drift(); seen != "" {
		s.Errorf("users as they were made: %s", seen)
	}
	url := outputs["object-store"]["url"]
	as := func(user, key string) *objectstore.Client {
		c := objectstore.NewClient(objectstore.ClientConfig{Endpoint: url, AccessKey: user, SecretKey: key, Checksum: true})
		s.Cleanup(c.Close)
		return c
	}
	writer, reader := as(storeusers.Writer, creds.Accounts[storeusers.Writer]), as(storeusers.Reader, creds.Accounts[storeusers.Reader])
	s.rights(p, writer, reader)

	// Behind the lab's back.
	admin, err := minioadmin.New(minioadmin.Config{Endpoint: url, Region: "us-east-1", AccessKey: creds.ObjectStore.AccessKey, SecretKey: creds.ObjectStore.SecretKey})
	s.must(err)
	for _, test := range []struct {
		change func() error
		drift  string
	}{
		{func() error { return admin.RemoveUser(s.ctx, storeusers.Writer) }, "user alert-database-writer of the object store is missing"},
		{func() error { return admin.Attach(s.ctx, "readwrite", storeusers.Reader) }, "has other policies than its own"},
		{func() error { return admin.SetUser(s.ctx, storeusers.Reader, secret()) }, "the key of user alert-database-reader does not open the object store: SignatureDoesNotMatch"},
		{func() error {
			all := minioadmin.Allow([]string{"s3:*"}, []string{minioadmin.Objects(p.AlertDatabase.AlertBucket)})
			return admin.SetPolicy(s.ctx, storeusers.Writer, minioadmin.Policy{Version: minioadmin.PolicyVersion, Statement: []minioadmin.Statement{all}})
		}, "the policy of user alert-database-writer of the object store allows something else"},
	} {
		s.must(test.change())
		if seen := drift(); !strings.Contains(seen, test.drift) {
			s.Errorf("seen: %q, want %q", seen, test.drift)
		}
		apply(users, wanted)
		if seen := drift(); seen != "" {
			s.Errorf("healed of %q: %s", test.drift, seen)
		}
	}
	s.rights(p, writer, reader)
	if _, err := users.Apply(s.ctx, plan.Order{Input: []byte(fmt.Sprintf(`{"url":%q,"region":"us-east-1"}`, url)), LastInput: last}); err != nil {
		s.Error(err)
	}
	if seen := drift(); strings.Count(seen, "is missing") != 2 {
		s.Errorf("users that nobody wants: %q", seen)
	}
}

// rights asserts what the two users may do, and what they may not.
func (s *stack) rights(p *profiles.Profile, writer, reader *objectstore.Client) {
	s.Helper()
	packets, schemas := p.AlertDatabase.AlertBucket, p.AlertDatabase.SchemaBucket
	const alert, schema = "v2/alerts/170051/170051234.avro.gz", "v2/schemas/1100.json"
	refused := func(what string, err error) {
		s.Helper()
		var r *objectstore.RequestError
		if !errors.As(err, &r) || r.Status != http.StatusForbidden {
			s.Errorf("%s: %v", what, err)
		}
	}
	// What the ingester does.
	s.must(writer.Put(s.ctx, packets, alert, []byte("an alert")))
	if _, err := writer.Stat(s.ctx, schemas, "v2/schemas/not-there.json"); !errors.Is(err, objectstore.ErrNotFound) {
		s.Errorf("the writer looks for a schema that is not there: %v", err)
	}
	s.must(writer.Put(s.ctx, schemas, schema, []byte("{}")))
	if _, err := writer.Stat(s.ctx, schemas, schema); err != nil {
		s.Error(err)
	}
	// What the server does.
	if got, err := reader.Bytes(s.ctx, packets, alert); err != nil || !bytes.Equal(got, []byte("an alert")) {
		s.Errorf("the reader reads %q, %v", got, err)
	}
	for _, bucket := range []string{packets, schemas} {
		if _, err := reader.Get(s.ctx, bucket, "v2/not-there"); !errors.Is(err, objectstore.ErrNotFound) {
			s.Errorf("the reader asks for what is not there: %v", err)
		}
	}
	// What neither does.
	refused("the writer deletes an alert", writer.Delete(s.ctx, packets, alert))
	refused("the writer deletes a bucket", writer.DeleteBucket(s.ctx, schemas))
	_, err := writer.Bytes(s.ctx, packets, alert)
	refused("the writer reads an alert", err)
	refused("the writer changes the rule", writer.SetExpiries(s.ctx, packets, nil))
	refused("the writer makes a bucket", writer.EnsureBucket(s.ctx, "somebody-elses"))
	refused("the reader puts an alert", reader.Put(s.ctx, packets, alert, []byte("another")))
	refused("the reader deletes an alert", reader.Delete(s.ctx, packets, alert))
	refused("the reader deletes a bucket", reader.DeleteBucket(s.ctx, packets))
}
