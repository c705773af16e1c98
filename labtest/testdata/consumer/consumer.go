// Package consumer stands for a project of somebody else's that uses alertlab's data
// plane, and has a lab in its tests.
package consumer

import (
	"context"
	"fmt"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/smoke"
)

// Schema gives the id of a record's schema.
func Schema(record []byte) (uint32, error) {
	id, _, err := packet.Unframe(record)
	return id, err
}

// Sound says why a lab is not.
func Sound(ctx context.Context, card endpoints.Endpoints, secrets endpoints.Credentials) error {
	report, err := smoke.Run(ctx, smoke.Options{Endpoints: card, Credentials: secrets})
	if err != nil {
		return err
	}
	if n := report.Count(smoke.Failed); n > 0 {
		return fmt.Errorf("%d checks failed", n)
	}
	return nil
}
