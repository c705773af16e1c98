package e2e

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apiclient"
	"github.com/argoproj/argo-cd/v2/pkg/apiclient/application"
	"github.com/argoproj/argo-cd/v2/pkg/apiclient/repository"
	"github.com/argoproj/argo-cd/v2/pkg/apiclient/session"
	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/bundle"
)

// hostName is what k3d calls this machine in the DNS of a cluster's pods.
const hostName = "host.k3d.internal"

// argoCD asserts that Argo CD syncs a chart from an OCI registry over TLS, and says
// through its API that it is Synced and Healthy.
func (s *stack) argoCD() {
	port, ca := serveRegistry(s.T, net.IPv4(127, 0, 0, 1))
	s.pushChart(port, ca)
	// Argo CD takes the address of an OCI registry for a URL without a scheme, in
	// which an IP address with a port cannot stand; k3d gives the host a name.
	registryAddress := net.JoinHostPort(hostName, port)

	s.load("!kafka", "argocd", "redis")
	s.chart("argo-cd", "argocd", 4, map[string]any{
		"server":  map[string]any{"service": map[string]any{"type": "LoadBalancer"}},
		"configs": map[string]any{"tls": map[string]any{"certificates": map[string]any{hostName: string(ca)}}},
	})
	server := s.serviceAddress("argocd", "argocd-server").String()
	initial, err := s.kube.Clientset.CoreV1().Secrets("argocd").Get(s.ctx, "argocd-initial-admin-secret", metav1.GetOptions{})
	s.must(err)

	options := apiclient.ClientOptions{ServerAddr: net.JoinHostPort(server, "443"), Insecure: true}
	anonymous, err := apiclient.NewClient(&options)
	s.must(err)
	closer, sessions, err := anonymous.NewSessionClient()
	s.must(err)
	login, err := sessions.Create(s.ctx, &session.SessionCreateRequest{Username: "admin", Password: string(initial.Data["password"])})
	closer.Close()
	s.must(err)
	options.AuthToken = login.Token
	client, err := apiclient.NewClient(&options)
	s.must(err)
	closer, repositories, err := client.NewRepoClient()
	s.must(err)
	_, err = repositories.CreateRepository(s.ctx, &repository.RepoCreateRequest{Upsert: true, Repo: &v1alpha1.Repository{
		Type: "helm", Name: "charts", Repo: registryAddress + "/charts", EnableOCI: true}})
	closer.Close()
	s.must(err)
	closer, apps, err := client.NewApplicationClient()
	s.must(err)
	defer closer.Close()

	begun := time.Now()
	yes, validate := true, false
	_, err = apps.Create(s.ctx, &application.ApplicationCreateRequest{Upsert: &yes, Validate: &validate, Application: &v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Name: "sample", Namespace: "argocd"},
		Spec: v1alpha1.ApplicationSpec{
			Project:     "default",
			Source:      &v1alpha1.ApplicationSource{RepoURL: registryAddress + "/charts", Chart: "sample", TargetRevision: "1.2.3"},
			Destination: v1alpha1.ApplicationDestination{Server: "https://kubernetes.default.svc", Namespace: "sample"},
			SyncPolicy:  &v1alpha1.SyncPolicy{SyncOptions: v1alpha1.SyncOptions{"CreateNamespace=true"}},
		},
	}})
	s.must(err)
	name := "sample"
	s.eventually(time.Minute, "a comparison with the chart", func() error {
		app, err := apps.Get(s.ctx, &application.ApplicationQuery{Name: &name})
		if err != nil {
			return err
		}
		if app.Status.Sync.Status != v1alpha1.SyncStatusCodeOutOfSync {
			return fmt.Errorf("sync status %q, %v", app.Status.Sync.Status, app.Status.Conditions)
		}
		return nil
	})
	_, err = apps.Sync(s.ctx, &application.ApplicationSyncRequest{Name: &name})
	s.must(err)
	s.eventually(2*time.Minute, "Synced and Healthy", func() error {
		app, err := apps.Get(s.ctx, &application.ApplicationQuery{Name: &name})
		if err != nil {
			return err
		}
		if app.Status.Sync.Status != v1alpha1.SyncStatusCodeSynced || app.Status.Health.Status != "Healthy" {
			return fmt.Errorf("%s and %s, %v", app.Status.Sync.Status, app.Status.Health.Status, app.Status.Conditions)
		}
		return nil
	})
	s.Logf("Synced and Healthy %.1f s after it was created", time.Since(begun).Seconds())
	word, err := s.kube.Clientset.CoreV1().ConfigMaps("sample").Get(s.ctx, "word", metav1.GetOptions{})
	s.must(err)
	if word.Data["word"] != "from the registry" {
		s.Errorf("the chart's object holds %v", word.Data)
	}
}

// pushChart brings a chart into the registry by way of a bundle, as a site without
// internet does.
func (s *stack) pushChart(port string, ca []byte) {
	s.Helper()
	archive := filepath.Join(s.TempDir(), "sample-1.2.3.tgz")
	var b bytes.Buffer
	s.must(tgz(&b, map[string]string{
		"sample/Chart.yaml":          "apiVersion: v2\nname: sample\nversion: 1.2.3\n",
		"sample/values.yaml":         "word: from the registry\n",
		"sample/templates/word.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: word}\ndata: {word: {{ .Values.word | quote }}}\n",
		"sample/templates/pod.yaml":  "apiVersion: v1\nkind: Pod\nmetadata: {name: word}\nspec:\n  tolerations: [{operator: Exists}]\n  containers:\n  - {name: word, image: registry.k8s.io/pause:3.10.1, imagePullPolicy: Never}\n",
	}))
	s.must(os.WriteFile(archive, b.Bytes(), 0o600))
	file := filepath.Join(s.TempDir(), "charts.tar")
	_, err := bundle.Save(s.ctx, file, bundle.Contents{About: bundle.About{Stack: "sample"}, Sources: []bundle.Source{bundle.Charts{archive}}}, nil)
	s.must(err)
	charts, err := bundle.Open(file)
	s.must(err)
	defer charts.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	pushed, err := charts.Push(s.ctx, bundle.Registry{Host: net.JoinHostPort("127.0.0.1", port), CAs: roots}, bundle.PushOptions{})
	s.must(err)
	s.Logf("pushed %s", pushed[0].Target)
}
