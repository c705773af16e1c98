package argocd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"time"

	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/plan"
)

// API is a cluster's own.
type API = kubernetes.Interface

// Access is what Argo CD's own part asks of a cluster.
type Access struct {
	helm.Target
	API API
}

// Install is the part of Argo CD itself: who may log in, its certificate, and the chart
// of others that makes the rest.
type Install struct {
	Lab string
	// Open gives the cluster.
	Open func() (Access, error)
	// Fetch gets Argo CD's chart.
	Fetch helm.Fetch
	// Authority opens the lab's, and makes it where there is none; CAFile is where it
	// keeps what clients trust.
	Authority func() (*authority.Authority, error)
	CAFile    string
	// Password gives the administrator's.
	Password func() (string, error)
	// Answers looks once whether its API takes the lab's login.
	Answers func(ctx context.Context) (open bool, seen string, err error)
	// Say is told what Helm says; nil: nobody.
	Say func(line string)
}

func read(input json.RawMessage) (argocd.Install, error) {
	var in argocd.Install
	if err := json.Unmarshal(input, &in); err != nil {
		return in, fmt.Errorf("the input of Argo CD: %w", err)
	}
	return in, nil
}

// Observe implements plan.Part.
func (p *Install) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	cluster, err := p.Open()
	if err != nil {
		return plan.Observation{}, err
	}
	record, there, err := cluster.Look(ctx, argocd.Name, argocd.Namespace)
	if err != nil {
		return plan.Observation{}, err
	}
	if !there {
		return plan.Observation{State: plan.Absent, Why: "no release " + argocd.Name + " is there"}, nil
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("release %s, revision %d, is as it was applied", argocd.Name, record.Revision)}
	if !record.Deployed {
		o.Drift = fmt.Sprintf("release %s is %s", argocd.Name, record.Status)
		return o, nil
	}
	if look.Last == nil {
		return o, nil
	}
	if o.Drift, err = p.access(ctx, cluster.API); err != nil || o.Drift != "" {
		return o, err
	}
	v, err := cluster.Rollout(ctx, argocd.Namespace, component.Release{Name: argocd.Name}.Selector())
	if err == nil && !v.Done {
		o.Drift = "its pods are not all ready: " + v.Seen
	}
	return o, err
}

// access says in what who may log in, and whom it trusts, is not as it should be.
func (p *Install) access(ctx context.Context, api API) (string, error) {
	secret, err := api.CoreV1().Secrets(argocd.Namespace).Get(ctx, argocd.Secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "the Secret " + argocd.Secret + " is not there", nil
	}
	if err != nil {
		return "", err
	}
	if password, err := p.Password(); err == nil && bcrypt.CompareHashAndPassword(secret.Data["admin.password"], []byte(password)) != nil {
		return "another password than the lab's stands for " + argocd.Admin, nil
	}
	ca, err := os.ReadFile(p.CAFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "the lab's certificate authority is not there", nil
	}
	if err != nil {
		return "", err
	}
	trusted, err := api.CoreV1().ConfigMaps(argocd.Namespace).Get(ctx, argocd.TLSCerts, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return "", err
	}
	if trusted.Data[argocd.RegistryHost] != string(ca) {
		return "it does not trust the lab's certificate authority", nil
	}
	return stale(ctx, api, argocd.ServerTLS, ca)
}

// renewBefore is how long before its end a certificate in a Secret is made anew.
const renewBefore = 30 * 24 * time.Hour

// stale says what is wrong with the certificate in a Secret; "" when nothing is.
func stale(ctx context.Context, api API, name string, ca []byte) (string, error) {
	secret, err := api.CoreV1().Secrets(argocd.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "the Secret " + name + " is not there", nil
	}
	if err != nil {
		return "", err
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return "the Secret " + name + " holds no certificate: " + err.Error(), nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: time.Now().Add(renewBefore)}); err != nil {
		return "the certificate in the Secret " + name + ": " + err.Error(), nil
	}
	return "", nil
}

// Apply implements plan.Part.
func (p *Install) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	in, err := read(order.Input)
	if err != nil {
		return nil, err
	}
	ca, err := p.Authority()
	if err != nil {
		return nil, err
	}
	made, err := p.Fetch(ctx, in.Repository, in.Chart, in.Version)
	if err != nil {
		return nil, err
	}
	cluster, err := p.Open()
	if err != nil {
		return nil, err
	}
	if err := p.admit(ctx, cluster.API); err != nil {
		return nil, err
	}
	if err := putCertificate(ctx, cluster.API, ca, p.Lab, argocd.ServerTLS, in.Hosts); err != nil {
		return nil, err
	}
	// Whom it trusts is no secret, and differs from lab to lab: it is no part of what
	// is planned.
	configs, _ := in.Values["configs"].(map[string]any)
	if configs == nil {
		return nil, errors.New("the input of Argo CD has no values.configs")
	}
	configs["tls"] = map[string]any{"certificates": map[string]any{argocd.RegistryHost: string(ca.PEM())}}
	if order.Action == plan.Ensure {
		// A cluster that was stopped has what it had. Helm would go over every object of
		// it, while all pods start and there is least time for it.
		record, there, err := cluster.Look(ctx, in.Name, in.Namespace)
		if err != nil {
			return nil, err
		}
		if there && record.Deployed && record.Chart == made.Name()+" "+in.Version && len(plan.Diff(plan.Input(record.Values), plan.Input(in.Values))) == 0 {
			return given(in, ca), nil
		}
	}
	if err := cluster.Install(ctx, helm.Release{Name: in.Name, Namespace: in.Namespace, Chart: made, Values: in.Values, Report: p.Say}); err != nil {
		return nil, err
	}
	if order.Action != plan.Create {
		if err := cluster.Unstick(ctx, in.Namespace, in.Selector()); err != nil {
			return nil, err
		}
	}
	return given(in, ca), nil
}

// given are the outputs of the step.
func given(in argocd.Install, ca *authority.Authority) map[string]string {
	out := map[string]string{"ca-file": ca.File()}
	maps.Copy(out, in.Outputs)
	return out
}

// admit writes who may log in. Argo CD keeps its own key in the same Secret.
func (p *Install) admit(ctx context.Context, api API) error {
	password, err := p.Password()
	if err != nil {
		return err
	}
	return putSecret(ctx, api, p.Lab, argocd.Secret, corev1.SecretTypeOpaque, func(data map[string][]byte) error {
		if bcrypt.CompareHashAndPassword(data["admin.password"], []byte(password)) == nil {
			return nil
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
		if err != nil {
			return err
		}
		// Logins that were made before this time are not taken any more.
		data["admin.password"], data["admin.passwordMtime"] = hash, []byte(time.Now().UTC().Format(time.RFC3339))
		return nil
	})
}

// putCertificate writes a certificate for hosts into a Secret, unless the one that is
// there is good.
func putCertificate(ctx context.Context, api API, ca *authority.Authority, lab, name string, hosts []string) error {
	conf, err := ca.Server(name, hosts)
	if err != nil {
		return err
	}
	pair, err := conf.GetCertificate(nil)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	return putSecret(ctx, api, lab, name, corev1.SecretTypeTLS, func(data map[string][]byte) error {
		if bytes.Equal(data[corev1.TLSCertKey], certificate) {
			return nil
		}
		data[corev1.TLSCertKey] = certificate
		data[corev1.TLSPrivateKeyKey] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
		return nil
	})
}

// putSecret makes a Secret of Argo CD's namespace, or changes some of its keys.
func putSecret(ctx context.Context, api API, lab, name string, kind corev1.SecretType, change func(data map[string][]byte) error) error {
	ours := map[string]string{"alertlab.dev/lab": lab, "app.kubernetes.io/part-of": "alertlab"}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: argocd.Namespace, Labels: ours}}
	if _, err := api.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	secrets := api.CoreV1().Secrets(argocd.Namespace)
	secret, err := secrets.Get(ctx, name, metav1.GetOptions{})
	there := err == nil
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if !there {
		// Argo CD watches what carries its own label.
		secret = &corev1.Secret{Type: kind, ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: argocd.Namespace,
			Labels: map[string]string{"alertlab.dev/lab": lab, "app.kubernetes.io/part-of": "argocd"}}}
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	if err := change(secret.Data); err != nil {
		return err
	}
	if there {
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	} else {
		_, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
	}
	return err
}

// Wait implements plan.Waiter.
func (p *Install) Wait(ctx context.Context, gate plan.Gate, order plan.Order, seen func(string)) error {
	in, err := read(order.Input)
	if err != nil {
		return err
	}
	if gate.Name == component.GateRollout {
		cluster, err := p.Open()
		if err != nil {
			return err
		}
		return cluster.WaitRollout(ctx, in.Namespace, in.Selector(), seen)
	}
	return component.Probe(func(ctx context.Context, _ component.Release) (bool, string, error) { return p.Answers(ctx) }).Wait(ctx, in.Release, seen)
}

var _ interface {
	plan.Part
	plan.Waiter
} = (*Install)(nil)
