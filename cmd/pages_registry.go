package cmd

import (
	"context"

	pages "github.com/alertlab/alertlab/tui/registry"

	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/page"
)

// registryPage is the dashboard's page of the registry; it shows what `schema
// subjects`, `schema show` and `schema diff` give.
func registryPage(ctx context.Context, a *app, theme kit.Theme) page.Page {
	return pages.New(ctx, theme, registryPages{a})
}

// registryPages asks the lab's registry, with remedies for its errors.
type registryPages struct{ a *app }

func (s registryPages) Subjects(ctx context.Context) ([]pages.Subject, error) {
	client, address, err := s.a.registryClient(ctx, registryFlags{}, false)
	if err != nil {
		return nil, remedied(err)
	}
	held, err := registry.Subjects(ctx, client.API())
	if err != nil {
		return nil, unanswered(address, err)
	}
	out := make([]pages.Subject, 0, len(held))
	for _, h := range held {
		s := pages.Subject{Name: h.Name, Compatibility: h.Compatibility, Inherited: h.Inherited, Mode: h.Mode}
		for _, v := range h.Versions {
			s.Versions = append(s.Versions, pages.Version{Version: v.Version, ID: v.ID, Name: v.Name, Bytes: v.Bytes})
		}
		out = append(out, s)
	}
	return out, nil
}

func (s registryPages) Schema(ctx context.Context, id int) (string, error) {
	client, address, err := s.a.registryClient(ctx, registryFlags{}, false)
	if err != nil {
		return "", remedied(err)
	}
	text, err := client.SchemaByID(ctx, id)
	if err != nil {
		return "", unanswered(address, err)
	}
	return text, nil
}
