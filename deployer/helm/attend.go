package helm

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/event"
)

// Attend follows what the pods of a release write that this process did not apply, given
// its input as it was last applied: a runner that found nothing to do listens too.
func (p *Part) Attend(input json.RawMessage) {
	r, err := component.Read(input)
	if err != nil {
		return // of another version; its next step listens
	}
	if target, err := p.Open(); err == nil {
		p.hear(target, r)
	}
}

// see remembers the pods of a release, and gives them as a sentence, "" for none.
func (p *Part) see(ctx context.Context, target Target, r component.Release) string {
	pods, err := target.Pods(ctx, r.Namespace, r.Selector())
	if err != nil {
		pods = nil // the observation itself says what is wrong
	}
	p.mu.Lock()
	p.pods = pods
	p.mu.Unlock()
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
func (p *Part) Activity() event.Activity {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pods) == 0 {
		return event.Activity{}
	}
	detail, err := json.Marshal(map[string]any{"pods": p.pods})
	if err != nil {
		panic(err) // names and numbers
	}
	return event.Activity{Detail: detail}
}
