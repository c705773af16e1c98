package kube

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// Follow passes on, line by line, what the containers of the pods of a selector write
// from a time on, those of pods that come later too, until ctx ends. A cluster that is
// away for a while is asked again. line is called from several goroutines.
func (c *Client) Follow(ctx context.Context, namespace, selector string, since time.Time, line func(pod, text string)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	chosen := metav1.ListOptions{LabelSelector: selector}
	begun := map[string]bool{} // a start of a container
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		// The error is of a cluster that is away, or of ctx.
		_ = observe(ctx, func() (string, error) {
			list, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, chosen)
			if err != nil {
				return "", err
			}
			for i := range list.Items {
				p := &list.Items[i]
				for _, s := range allStatuses(p) {
					key := fmt.Sprint(p.UID, "/", s.Name, "/", s.RestartCount)
					if begun[key] || (s.State.Running == nil && s.State.Terminated == nil) {
						continue
					}
					begun[key] = true
					wg.Go(func() { c.followOne(ctx, namespace, p.Name, s.Name, since, line) })
				}
			}
			return list.ResourceVersion, nil
		}, func(version string) (watch.Interface, error) {
			return c.Clientset.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: version})
		}, func() bool { return false })
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// longestLine bounds a line, in bytes; what is longer is cut.
const longestLine = 64 << 10

func (c *Client) followOne(ctx context.Context, namespace, pod, container string, since time.Time, line func(pod, text string)) {
	from := metav1.NewTime(since)
	stream, err := c.Clientset.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Follow: true, SinceTime: &from}).Stream(ctx)
	if err != nil {
		return // it is gone; what comes in its place is followed
	}
	defer stream.Close()
	lines := bufio.NewReaderSize(stream, longestLine)
	for {
		text, more, err := lines.ReadLine()
		if err != nil {
			return
		}
		line(pod, string(text))
		for more && err == nil {
			_, more, err = lines.ReadLine()
		}
	}
}
