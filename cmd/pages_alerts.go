package cmd

import (
	"context"

	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/tui/alerts"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/page"
)

// alertsPage is the dashboard's page of alerts; it shows what `alert show` and
// `console messages` give. depth is how pictures are drawn, picture.DepthOf of the
// terminal.
func alertsPage(ctx context.Context, a *app, theme kit.Theme, depth picture.Depth) page.Page {
	return alerts.New(ctx, theme, depth, alertPages{newAlertSource(a, consoleFlags{timeout: patient})})
}

// alertPages hands an alertSource to the page, with remedies for its errors.
type alertPages struct{ *alertSource }

func (s alertPages) Topics(ctx context.Context) ([]string, error) {
	names, err := s.topics(ctx)
	return names, remedied(err)
}

func (s alertPages) Peek(ctx context.Context, topic string) (alerts.Peek, error) {
	p, err := s.follow(ctx, topic)
	if err != nil {
		return nil, remedied(err)
	}
	return p, nil
}

func (s alertPages) Open(ctx context.Context, h record.Head) (alerts.Opened, error) {
	f, err := s.open(ctx, h)
	return alerts.Opened{Head: f.head, Wire: f.wire, Record: f.record, Origin: f.origin}, remedied(err)
}

func (s alertPages) Archived(ctx context.Context, o alerts.Opened) alerts.Archived {
	c := s.compare(ctx, found{head: o.Head, wire: o.Wire})
	return alerts.Archived{State: alerts.State(c.State), URL: c.URL, Key: c.Key, Bytes: c.Bytes, At: c.At, Err: c.cause}
}
