package kube

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Expected is an object and how it should be.
type Expected struct {
	Ref  Ref
	Cond Condition
}

// Object names an object by its apiVersion, as manifests do.
func Object(apiVersion, kind, namespace, name string) Ref {
	return Ref{Kind: schema.FromAPIVersionAndKind(apiVersion, kind), Namespace: namespace, Name: name}
}

// Behind chooses the pods that operators make of objects; of no selector there are none.
type Behind struct{ Namespace, Selector string }

// WaitAll waits for objects, one after the other; seen is told what is there instead.
// The error is a *WaitError with Kubernetes' newest warnings about the object. Where a
// pod behind them waits for what will not come, the wait ends with that, whatever their
// operator still hopes for.
func (c *Client) WaitAll(ctx context.Context, objects []Expected, behind Behind, seen func(string)) error {
	if behind.Selector == "" {
		return c.waitEach(ctx, objects, seen)
	}
	var mu sync.Mutex
	say := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		seen(s)
	}
	both, giveUp := context.WithCancel(ctx)
	defer giveUp()
	ails := make(chan podsSeen, 1)
	go func() {
		p := c.watchAiling(both, behind, say)
		if p.terminal != "" {
			giveUp()
		}
		ails <- p
	}()
	err := c.waitEach(both, objects, say)
	giveUp()
	p := <-ails
	if err == nil {
		return nil
	}
	if p.terminal != "" {
		return &WaitError{What: fmt.Sprintf("pods of %s in namespace %s", behind.Selector, behind.Namespace), Seen: p.terminal}
	}
	var wait *WaitError
	if errors.As(err, &wait) && p.seen != "" {
		wait.Seen += "; " + p.seen
	}
	return err
}

func (c *Client) waitEach(ctx context.Context, objects []Expected, seen func(string)) error {
	for i, e := range objects {
		last := ""
		err := c.Wait(ctx, e.Ref, func(u *unstructured.Unstructured) Verdict {
			v := e.Cond(u)
			if v.Seen != "" && v.Seen != last && !v.Done {
				last = v.Seen
				seen(fmt.Sprintf("%d of %d; %s: %s", i, len(objects), e.Ref, v.Seen))
			}
			return v
		})
		if err != nil {
			return c.withWarnings(ctx, e.Ref, err)
		}
	}
	return nil
}

// withWarnings adds what Kubernetes warned of about an object to the error of a wait.
func (c *Client) withWarnings(ctx context.Context, ref Ref, err error) error {
	var wait *WaitError
	if !errors.As(err, &wait) {
		return err
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if w := c.warnings(bound, ref.Namespace, []string{ref.Name}); w != "" {
		wait.Seen += "; " + w
	}
	return wait
}

// Look says what objects are not as they should be, "" when all are.
func (c *Client) Look(ctx context.Context, objects []Expected) (string, error) {
	var not []string
	for _, e := range objects {
		u, err := c.Get(ctx, e.Ref)
		if err != nil {
			return "", err
		}
		if v := e.Cond(u); !v.Done {
			seen := v.Seen
			if v.Terminal != "" {
				seen = v.Terminal
			}
			not = append(not, e.Ref.String()+": "+seen)
		}
	}
	return strings.Join(not, "; "), nil
}

// Patient repeats what fails for a reason that passes: a server that is away, a
// webhook that does not serve yet, a kind whose definition is on its way. ctx bounds it.
func (c *Client) Patient(ctx context.Context, do func() error) error { return c.patient(ctx, do) }

// CertificateReady holds when cert-manager has issued a Certificate as it now is. An
// issuance that failed is terminal: cert-manager tries again after an hour.
func CertificateReady(u *unstructured.Unstructured) Verdict {
	ready := HasCondition("Ready", "True")(u)
	if u == nil {
		return ready
	}
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, one := range conditions {
		m, _ := one.(map[string]any)
		switch generation, _, _ := unstructured.NestedInt64(m, "observedGeneration"); {
		case m["type"] == "Ready" && ready.Done && generation != 0 && generation < u.GetGeneration():
			return Verdict{Seen: "it was issued as it was before its last change"}
		case m["type"] == "Issuing" && m["status"] == "False" && m["reason"] == "Failed":
			return Verdict{Terminal: clean(fmt.Sprintf("it was not issued: %v", orEmpty(m["message"])))}
		}
	}
	return ready
}

// AddressAssigned holds when a Service of type LoadBalancer has the address that is
// wanted; "" is any.
func AddressAssigned(address string) Condition {
	return func(u *unstructured.Unstructured) Verdict {
		if u == nil {
			return Verdict{Seen: "it is not there"}
		}
		list, _, _ := unstructured.NestedSlice(u.Object, "status", "loadBalancer", "ingress")
		var has []string
		for _, one := range list {
			m, _ := one.(map[string]any)
			ip, _ := m["ip"].(string)
			if ip != "" && (address == "" || ip == address) {
				return Verdict{Done: true}
			}
			has = append(has, ip)
		}
		if len(has) == 0 {
			return Verdict{Seen: "it has no address yet"}
		}
		return Verdict{Seen: "it has the address " + strings.Join(has, ", ") + " and not " + address}
	}
}

// SecretHolds holds when a Secret has these values, and says the names of those that it
// has not, never a value.
func SecretHolds(data map[string][]byte) Condition {
	return func(u *unstructured.Unstructured) Verdict {
		if u == nil {
			return Verdict{Seen: "it is not there"}
		}
		var other []string
		for key, want := range data {
			text, _, _ := unstructured.NestedString(u.Object, "data", key)
			if have, err := base64.StdEncoding.DecodeString(text); err != nil || !bytes.Equal(have, want) {
				other = append(other, key)
			}
		}
		if len(other) > 0 {
			slices.Sort(other)
			return Verdict{Seen: "other values stand for " + strings.Join(other, ", ")}
		}
		return Verdict{Done: true}
	}
}

// LabelLab says which lab made an object; LabelBrought, of an object that a chart of
// others made for the whole of a cluster that was there, by which release.
const (
	LabelLab     = "alertlab.dev/lab"
	LabelBrought = "alertlab.dev/brought"
)

// Secret is a Secret to apply.
type Secret struct {
	Namespace, Name string
	Type            string // empty: Opaque
	Labels          map[string]string
	Data            map[string][]byte
}

// Ref names it.
func (s Secret) Ref() Ref { return Object("v1", "Secret", s.Namespace, s.Name) }

// ApplySecrets brings Secrets to the cluster, with the namespaces that they are in where
// there are none. A Secret of the name that somebody else made, as its label says, is
// left as it is, and an error.
func (c *Client) ApplySecrets(ctx context.Context, secrets []Secret) error {
	made := map[string]bool{}
	for _, s := range secrets {
		if !made[s.Namespace] {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace, Labels: s.Labels}}
			if _, err := c.Clientset.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				return err
			}
			made[s.Namespace] = true
		}
		before, err := c.Clientset.CoreV1().Secrets(s.Namespace).Get(ctx, s.Name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if err == nil && before.Labels[LabelLab] != s.Labels[LabelLab] {
			return fmt.Errorf("a Secret %s is in namespace %s that this lab did not make", s.Name, s.Namespace)
		}
		manifest, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Secret", "type": cmp.Or(s.Type, "Opaque"), "data": s.Data,
			"metadata": map[string]any{"name": s.Name, "namespace": s.Namespace, "labels": s.Labels}})
		if err != nil {
			return err
		}
		if err := c.Apply(ctx, "", manifest); err != nil {
			return err
		}
	}
	return nil
}

// DeleteSecrets deletes Secrets by their names; what is not there is not missed.
func (c *Client) DeleteSecrets(ctx context.Context, secrets []Secret) error {
	for _, s := range secrets {
		if err := c.Clientset.CoreV1().Secrets(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
