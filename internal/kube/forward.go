package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// Forward listens at a port of this machine's loopback address and passes on what
// comes there to a port of a ready pod of a selector. It gives the address, host:port;
// close ends it. gone is closed when the way to the pod has ended, which happens by
// itself when the pod does.
func (c *Client) Forward(ctx context.Context, namespace, selector string, port int) (address string, gone <-chan struct{}, closeIt func(), err error) {
	pod, err := c.readyPod(ctx, namespace, selector)
	if err != nil {
		return "", nil, nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(c.Config())
	if err != nil {
		return "", nil, nil, err
	}
	url := c.Clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:" + strconv.Itoa(port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return "", nil, nil, err
	}
	var failed error
	go func() {
		defer close(ended)
		failed = forwarder.ForwardPorts()
	}()
	select {
	case <-ready:
	case <-ended:
		return "", nil, nil, fmt.Errorf("forwarding to pod %s: %w", pod, errors.Join(failed, errors.New("it ended before it began")))
	case <-ctx.Done():
		close(stop)
		return "", nil, nil, context.Cause(ctx)
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		close(stop)
		return "", nil, nil, err
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0].Local))), ended, func() {
		close(stop)
		<-ended
	}, nil
}

// readyPod gives the name of a pod of a selector that takes requests.
func (c *Client) readyPod(ctx context.Context, namespace, selector string) (string, error) {
	pods, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return "", err
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		for _, condition := range p.Status.Conditions {
			if p.DeletionTimestamp == nil && condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				return p.Name, nil
			}
		}
	}
	return "", fmt.Errorf("pods %s in namespace %s: %w", selector, namespace, ErrNoPod)
}
