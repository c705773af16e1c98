package credentials_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/credentials"
	"github.com/alertlab/alertlab/content/storeusers"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	creds := endpoints.Credentials{Kafka: map[string]string{}, ObjectStore: endpoints.Keys{AccessKey: "access", SecretKey: "secret"}}
	for _, user := range credentials.Users(p) {
		creds.Kafka[user] = "password-of-" + user
	}
	store := &secrets.Store{}
	api := fake.NewClientset()
	part := credentials.New(store, func() (credentials.API, error) { return api, nil })
	want := credentials.Want(p, component.Lab{Name: "default"})
	if strings.Contains(string(want.Input), "password-of") {
		t.Errorf("passwords are in the plan: %s", want.Input)
	}
	ctx := t.Context()
	if o, err := part.Observe(ctx, plan.Look{Want: want}); err != nil || o.State != plan.Absent {
		t.Errorf("never made: %+v, %v", o, err)
	}
	if _, err := part.Apply(ctx, plan.Order{Input: want.Input}); err == nil {
		t.Error("made without passwords")
	}
	store.Set(creds)
	for range 2 { // whatever is there
		if _, err := part.Apply(ctx, plan.Order{Input: want.Input}); err != nil {
			t.Fatal(err)
		}
	}
	made, err := api.CoreV1().Secrets(component.Namespace).Get(ctx, component.Secret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if string(made.Data["fink-password"]) != "password-of-fink" || string(made.Data["kafka-nodes-password"]) == "" || string(made.Data[component.StoreSecretKey]) != "secret" ||
		made.Labels["alertlab.dev/lab"] != "default" {
		t.Errorf("%v %v", made.Data, made.Labels)
	}
	if _, there := made.Data[storeusers.SecretKey(storeusers.Writer)]; there {
		t.Error("the store has no users, and there is a key of one")
	}
	creds.Accounts = map[string]string{storeusers.Writer: "writers-key", storeusers.Reader: "readers-key"}
	store.Set(creds)
	users := credentials.Want(p, component.Lab{Name: "default", StoreUsers: true})
	if _, err := part.Apply(ctx, plan.Order{Input: users.Input}); err != nil {
		t.Fatal(err)
	}
	if made, err = api.CoreV1().Secrets(component.Namespace).Get(ctx, component.Secret, metav1.GetOptions{}); err != nil || string(made.Data["alert-database-writer-secret-key"]) != "writers-key" || string(made.Data["alert-database-reader-secret-key"]) != "readers-key" {
		t.Errorf("%v, %v", made.Data, err)
	}
	space, err := api.CoreV1().Namespaces().Get(ctx, component.Namespace, metav1.GetOptions{})
	if err != nil || space.Labels["app.kubernetes.io/part-of"] != "alertlab" {
		t.Errorf("%v, %v", space, err)
	}
	look := plan.Look{Want: want, Last: want.Input}
	if o, err := part.Observe(ctx, look); err != nil || o.State != plan.Present || o.Drift != "" {
		t.Errorf("as made: %+v, %v", o, err)
	}
	made.Data["fink-password"] = []byte("another")
	if _, err := api.CoreV1().Secrets(component.Namespace).Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if o, err := part.Observe(ctx, look); err != nil || !strings.HasSuffix(o.Drift, "other values stand for fink-password") {
		t.Errorf("changed behind our back: %+v, %v", o, err)
	}
	// Applied again, it is right, and says since when: only what changed it moves that.
	changed := func() string {
		t.Helper()
		if _, err := part.Apply(ctx, plan.Order{Action: plan.Update, Input: want.Input}); err != nil {
			t.Fatal(err)
		}
		now, err := api.CoreV1().Secrets(component.Namespace).Get(ctx, component.Secret, metav1.GetOptions{})
		if err != nil || string(now.Data["fink-password"]) != "password-of-fink" {
			t.Fatalf("%v, %v", now, err)
		}
		return now.Annotations[kube.AnnotationChanged]
	}
	mended := changed()
	if mended == "" || mended == made.Annotations[kube.AnnotationChanged] {
		t.Errorf("mended at %q, made at %q", mended, made.Annotations[kube.AnnotationChanged])
	}
	if again := changed(); again != mended {
		t.Errorf("nothing changed, and it says %q, not %q", again, mended)
	}
	if err := api.CoreV1().Secrets(component.Namespace).Delete(ctx, component.Secret, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if o, err := part.Observe(ctx, look); err != nil || o.State != plan.Absent {
		t.Errorf("deleted: %+v, %v", o, err)
	}
	away := errors.New("away")
	lost := credentials.New(store, func() (credentials.API, error) { return nil, away })
	if _, err := lost.Observe(ctx, look); !errors.Is(err, away) || apierrors.IsNotFound(err) {
		t.Errorf("a cluster that is away: %v", err)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	if err := credentials.Fit(p); err != nil {
		t.Error(err)
	}
	p.Kafka.Readers[0].Name = "someone@example.org"
	if err := credentials.Fit(p); err == nil || !strings.Contains(err.Error(), `"someone@example.org"`) {
		t.Errorf("a name that no Secret takes: %v", err)
	}
}

// A Secret of that name that another made is not written over.
func TestForeign(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	creds := endpoints.Credentials{Kafka: map[string]string{}, ObjectStore: endpoints.Keys{AccessKey: "access", SecretKey: "secret"}}
	for _, user := range credentials.Users(p) {
		creds.Kafka[user] = "password-of-" + user
	}
	store := &secrets.Store{}
	store.Set(creds)
	api := fake.NewClientset(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: component.Secret, Namespace: component.Namespace}, Data: map[string][]byte{"k": []byte("v")}})
	part := credentials.New(store, func() (credentials.API, error) { return api, nil })
	_, err = part.Apply(t.Context(), plan.Order{Input: credentials.Want(p, component.Lab{Name: "t"}).Input})
	if err == nil || !strings.Contains(err.Error(), "that lab t did not make") {
		t.Errorf("%v", err)
	}
	if theirs, err := api.CoreV1().Secrets(component.Namespace).Get(t.Context(), component.Secret, metav1.GetOptions{}); err != nil || string(theirs.Data["k"]) != "v" {
		t.Errorf("%+v, %v", theirs, err)
	}
}
