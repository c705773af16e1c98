package witness

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/alertlab/alertlab/endpoints"
)

// Inventory lists what a lab holds of everything that a walk makes in its brokers and
// its registry: topics, users, permissions, schemas, the reservoir. It is the same for
// every lab of a profile, so that something that is there twice, or not at all, shows.
func Inventory(ctx context.Context, admin *kadm.Client, card endpoints.Endpoints) ([]string, error) {
	var out []string
	topics, err := admin.ListTopics(ctx) // without internal ones
	if err != nil {
		return nil, err
	}
	for name, detail := range topics {
		out = append(out, fmt.Sprintf("topic %s of %d partitions", name, len(detail.Partitions)))
	}
	users, err := admin.DescribeUserSCRAMs(ctx)
	if err != nil {
		return nil, err
	}
	for name := range users {
		out = append(out, "user "+name)
	}
	acls, err := admin.DescribeACLs(ctx, kadm.NewACLs().Topics().Groups().Clusters().TransactionalIDs().ResourcePatternType(kadm.ACLPatternAny).
		Operations().Allow().AllowHosts().Deny().DenyHosts())
	if err != nil {
		return nil, err
	}
	for _, r := range acls {
		for _, d := range r.Described {
			out = append(out, fmt.Sprintf("%s may %s %s %s (%s)", d.Principal, d.Operation, d.Type, d.Name, d.Pattern))
		}
	}
	static := card.Simulator.StaticTopic
	starts, err := admin.ListStartOffsets(ctx, static)
	if err != nil {
		return nil, err
	}
	ends, err := admin.ListEndOffsets(ctx, static)
	if err != nil {
		return nil, err
	}
	start, _ := starts.Lookup(static, 0)
	end, _ := ends.Lookup(static, 0)
	out = append(out, fmt.Sprintf("%d alerts in %s", end.Offset-start.Offset, static))
	for _, path := range []string{"/subjects", "/subjects/" + card.Registry.Subject + "/versions"} {
		text, err := get(ctx, card.Registry.URL+path)
		if err != nil {
			return nil, err
		}
		out = append(out, path+" "+text)
	}
	slices.Sort(out)
	return out, nil
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(response.Body); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", url, response.Status)
	}
	return strings.TrimSpace(b.String()), nil
}
