package console

import (
	"context"

	"github.com/alertlab/alertlab/alerts/admin"
)

// User is a user as the cluster knows it.
type User struct {
	Name string `json:"name"`
	// Mechanisms are those that it has a password for; none for one that only
	// appears in ACLs.
	Mechanisms []string `json:"mechanisms"`
	Rights     []Right  `json:"rights"`
}

// Right is what an ACL allows from any host.
type Right struct {
	Resource   string   `json:"resource"` // topic, group, cluster or transactional_id
	Name       string   `json:"name"`     // "*" for all
	Pattern    string   `json:"pattern"`  // literal or prefix
	Operations []string `json:"operations"`
}

// Users lists every user that has a password or that an ACL allows something, sorted by
// name. Errors are *RefusedError, or the client's.
func (c *Cluster) Users(ctx context.Context) ([]User, error) {
	accounts, err := admin.Users(ctx, c.admin)
	if err := ended(ctx); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, doing("listing users", err)
	}
	out := make([]User, 0, len(accounts))
	for _, a := range accounts {
		u := User{Name: a.Name, Mechanisms: append([]string{}, a.Mechanisms...), Rights: []Right{}}
		for _, acl := range a.ACLs {
			u.Rights = append(u.Rights, Right{Resource: acl.Resource, Name: acl.Name, Pattern: acl.Pattern, Operations: acl.Operations})
		}
		out = append(out, u)
	}
	return out, nil
}
