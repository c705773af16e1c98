package gateway

import (
	"context"
	"fmt"
	"net/http"
)

// healthPath hides a bucket of the same name; S3 bucket names cannot begin with
// a dash, so that none is lost.
const healthPath = "/-health"

// checkHealth asks the gateway once. Its listener is open by then, so that a
// request waits in the accept queue until it is served rather than being
// refused.
func checkHealth(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+healthPath, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return fmt.Errorf("health of the object store: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health of the object store: %s", resp.Status)
	}
	return nil
}
