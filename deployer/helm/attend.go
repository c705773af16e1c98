package helm

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/event"
)

// Attendance is what is known of the pods of a release beside its gates: what they
// write, and how they were seen last. The zero value is one of nobody yet.
type Attendance struct {
	hearing sync.Once

	mu   sync.Mutex
	pods []kube.Pod // as last seen
}

// Listen begins to follow the release's pods, once, for as long as this process lives.
// Only who applies a release or owns it listens: who looks may be a process that only
// plans. Nothing is done where nobody hears; since says from when on what they wrote is
// news, nil: from now on, the zero time: all that there is.
func (a *Attendance) Listen(target interface {
	Follow(ctx context.Context, namespace, selector string, since time.Time, line func(pod, text string))
}, r component.Release, since func() time.Time, hear func(pod, line string)) {
	if hear == nil {
		return
	}
	a.hearing.Do(func() {
		from := time.Now()
		if since != nil {
			from = since()
		}
		go target.Follow(context.Background(), r.Namespace, r.PodSelector(), from, hear)
	})
}

// See remembers the pods of a release, and gives them as a sentence, "" for none.
func (a *Attendance) See(ctx context.Context, target interface {
	Pods(ctx context.Context, namespace, selector string) ([]kube.Pod, error)
}, r component.Release) string {
	pods, err := target.Pods(ctx, r.Namespace, r.PodSelector())
	if err != nil {
		pods = nil // the observation itself says what is wrong
	}
	a.mu.Lock()
	a.pods = pods
	a.mu.Unlock()
	return sentence(pods)
}

// sentence says how many pods are ready, where, and how often they were started again.
func sentence(pods []kube.Pod) string {
	if len(pods) == 0 {
		return ""
	}
	ready, restarts := 0, 0
	var nodes []string
	for _, one := range pods {
		if one.Ready {
			ready++
		}
		restarts += one.Restarts
		if one.Node != "" && !slices.Contains(nodes, one.Node) {
			nodes = append(nodes, one.Node)
		}
	}
	text := fmt.Sprintf("%d of %d pods ready", ready, len(pods))
	if len(nodes) > 0 {
		slices.Sort(nodes)
		text += " on " + strings.Join(nodes, ", ")
	}
	switch restarts {
	case 0:
	case 1:
		text += ", 1 restart"
	default:
		text += fmt.Sprintf(", %d restarts", restarts)
	}
	return text
}

// Activity gives programs the pods as they were last seen; people read what was observed.
func (a *Attendance) Activity() event.Activity {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pods) == 0 {
		return event.Activity{}
	}
	detail, err := json.Marshal(map[string]any{"pods": a.pods})
	if err != nil {
		panic(err) // names and numbers
	}
	return event.Activity{Detail: detail}
}
