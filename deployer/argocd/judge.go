package argocd

import (
	"strings"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"

	"github.com/alertlab/alertlab/internal/kube"
)

// complaintPatience is how long Argo CD may complain before no waiting will cure it.
// It complains while its own repo-server or the registry of charts is started anew.
const complaintPatience = 45 * time.Second

// judge looks at an Application, nil when there is none, since waiting for it began.
type judge func(app *v1alpha1.Application, waited time.Duration) kube.Verdict

// synced is done when the last sync has ended well and everything is as the chart says.
func synced(app *v1alpha1.Application, waited time.Duration) kube.Verdict {
	switch {
	case app == nil:
		return kube.Verdict{Seen: "there is no such Application"}
	case working(app):
		s := app.Status.OperationState
		if s == nil || s.Phase.Completed() {
			return kube.Verdict{Seen: "its sync has not begun"}
		}
		v := kube.Verdict{Seen: "its sync goes on: " + s.Message}
		if refused := refusals(s); s.RetryCount > 0 && len(refused) > 0 {
			// It is tried again, as all syncs are, but the cluster will refuse this again.
			// What fails before the cluster is asked may be cured by another try: of a
			// project or a chart Argo CD says that there is none while it starts anew.
			v.Terminal = "its sync fails: " + said(s.Message, refused)
		}
		return v
	}
	if why := failure(app); why != "" {
		return kube.Verdict{Terminal: why}
	}
	if why := complaints(app); why != "" {
		v := kube.Verdict{Seen: why}
		if waited > complaintPatience {
			v.Terminal = why
		}
		return v
	}
	switch {
	case !compared(app):
		return kube.Verdict{Seen: "it was not compared with its chart yet"}
	case app.Status.Sync.Status != v1alpha1.SyncStatusCodeSynced:
		return kube.Verdict{Seen: "it is " + string(app.Status.Sync.Status) + ": " + outOfSync(app)}
	}
	return kube.Verdict{Done: true}
}

// healthy is done when Argo CD says so. It knows no cause that is terminal: those are
// the rollout's to see.
func healthy(app *v1alpha1.Application, _ time.Duration) kube.Verdict {
	switch {
	case app == nil:
		return kube.Verdict{Seen: "there is no such Application"}
	case app.Status.Health.Status == "Healthy":
		return kube.Verdict{Done: true}
	}
	return kube.Verdict{Seen: "it is " + ill(app)}
}

// drift says in what an Application is not as it was applied; "" when in nothing.
func drift(wanted, there *v1alpha1.Application) string {
	if diff := differs(wanted, there); len(diff) > 0 {
		return "in its Application " + strings.Join(diff, "; ")
	}
	if working(there) {
		return "a sync of its Application goes on"
	}
	if why := complaints(there); why != "" {
		return "its Application has a " + why
	}
	switch s := there.Status.Sync.Status; {
	case !compared(there) || s == v1alpha1.SyncStatusCodeUnknown:
		return "its Application was not compared with its chart yet"
	case s != v1alpha1.SyncStatusCodeSynced:
		return "its Application is " + string(s) + ": " + outOfSync(there)
	}
	if why := failure(there); why != "" {
		return why
	}
	if h := there.Status.Health.Status; h == "Degraded" || h == "Missing" {
		return "its Application is " + ill(there)
	}
	return ""
}
