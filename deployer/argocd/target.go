package argocd

import (
	"context"
	"encoding/json"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apiclient/application"
	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
)

// Cluster is a Target by its API and Argo CD's.
type Cluster struct {
	helm.Cluster
	Session *Session
}

func ref(name string) kube.Ref {
	return kube.Ref{Kind: v1alpha1.ApplicationSchemaGroupVersionKind, Namespace: argocd.Namespace, Name: name}
}

// typed reads an object as an Application; nil for nil.
func typed(u *unstructured.Unstructured) (*v1alpha1.Application, error) {
	if u == nil {
		return nil, nil
	}
	text, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	app := new(v1alpha1.Application)
	return app, json.Unmarshal(text, app)
}

// Application implements Target.
func (c Cluster) Application(ctx context.Context, name string) (*v1alpha1.Application, error) {
	u, err := c.Client.Get(ctx, ref(name))
	if err != nil {
		return nil, err
	}
	return typed(u)
}

// Away implements Target.
func (c Cluster) Away(ctx context.Context) (string, error) {
	v, err := c.Client.Rollout(ctx, argocd.Namespace, own)
	if err != nil || v.Done {
		return "", err
	}
	return v.Seen, nil
}

// own finds the pods of Argo CD.
const own = "app.kubernetes.io/instance=" + argocd.Name

// Wait implements Target.
func (c Cluster) Wait(ctx context.Context, name string, judge judge, seen func(string)) error {
	began := time.Now()
	last := ""
	return c.Client.Wait(ctx, ref(name), func(u *unstructured.Unstructured) kube.Verdict {
		app, err := typed(u)
		if err != nil {
			return kube.Verdict{Terminal: err.Error()}
		}
		v := judge(app, time.Since(began))
		if !v.Done && v.Seen != last {
			last = v.Seen
			seen(v.Seen)
		}
		return v
	})
}

// Put implements Target.
func (c Cluster) Put(ctx context.Context, app *v1alpha1.Application) error {
	yes, no := true, false
	return c.Session.do(ctx, func(ctx context.Context, apps application.ApplicationServiceClient) error {
		_, err := apps.Create(ctx, &application.ApplicationCreateRequest{Application: app, Upsert: &yes, Validate: &no})
		return err
	})
}

// Sync implements Target. A sync that fails, perhaps because something of Argo CD's own
// was started anew, is tried again by Argo CD itself, for half a minute.
func (c Cluster) Sync(ctx context.Context, name string) error {
	yes := true
	return c.Session.do(ctx, func(ctx context.Context, apps application.ApplicationServiceClient) error {
		_, err := apps.Sync(ctx, &application.ApplicationSyncRequest{Name: &name, Prune: &yes,
			RetryStrategy: &v1alpha1.RetryStrategy{Limit: 5, Backoff: &v1alpha1.Backoff{Duration: "2s", MaxDuration: "10s"}}})
		if status.Code(err) == codes.FailedPrecondition {
			// Another sync goes on, which whoever asks has ended: this one was asked for
			// before, and the answer was lost.
			if app, lookErr := c.Application(ctx, name); lookErr == nil && app != nil && working(app) {
				return nil
			}
		}
		return err
	})
}

// Refresh implements Target: Argo CD answers when it has compared.
func (c Cluster) Refresh(ctx context.Context, name string) error {
	normal := string(v1alpha1.RefreshTypeNormal)
	return c.Session.do(ctx, func(ctx context.Context, apps application.ApplicationServiceClient) error {
		_, err := apps.Get(ctx, &application.ApplicationQuery{Name: &name, Refresh: &normal})
		return err
	})
}

// Terminate implements Target.
func (c Cluster) Terminate(ctx context.Context, name string) error {
	return c.Session.do(ctx, func(ctx context.Context, apps application.ApplicationServiceClient) error {
		_, err := apps.TerminateOperation(ctx, &application.OperationTerminateRequest{Name: &name})
		if code := status.Code(err); code == codes.InvalidArgument || code == codes.FailedPrecondition {
			return nil // it has ended meanwhile
		}
		return err
	})
}

var _ Target = Cluster{}
