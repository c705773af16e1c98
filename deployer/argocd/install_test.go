package argocd

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"helm.sh/helm/v3/pkg/chart"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/plan"
)

// fakeHelm is a cluster in which Helm installs what it is told.
type fakeHelm struct {
	helm.Target
	api       API
	installed []helm.Release
	rollout   kube.Verdict
}

func (f *fakeHelm) Install(ctx context.Context, r helm.Release) error {
	f.installed = append(f.installed, r)
	// What the chart makes of the values.
	tls := r.Values["configs"].(map[string]any)["tls"].(map[string]any)["certificates"].(map[string]any)
	trusted := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: argocd.TLSCerts, Namespace: r.Namespace}, Data: map[string]string{}}
	for host, pem := range tls {
		trusted.Data[host] = pem.(string)
	}
	f.api.CoreV1().ConfigMaps(r.Namespace).Delete(ctx, argocd.TLSCerts, metav1.DeleteOptions{})
	_, err := f.api.CoreV1().ConfigMaps(r.Namespace).Create(ctx, trusted, metav1.CreateOptions{})
	return err
}

func (f *fakeHelm) Look(context.Context, string, string) (helm.Record, bool, error) {
	if len(f.installed) == 0 {
		return helm.Record{}, false, nil
	}
	last := f.installed[len(f.installed)-1]
	return helm.Record{Chart: last.Chart.Name() + " " + last.Chart.Metadata.Version, Revision: len(f.installed), Deployed: true, Values: last.Values}, true, nil
}

func (f *fakeHelm) Unstick(context.Context, string, string) error { return nil }

func (f *fakeHelm) Rollout(context.Context, string, string) (kube.Verdict, error) {
	return f.rollout, nil
}

func (f *fakeHelm) WaitRollout(_ context.Context, namespace, selector string, seen func(string)) error {
	seen(namespace + " " + selector)
	return nil
}

func TestInstall(t *testing.T) {
	t.Parallel()
	ctx, folder := t.Context(), filepath.Join(t.TempDir(), "tls")
	api := fake.NewClientset()
	f := &fakeHelm{api: api, rollout: kube.Verdict{Done: true}}
	const password = "correct-horse-battery-staple"
	p := &Install{Lab: "default", CAFile: authority.File(folder),
		Open: func() (Access, error) { return Access{Target: f, API: api}, nil },
		Fetch: func(_ context.Context, repository, name, version string) (*chart.Chart, error) {
			return &chart.Chart{Metadata: &chart.Metadata{Name: name, Version: version, Home: repository}}, nil
		},
		Authority: func() (*authority.Authority, error) { return authority.Open(folder, "alertlab default") },
		Password:  func() (string, error) { return password, nil },
		Answers:   func(context.Context) (bool, string, error) { return true, "", nil }}
	input, err := plan.Resolve(argocd.Want(component.Lab{Name: "default"}).Input, map[string]map[string]string{"cluster": {"address": "172.18.0.2"}})
	if err != nil {
		t.Fatal(err)
	}
	look := plan.Look{Last: input}
	if o, err := p.Observe(ctx, look); err != nil || o.State != plan.Absent {
		t.Fatalf("before: %+v, %v", o, err)
	}
	out, err := p.Apply(ctx, plan.Order{Action: plan.Create, Input: input})
	if err != nil || out["url"] != "https://172.18.0.2:31443" || out["ca-file"] != authority.File(folder) {
		t.Fatalf("%v, %v", out, err)
	}
	if o, err := p.Observe(ctx, look); err != nil || o.State != plan.Present || o.Drift != "" {
		t.Errorf("after: %+v, %v", o, err)
	}
	if text := string(plan.Input(f.installed[0].Values)); strings.Contains(text, password) || strings.Contains(text, "$2a$") {
		t.Errorf("the password is among the values: %s", text)
	}
	secret := func() *corev1.Secret {
		s, err := api.CoreV1().Secrets(argocd.Namespace).Get(ctx, argocd.Secret, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if err := bcrypt.CompareHashAndPassword(secret().Data["admin.password"], []byte(password)); err != nil {
		t.Error(err)
	}

	// What Argo CD keeps in its Secret stays, and so does a password that is right.
	s := secret()
	s.Data["server.secretkey"] = []byte("argo's own")
	hash := string(s.Data["admin.password"])
	if _, err := api.CoreV1().Secrets(argocd.Namespace).Update(ctx, s, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Apply(ctx, plan.Order{Action: plan.Update, Input: input}); err != nil {
		t.Fatal(err)
	}
	if s := secret(); string(s.Data["server.secretkey"]) != "argo's own" || string(s.Data["admin.password"]) != hash {
		t.Error("the Secret was written anew")
	}
	// A cluster that was stopped has it as it was: Helm has nothing to do.
	if _, err := p.Apply(ctx, plan.Order{Action: plan.Ensure, Input: input}); err != nil || len(f.installed) != 2 {
		t.Errorf("installed %d times, %v", len(f.installed), err)
	}

	for name, tc := range map[string]struct {
		change func()
		drift  string
	}{
		"password": {func() {
			s := secret()
			s.Data["admin.password"] = []byte("$2a$10$x")
			if _, err := api.CoreV1().Secrets(argocd.Namespace).Update(ctx, s, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "another password than the lab's stands for admin"},
		"certificate": {func() {
			if err := api.CoreV1().Secrets(argocd.Namespace).Delete(ctx, argocd.ServerTLS, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "the Secret argocd-server-tls is not there"},
		"trust": {func() {
			if err := api.CoreV1().ConfigMaps(argocd.Namespace).Delete(ctx, argocd.TLSCerts, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "it does not trust the lab's certificate authority"},
		"pods": {func() { f.rollout = kube.Verdict{Seen: "argocd-server: 0 of 1 ready"} }, "its pods are not all ready: argocd-server: 0 of 1 ready"},
	} {
		tc.change()
		if o, err := p.Observe(ctx, look); err != nil || o.Drift != tc.drift {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		if _, err := p.Apply(ctx, plan.Order{Action: plan.Update, Input: input}); err != nil {
			t.Fatal(err)
		}
		f.rollout = kube.Verdict{Done: true}
		if o, err := p.Observe(ctx, look); err != nil || o.Drift != "" {
			t.Errorf("%s, put right: %+v, %v", name, o, err)
		}
	}
	var seen []string
	for _, g := range argocd.Want(component.Lab{}).Gates {
		if err := p.Wait(ctx, g, plan.Order{Input: input}, func(s string) { seen = append(seen, s) }); err != nil {
			t.Error(err)
		}
	}
	if len(seen) != 1 || seen[0] != "argocd app.kubernetes.io/instance=argocd" {
		t.Errorf("seen %q", seen)
	}
}

// What Argo CD says while it is started anew passes; what it refuses does not.
func TestPasses(t *testing.T) {
	t.Parallel()
	for want, errs := range map[bool][]error{
		true: {awayError{errors.New("no pod is ready")}, status.Error(codes.Unavailable, "x"), status.Error(codes.Unauthenticated, "x"),
			status.Error(codes.FailedPrecondition, "error resolving repo revision: rpc error: code = Unavailable desc = connection error"),
			status.Error(codes.Internal, "Failed to terminate app. Too many conflicts")},
		false: {nil, errors.New("x"), status.Error(codes.PermissionDenied, "x"), status.Error(codes.Internal, "x"), status.Error(codes.FailedPrecondition, "another operation is already in progress")},
	} {
		for _, err := range errs {
			if passes(err) != want {
				t.Errorf("%v passes: %v", err, !want)
			}
		}
	}
}

// A session to a cluster that is away is tried until the end of its context, which it
// then names.
func TestAway(t *testing.T) {
	t.Parallel()
	asked := 0
	s := &Session{Password: func() (string, error) { return "p", nil }, Cluster: func() (*kube.Client, error) {
		asked++
		return nil, awayError{errors.New("connection refused")}
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c := Cluster{Session: s}
	if err := c.Refresh(ctx, "kafka"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v", err)
	}
	if asked < 2 {
		t.Errorf("asked %d times", asked)
	}
	if open, seen, err := s.Answers(t.Context()); open || err != nil || seen != "connection refused" {
		t.Errorf("%v, %q, %v", open, seen, err)
	}
	s.Password = func() (string, error) { return "", errors.New("no password is kept") }
	if err := c.Sync(t.Context(), "kafka"); err == nil || !strings.Contains(err.Error(), "no password is kept") {
		t.Errorf("without a password: %v", err)
	}
}
