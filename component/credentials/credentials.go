// Package credentials puts a lab's passwords into the Secret from which pods take
// them. They go from the lab's file to the API server, and into no plan, value or
// record of Helm.
package credentials

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/content/storeusers"
	"github.com/alertlab/alertlab/content/users"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

type input struct {
	Lab       string   `json:"lab"`
	Namespace string   `json:"namespace"`
	Secret    string   `json:"secret"`
	Users     []string `json:"users"`
	// StoreUsers are the users of the object store beside its owner.
	StoreUsers []string `json:"storeUsers,omitempty"`
	// Passwords counts the new passwords of each user, Tokens are without secrets: so a
	// plan sees that there are others.
	Passwords map[string]int   `json:"passwords,omitempty"`
	Tokens    []profiles.Token `json:"tokens,omitempty"`
}

// Users lists everybody who needs a password: the profile's users and Kafka's nodes.
func Users(p *profiles.Profile) []string { return append(users.Names(p), component.NodesUser) }

// keyRule is what Kubernetes takes as a key of a Secret.
var keyRule = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)

// Fit says which user cannot stand in a Secret, nil when all can.
func Fit(p *profiles.Profile) error {
	for _, name := range users.Names(p) {
		if !keyRule.MatchString(name) {
			return fmt.Errorf("the password of the Kafka user %q cannot be kept in a Secret: its keys are letters, digits, '-', '_' and '.'", name)
		}
	}
	return nil
}

// Want describes the Secret of a profile.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	in := input{Lab: lab.Name, Namespace: component.Namespace, Secret: component.Secret, Users: Users(p), Passwords: lab.Passwords, Tokens: lab.Tokens}
	if lab.StoreUsers {
		in.StoreUsers = storeusers.Names()
	}
	tokens := ""
	if n := len(in.Tokens); n > 0 {
		tokens = fmt.Sprintf(" and %d tokens", n)
	}
	return plan.Want{
		Title: fmt.Sprintf("namespace %s, Secret %s with %d passwords%s", in.Namespace, in.Secret, len(in.Users), tokens),
		Input: plan.Input(in), Behind: "cluster",
	}
}

// API is a cluster's own.
type API = kubernetes.Interface

// New makes the part. open gives the cluster's API.
func New(s *secrets.Store, open func() (API, error)) plan.Part {
	return &part{secrets: s, open: open}
}

type part struct {
	secrets *secrets.Store
	open    func() (API, error)
}

// data is what the Secret should hold.
func (p *part) data(in input) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range in.Users {
		password, err := p.secrets.Password(name)
		if err != nil {
			return nil, err
		}
		out[name+"-password"] = []byte(password)
	}
	if len(in.Tokens) > 0 {
		var tokens []component.Token
		for _, t := range in.Tokens {
			secret, err := p.secrets.Token(t.Name)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, component.Token{Token: t, Secret: secret})
		}
		text, err := json.Marshal(tokens)
		if err != nil {
			return nil, err
		}
		out[component.TokensKey] = text
	}
	for _, name := range in.StoreUsers {
		secret, err := p.secrets.Account(name)
		if err != nil {
			return nil, err
		}
		out[storeusers.SecretKey(name)] = []byte(secret)
	}
	keys, err := p.secrets.ObjectStore()
	if err != nil {
		return nil, err
	}
	out[component.StoreAccessKey], out[component.StoreSecretKey] = []byte(keys.AccessKey), []byte(keys.SecretKey)
	return out, nil
}

// Observe implements plan.Part.
func (p *part) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "this lab has not made it yet"}, nil
	}
	var in input
	if err := json.Unmarshal(look.Last, &in); err != nil {
		return plan.Observation{}, err
	}
	api, err := p.open()
	if err != nil {
		return plan.Observation{}, err
	}
	secret, err := api.CoreV1().Secrets(in.Namespace).Get(ctx, in.Secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return plan.Observation{State: plan.Absent, Why: "the Secret " + in.Secret + " is not there"}, nil
	}
	if err != nil {
		return plan.Observation{}, err
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("the Secret %s holds %d passwords", in.Secret, len(in.Users))}
	want, err := p.data(in)
	if err != nil {
		// Whoever looks without the lab's secrets sees that it is there.
		return o, nil
	}
	var other []string
	for key, value := range want {
		if !bytes.Equal(secret.Data[key], value) {
			other = append(other, key)
		}
	}
	if len(other) > 0 {
		slices.Sort(other)
		o.Drift = fmt.Sprintf("in the Secret %s other values stand for %s", in.Secret, strings.Join(other, ", "))
	}
	return o, nil
}

// Apply implements plan.Part.
func (p *part) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in input
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	api, err := p.open()
	if err != nil {
		return nil, err
	}
	data, err := p.data(in)
	if err != nil {
		return nil, err
	}
	labels := map[string]string{kube.LabelLab: in.Lab, "app.kubernetes.io/part-of": "alertlab"}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: in.Namespace, Labels: labels}}
	if _, err := api.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, err
	}
	secrets := api.CoreV1().Secrets(in.Namespace)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: in.Secret, Namespace: in.Namespace, Labels: labels}, Type: corev1.SecretTypeOpaque, Data: data}
	before, err := secrets.Get(ctx, in.Secret, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	if err == nil && before.Labels[kube.LabelLab] != in.Lab {
		return nil, fmt.Errorf("a Secret %s is in namespace %s that lab %s did not make", in.Secret, in.Namespace, in.Lab)
	}
	// Pods that were made before and do not get on may have started with other values.
	secret.Annotations = map[string]string{kube.AnnotationChanged: time.Now().UTC().Format(time.RFC3339Nano)}
	if err != nil {
		_, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
		return nil, err
	}
	if at, ok := before.Annotations[kube.AnnotationChanged]; ok && maps.EqualFunc(before.Data, data, bytes.Equal) {
		secret.Annotations[kube.AnnotationChanged] = at
	}
	_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	return nil, err
}
