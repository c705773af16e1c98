package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// retry is how long after a failed change the next attempt is made; a change
// of any node brings it forward.
const retry = 2 * time.Second

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, os.Getenv); err != nil {
		log.Error("the pod network cannot run", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger, env func(string) string) error {
	me := env("NODE_NAME")
	if me == "" {
		return fmt.Errorf("NODE_NAME is empty: set it from spec.nodeName in the pod's manifest")
	}
	pods, err := netip.ParsePrefix(env("POD_SUBNET"))
	if err != nil {
		return fmt.Errorf("POD_SUBNET is no network range: %w", err)
	}
	root := env("HOST_ROOT")
	if root == "" {
		root = "/host"
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	if endpoint := env("CONTROL_PLANE_ENDPOINT"); endpoint != "" {
		config.Host = "https://" + endpoint
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return watch(ctx, client, me, &applier{host: chrooted{root}, pods: pods, log: log})
}

// watch applies the plan at the start and after every change of a node, until
// ctx ends.
func watch(ctx context.Context, client kubernetes.Interface, me string, a *applier) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	changed := make(chan struct{}, 1) // one waiting signal stands for any number of changes
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	lister := nodes.Lister()
	synced, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { poke() },
		UpdateFunc: func(any, any) { poke() },
		DeleteFunc: func(any) { poke() },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), synced.HasSynced) {
		return nil // ctx ended
	}
	poke()
	timer := time.NewTimer(retry)
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-timer.C:
		}
		all, err := lister.List(labels.Everything())
		if err == nil {
			var n network
			if n, err = plan(all, me); err == nil {
				err = a.apply(ctx, n)
			}
		}
		if err != nil && ctx.Err() == nil {
			a.log.Warn("the pod network is not as it should be", "error", err, "retry", retry)
			timer.Reset(retry)
		}
	}
}
