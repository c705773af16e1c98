package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
)

// applier remembers what it has done on the node, so that a change of one node
// costs one command.
type applier struct {
	host host
	pods netip.Prefix // the range of all pods
	log  *slog.Logger

	own    netip.Prefix
	routes map[netip.Prefix]netip.Addr
}

// apply brings the node to n. It does what it can and returns every error; what
// failed is tried again by the next call.
func (a *applier) apply(ctx context.Context, n network) error {
	if a.routes == nil {
		a.routes = map[netip.Prefix]netip.Addr{}
	}
	var errs []error
	for to := range a.routes {
		if _, wanted := n.routes[to]; wanted {
			continue
		}
		if err := a.host.Unroute(ctx, to); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(a.routes, to)
		a.log.Info("route removed", "to", to)
	}
	for to, via := range n.routes {
		if a.routes[to] == via {
			continue
		}
		if err := a.host.Route(ctx, to, via); err != nil {
			errs = append(errs, err)
			continue
		}
		a.routes[to] = via
		a.log.Info("route", "to", to, "via", via)
	}
	if n.own.IsValid() && a.own != n.own {
		err := a.host.Masquerade(ctx, n.own, a.pods)
		if err == nil {
			err = a.host.Configure(conflist(n.own))
		}
		if err != nil {
			errs = append(errs, err)
		} else {
			a.own = n.own
			a.log.Info("this node's pods", "range", n.own)
		}
	}
	return errors.Join(errs...)
}
