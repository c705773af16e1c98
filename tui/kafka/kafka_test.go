package kafka_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/internal/dashload"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kafka"
	"github.com/alertlab/alertlab/tui/kit"
)

func page(c dashload.Cluster, width, height int, keys ...string) *kafka.Page {
	return pageOf(golden.Theme(), c, width, height, keys...)
}

func pageOf(theme kit.Theme, c dashload.Cluster, width, height int, keys ...string) *kafka.Page {
	p := kafka.New(context.Background(), theme, c)
	p.SetSize(width, height)
	golden.Settle(p, p.Show())
	for _, k := range keys {
		golden.Settle(p, p.Update(golden.Key(k)))
	}
	return p
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for view, keys := range map[string][]string{"brokers": {"b"}, "topics": {"t"}, "groups": {"g"}, "users": {"u"}, "broker": {"b", "enter"}, "topic": {"down", "enter"}, "group": {"g", "down", "enter"}, "user": {"u", "enter"}} {
		golden.Everywhere(t, view, func(theme kit.Theme) string { return pageOf(theme, dashload.Cluster{}, 80, 20, keys...).View() })
		for _, size := range golden.Sizes {
			golden.Frame(t, view+"-"+size.Name, size.Width, size.Height, page(dashload.Cluster{}, size.Width, size.Height, keys...).View())
		}
	}
}

func TestBackAndFilter(t *testing.T) {
	t.Parallel()
	p := page(dashload.Cluster{}, 80, 20, "g", "enter")
	if p.Crumb() != "group group-00" || !p.Back() || p.Crumb() != "groups" || p.Back() {
		t.Errorf("back does not lead to the list: %q", p.Crumb())
	}
	p.Filter("GROUP-3")
	if got := p.View(); !strings.Contains(got, "group-39") || strings.Contains(got, "group-01") || !strings.Contains(got, "10 of 40 shown") {
		t.Errorf("filtered:\n%s", got)
	}
}

func TestFailureIsSaid(t *testing.T) {
	t.Parallel()
	p := page(dashload.Cluster{Err: fmt.Errorf("the brokers cannot be reached")}, 80, 20, "b")
	if got := p.View(); !strings.Contains(got, "the brokers cannot be reached") {
		t.Errorf("a failure is not said:\n%s", got)
	}
}
