// Package simulator is the player of simulated visits in a pod.
package simulator

import (
	"fmt"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Want describes a profile's simulator. Its rollout is done when the player runs on
// its grid.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "simulator", Namespace: component.Namespace, Chart: "simulator",
		Values: lab.Values(map[string]any{
			"kafka":  lab.Kafka(p, profiles.SimulatorUser, component.ListenerInternal),
			"source": p.Simulator.StaticTopic, "topic": p.Simulator.Topic, "interval": p.Simulator.Interval.String(),
		})}
	return r.Want(fmt.Sprintf("play a visit of %d alerts into %s every %s", p.Simulator.Alerts, p.Simulator.Topic, p.Simulator.Interval), component.Rollout(2*time.Minute))
}
