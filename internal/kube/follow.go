package kube

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Follow passes on, line by line, what the containers of the pods of a selector write
// from a time on (zero: all that there is), those of pods that come later too, until ctx
// ends. A cluster that is
// away for a while is asked again. line is called from several goroutines.
func (c *Client) Follow(ctx context.Context, namespace, selector string, since time.Time, line func(pod, text string)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	begun := map[string]bool{} // a start of a container
	begin := func(p *corev1.Pod) {
		for _, s := range allStatuses(p) {
			key := fmt.Sprint(p.UID, "/", s.Name, "/", s.RestartCount)
			if begun[key] || (s.State.Running == nil && s.State.Terminated == nil) {
				continue
			}
			begun[key] = true
			wg.Go(func() { c.followOne(ctx, namespace, p.Name, s.Name, since, line) })
		}
	}
	// By events alone, since this goes on for as long as a lab does.
	again := time.NewTicker(2 * time.Second)
	defer again.Stop()
	for ctx.Err() == nil {
		c.followPods(ctx, namespace, selector, begin)
		select { // a server that ends every watch at once is not asked in a tight loop
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// followPods passes on pods as they are and as they change, until the watch ends.
func (c *Client) followPods(ctx context.Context, namespace, selector string, each func(*corev1.Pod)) {
	list, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return // the cluster is away, or ctx has ended
	}
	for i := range list.Items {
		each(&list.Items[i])
	}
	w, err := c.Clientset.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: list.ResourceVersion})
	if err != nil {
		return
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.ResultChan():
			if !ok {
				return
			}
			if p, is := e.Object.(*corev1.Pod); is {
				each(p)
			}
		}
	}
}

// longestLine bounds a line, in bytes; what is longer is cut.
const longestLine = 64 << 10

func (c *Client) followOne(ctx context.Context, namespace, pod, container string, since time.Time, line func(pod, text string)) {
	options := &corev1.PodLogOptions{Container: container, Follow: true}
	if !since.IsZero() {
		from := metav1.NewTime(since)
		options.SinceTime = &from
	}
	stream, err := c.Clientset.CoreV1().Pods(namespace).GetLogs(pod, options).Stream(ctx)
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
