package kube

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// How long a cause may last before no waiting will cure it. Images are in the
// nodes or will never be, but an import may be under way; containers of a set of
// components crash while they wait for each other; a pod is unschedulable until
// its volume is bound or its node is Ready.
const (
	imagePatience    = 10 * time.Second
	schedulePatience = 30 * time.Second
	crashesAllowed   = 4
)

// State is how far a pod is.
type State struct {
	Ready    bool   // running with every container ready, or ended well
	Seen     string // for people: the phase, or the reason of what holds it up
	Terminal string // the reason why no waiting will help; "" while there is hope
}

// PodState reads a pod's status.
func PodState(p *corev1.Pod, now time.Time) State {
	if p.DeletionTimestamp != nil {
		return State{Seen: "is being deleted"}
	}
	switch p.Status.Phase {
	case corev1.PodSucceeded:
		return State{Ready: true, Seen: "Succeeded"}
	case corev1.PodFailed:
		why := "Failed " + p.Status.Reason + " " + p.Status.Message
		for _, c := range allStatuses(p) {
			if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
				why = fmt.Sprintf("container %s ended with exit code %d %s %s", c.Name, t.ExitCode, t.Reason, t.Message)
			}
		}
		why = clean(why)
		return State{Seen: why, Terminal: why}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			s := State{Seen: clean(c.Reason + ": " + c.Message)}
			if c.Reason == corev1.PodReasonUnschedulable && now.Sub(c.LastTransitionTime.Time) > schedulePatience {
				s.Terminal = s.Seen
			}
			return s
		}
	}
	for _, c := range allStatuses(p) {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		s := State{Seen: clean(fmt.Sprintf("container %s: %s %s", c.Name, w.Reason, w.Message))}
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName":
			if now.Sub(waitingSince(p)) > imagePatience {
				s.Terminal = clean(fmt.Sprintf("image %s cannot be pulled: %s %s", c.Image, w.Reason, w.Message))
			}
		case "CrashLoopBackOff":
			if t := c.LastTerminationState.Terminated; t != nil {
				s.Seen = clean(fmt.Sprintf("%s (last exit code %d, %d restarts)", s.Seen, t.ExitCode, c.RestartCount))
			}
			if int(c.RestartCount) >= crashesAllowed {
				s.Terminal = s.Seen
			}
		case "CreateContainerConfigError", "PodInitializing", "ContainerCreating", "":
			continue // may be cured by what is applied next; the phase says enough
		default:
			return s
		}
		return s
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			if c.Status == corev1.ConditionTrue {
				return State{Ready: true, Seen: "Ready"}
			}
			return State{Seen: clean(fmt.Sprintf("%s, not Ready: %s %s", p.Status.Phase, c.Reason, c.Message))}
		}
	}
	return State{Seen: clean(string(p.Status.Phase) + " " + p.Status.Reason)}
}

func allStatuses(p *corev1.Pod) []corev1.ContainerStatus {
	return append(append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...)
}

// waitingSince is when the pod was given to its node.
func waitingSince(p *corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled {
			return c.LastTransitionTime.Time
		}
	}
	return p.CreationTimestamp.Time
}

// clean makes one line of at most 400 characters.
func clean(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = strings.TrimSuffix(s, ":")
	if len(s) > 400 {
		s = s[:400] + "..."
	}
	return s
}
