package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// DeletePod deletes the pod that was listed as p: with the time that it has for its end,
// or at once, as if its node had lost it, so that it says goodbye to nobody. One of its
// name that was made since is left alone, and one that is gone is not missed.
func (c *Client) DeletePod(ctx context.Context, namespace string, p Pod, atOnce bool) error {
	uid := types.UID(p.UID)
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	if atOnce {
		options.GracePeriodSeconds = new(int64)
	}
	err := c.Clientset.CoreV1().Pods(namespace).Delete(ctx, p.Name, options)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// WaitReplaced waits until pods of these names are there and ready, none of them with the
// UID that stands beside its name; "" is of no pod. The error is a *WaitError where ctx
// ended.
func (c *Client) WaitReplaced(ctx context.Context, namespace, selector string, gone map[string]string) error {
	last := Verdict{Seen: "nothing yet"}
	err := c.patient(ctx, func() error {
		return c.observePods(ctx, namespace, selector, func(pods []corev1.Pod) { last = replaced(pods, gone, time.Now()) },
			func() bool { return last.Done })
	})
	return verdict(ctx, "pods of "+selector+" in namespace "+namespace, last, err)
}

func replaced(pods []corev1.Pod, gone map[string]string, now time.Time) Verdict {
	var waits []string
	for name, uid := range gone {
		i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Name == name })
		switch {
		case i < 0:
			waits = append(waits, name+" is not there")
		case uid != "" && string(pods[i].UID) == uid, pods[i].DeletionTimestamp != nil:
			waits = append(waits, name+" ends")
		default:
			if state := PodState(&pods[i], now); !state.Ready {
				waits = append(waits, name+": "+state.Seen)
			}
		}
	}
	slices.Sort(waits)
	return Verdict{Done: len(waits) == 0, Seen: strings.Join(waits, "; ")}
}

// ErrNoPod says that no pod of a selector takes requests.
var ErrNoPod = errors.New("none is ready")

// Ask sends an HTTP request, through the API server, to a port of a ready pod of a
// selector, and gives the body of its answer. Whoever asks needs the right pods/proxy. The
// error is an ErrNoPod where there is nobody to ask, else the API's, which it is too where
// the pod refuses.
func (c *Client) Ask(ctx context.Context, namespace, selector string, port int, method, path string) ([]byte, error) {
	pod, err := c.readyPod(ctx, namespace, selector)
	if err != nil {
		return nil, err
	}
	return c.Clientset.CoreV1().RESTClient().Verb(method).Namespace(namespace).Resource("pods").SubResource("proxy").
		Name(fmt.Sprintf("%s:%d", pod, port)).Suffix(path).DoRaw(ctx)
}
