package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

const kadmTopicSource = kmsg.ConfigSourceDynamicTopicConfig

// iterations is the least that Kafka takes for SCRAM, and its default.
const iterations = 4096

// User is a SCRAM-SHA-512 user as it is wanted.
type User struct {
	Name, Password string
	ACLs           []ACL
}

// ACL allows a user operations on a resource from any host.
type ACL struct {
	Resource   string // topic, group, cluster or transactional_id
	Name       string // "*" for all; of a cluster always kafka-cluster, may be empty
	Pattern    string // literal (also when empty) or prefix
	Operations []string
}

// ReaderACLs is what a community user of the alert stream has: reading each
// topic, and everything on groups whose name starts with the user's (Phalanx
// alert-stream-broker, KafkaUser template).
func ReaderACLs(user string, topics []string) []ACL {
	var acls []ACL
	for _, t := range topics {
		acls = append(acls, ACL{"topic", t, "literal", []string{"Read", "Describe", "DescribeConfigs"}})
	}
	return append(acls, ACL{"group", user, "prefix", []string{"All"}})
}

// UserError says what could not be done with a user.
type UserError struct {
	User, Doing string
	Err         error
}

func (e *UserError) Error() string { return fmt.Sprintf("user %s: %s: %v", e.User, e.Doing, e.Err) }

func (e *UserError) Unwrap() error { return e.Err }

// ACLError is an ACL that makes no sense: the field and what it holds.
type ACLError struct {
	Field, Value string
}

func (e *ACLError) Error() string { return fmt.Sprintf("ACL: %s cannot be %q", e.Field, e.Value) }

// grant is one ACL as Kafka keeps them: one operation each.
type grant struct {
	principal, host string
	resource        kmsg.ACLResourceType
	name            string
	pattern         kadm.ACLPattern
	operation       kadm.ACLOperation
	permission      kmsg.ACLPermissionType
}

func (g grant) String() string {
	verb := ""
	if g.permission == kmsg.ACLPermissionTypeDeny {
		verb = "not "
	}
	pattern := ""
	if g.pattern == kadm.ACLPatternPrefixed {
		pattern = "prefix "
	}
	host := ""
	if g.host != "*" {
		host = " from " + g.host
	}
	return fmt.Sprintf("%s%s on %s %s%s%s", verb, word(g.operation.String()), strings.ToLower(g.resource.String()), pattern, g.name, host)
}

// word turns kmsg's DESCRIBE_CONFIGS into DescribeConfigs.
func word(s string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(s, "_") {
		if part != "" {
			b.WriteString(part[:1] + strings.ToLower(part[1:]))
		}
	}
	return b.String()
}

func grants(u User) ([]grant, error) {
	var gs []grant
	for _, a := range u.ACLs {
		g := grant{principal: "User:" + u.Name, host: "*", name: a.Name, permission: kmsg.ACLPermissionTypeAllow}
		switch strings.ToLower(a.Resource) {
		case "topic":
			g.resource = kmsg.ACLResourceTypeTopic
		case "group":
			g.resource = kmsg.ACLResourceTypeGroup
		case "transactional_id":
			g.resource = kmsg.ACLResourceTypeTransactionalId
		case "cluster":
			g.resource, g.name = kmsg.ACLResourceTypeCluster, "kafka-cluster"
		default:
			return nil, &ACLError{"resource", a.Resource}
		}
		switch strings.ToLower(a.Pattern) {
		case "", "literal":
			g.pattern = kadm.ACLPatternLiteral
		case "prefix", "prefixed":
			g.pattern = kadm.ACLPatternPrefixed
		default:
			return nil, &ACLError{"pattern", a.Pattern}
		}
		if g.name == "" {
			return nil, &ACLError{"name", a.Name}
		}
		for _, o := range a.Operations {
			op, err := kmsg.ParseACLOperation(o)
			if err != nil || op == kmsg.ACLOperationUnknown || op == kmsg.ACLOperationAny {
				return nil, &ACLError{"operation", o}
			}
			g.operation = op
			gs = append(gs, g)
		}
		if len(a.Operations) == 0 {
			return nil, &ACLError{"operation", ""}
		}
	}
	return gs, nil
}

// EnsureUsers gives each user its password and exactly its ACLs; ACLs of other
// principals are left alone.
//
// Passwords cannot be read back, so all of them are set every time, in one
// request: setting the same again changes nothing for anyone. Changes therefore
// names users that were made, and not passwords. Right after it a cluster may
// still list the users of before.
//
// Changes holds what was done even when an error is returned, which is a
// *UserError, *ACLError or that of the client.
func EnsureUsers(ctx context.Context, client *kadm.Client, users []User) (Changes, error) {
	var done Changes
	if len(users) == 0 {
		return done, nil
	}
	wanted := make(map[grant]bool)
	names := make(map[string]bool)
	for _, u := range users {
		switch {
		case u.Name == "" || names[u.Name]:
			return done, &UserError{u.Name, "reading what is wanted", errors.New("no name, or named twice")}
		case u.Password == "":
			return done, &UserError{u.Name, "reading what is wanted", errors.New("has no password")}
		}
		names[u.Name] = true
		gs, err := grants(u)
		if err != nil {
			return done, &UserError{u.Name, "reading what is wanted", err}
		}
		for _, g := range gs {
			wanted[g] = true
		}
	}
	known, have, err := state(ctx, client, slices.Sorted(maps.Keys(names)))
	if err != nil {
		return done, err
	}
	var upserts []kadm.UpsertSCRAM
	for _, u := range users {
		upserts = append(upserts, kadm.UpsertSCRAM{
			User: u.Name, Mechanism: kadm.ScramSha512, Iterations: iterations, Password: u.Password,
		})
	}
	var add, drop []grant
	for g := range wanted {
		if !have[g] {
			add = append(add, g)
		}
	}
	for g := range have {
		if names[strings.TrimPrefix(g.principal, "User:")] && !wanted[g] {
			drop = append(drop, g)
		}
	}
	defer done.sort()
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		answers, err := client.AlterUserSCRAMs(ctx, nil, upserts)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		var failed error
		for _, a := range answers.Sorted() {
			if a.Err != nil {
				failed = errors.Join(failed, &UserError{a.User, "setting the password", explain(a.Err, a.ErrMessage)})
			} else if !known[a.User] {
				done.Created = append(done.Created, "user "+a.User+": created")
			}
		}
		return failed
	})
	addGrants(ctx, client, group, &mu, add, &done)
	dropGrants(ctx, client, group, &mu, drop, &done)
	err = group.Wait()
	return done, err
}

// state is which of the users have a SCRAM-SHA-512 password, and all ACLs.
func state(ctx context.Context, client *kadm.Client, users []string) (known map[string]bool, have map[grant]bool, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		known, err = withPassword(ctx, client, users)
		return err
	})
	group.Go(func() (err error) {
		have, err = allGrants(ctx, client)
		return err
	})
	err = group.Wait()
	return known, have, err
}

func withPassword(ctx context.Context, client *kadm.Client, users []string) (map[string]bool, error) {
	described, err := client.DescribeUserSCRAMs(ctx, users...)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool)
	for _, d := range described {
		switch {
		case errors.Is(d.Err, kerr.ResourceNotFound):
		case d.Err != nil:
			return nil, &UserError{d.User, "describing", explain(d.Err, d.ErrMessage)}
		default:
			known[d.User] = slices.ContainsFunc(d.CredInfos, func(c kadm.CredInfo) bool {
				return c.Mechanism == kadm.ScramSha512
			})
		}
	}
	return known, nil
}

func allGrants(ctx context.Context, client *kadm.Client) (map[grant]bool, error) {
	results, err := client.DescribeACLs(ctx, kadm.NewACLs().AnyResource().Allow().AllowHosts().Deny().DenyHosts().
		Operations().ResourcePatternType(kadm.ACLPatternAny))
	if err != nil {
		return nil, err
	}
	have := make(map[grant]bool)
	for _, r := range results {
		if r.Err != nil {
			return nil, fmt.Errorf("describing ACLs: %w", explain(r.Err, r.ErrMessage))
		}
		for _, d := range r.Described {
			have[grant{d.Principal, d.Host, d.Type, d.Name, d.Pattern, d.Operation, d.Permission}] = true
		}
	}
	return have, nil
}

// on is a builder for one resource.
func on(resource kmsg.ACLResourceType, pattern kadm.ACLPattern, names ...string) *kadm.ACLBuilder {
	b := kadm.NewACLs().ResourcePatternType(pattern)
	switch resource {
	case kmsg.ACLResourceTypeTopic:
		b.Topics(names...)
	case kmsg.ACLResourceTypeGroup:
		b.Groups(names...)
	case kmsg.ACLResourceTypeCluster:
		b.Clusters()
	case kmsg.ACLResourceTypeTransactionalId:
		b.TransactionalIDs(names...)
	case kmsg.ACLResourceTypeDelegationToken:
		b.DelegationTokens(names...)
	}
	return b
}

// batch is grants that one request of kadm can hold: all principals get all
// operations on all names.
type batch struct {
	resource               kmsg.ACLResourceType
	pattern                kadm.ACLPattern
	names, principals, ops string // joined by a byte that none of them holds
}

// batches joins grants alike step by step: operations of one principal on one
// name, then names with the same operations, then principals with the same
// names.
func batches(gs []grant) []batch {
	join := func(ss []string) string {
		slices.Sort(ss)
		return strings.Join(slices.Compact(ss), "\x00")
	}
	fold := func(in []batch, get func(batch) string, set func(batch, string) batch) []batch {
		groups := make(map[batch][]string)
		for _, b := range in {
			k := set(b, "")
			groups[k] = append(groups[k], get(b))
		}
		var out []batch
		for k, values := range groups {
			out = append(out, set(k, join(values)))
		}
		return out
	}
	var bs []batch
	for _, g := range gs {
		bs = append(bs, batch{g.resource, g.pattern, g.name, g.principal, g.operation.String()})
	}
	bs = fold(bs, func(b batch) string { return b.ops }, func(b batch, s string) batch { b.ops = s; return b })
	bs = fold(bs, func(b batch) string { return b.names }, func(b batch, s string) batch { b.names = s; return b })
	bs = fold(bs, func(b batch) string { return b.principals }, func(b batch, s string) batch { b.principals = s; return b })
	slices.SortFunc(bs, func(a, b batch) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.names, b.names), cmp.Compare(a.principals, b.principals))
	})
	return bs
}

func addGrants(ctx context.Context, client *kadm.Client, group *errgroup.Group, mu *sync.Mutex, gs []grant, done *Changes) {
	for _, b := range batches(gs) {
		group.Go(func() error {
			var ops []kadm.ACLOperation
			for s := range strings.SplitSeq(b.ops, "\x00") {
				op, err := kmsg.ParseACLOperation(s)
				if err != nil {
					return err
				}
				ops = append(ops, op)
			}
			results, err := client.CreateACLs(ctx, on(b.resource, b.pattern, strings.Split(b.names, "\x00")...).
				Allow(strings.Split(b.principals, "\x00")...).AllowHosts("*").Operations(ops...))
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			var failed error
			for _, r := range results {
				user := strings.TrimPrefix(r.Principal, "User:")
				g := grant{r.Principal, r.Host, r.Type, r.Name, r.Pattern, r.Operation, r.Permission}
				if r.Err != nil {
					failed = errors.Join(failed, &UserError{user, "adding ACL " + g.String(), explain(r.Err, r.ErrMessage)})
					continue
				}
				done.Created = append(done.Created, fmt.Sprintf("user %s: ACL added: %v", user, g))
			}
			return failed
		})
	}
}

// dropGrants removes ACLs one by one, so that no filter matches more than what
// was seen.
func dropGrants(ctx context.Context, client *kadm.Client, group *errgroup.Group, mu *sync.Mutex, gs []grant, done *Changes) {
	for _, g := range gs {
		group.Go(func() error {
			b := on(g.resource, g.pattern, g.name).Operations(g.operation)
			if g.permission == kmsg.ACLPermissionTypeDeny {
				b.Deny(g.principal).DenyHosts(g.host)
			} else {
				b.Allow(g.principal).AllowHosts(g.host)
			}
			user := strings.TrimPrefix(g.principal, "User:")
			results, err := client.DeleteACLs(ctx, b)
			if err != nil {
				return err
			}
			for _, r := range results {
				if r.Err != nil {
					return &UserError{user, "removing ACL " + g.String(), explain(r.Err, r.ErrMessage)}
				}
			}
			mu.Lock()
			done.Removed = append(done.Removed, fmt.Sprintf("user %s: ACL removed: %v", user, g))
			mu.Unlock()
			return nil
		})
	}
}

// RemoveUsers takes away the SCRAM-SHA-512 passwords and all ACLs of users.
// Users that are not there are no error. Connections that are open stay logged
// in, without any right.
func RemoveUsers(ctx context.Context, client *kadm.Client, users ...string) (Changes, error) {
	var done Changes
	if len(users) == 0 {
		return done, nil
	}
	users = slices.Compact(slices.Sorted(slices.Values(users)))
	known, have, err := state(ctx, client, users)
	if err != nil {
		return done, err
	}
	defer done.sort()
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	var gs []grant
	for g := range have {
		if slices.Contains(users, strings.TrimPrefix(g.principal, "User:")) {
			gs = append(gs, g)
		}
	}
	dropGrants(ctx, client, group, &mu, gs, &done)
	var deletions []kadm.DeleteSCRAM
	for _, u := range users {
		if known[u] {
			deletions = append(deletions, kadm.DeleteSCRAM{User: u, Mechanism: kadm.ScramSha512})
		}
	}
	if len(deletions) > 0 {
		group.Go(func() error {
			answers, err := client.AlterUserSCRAMs(ctx, deletions, nil)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			var failed error
			for _, a := range answers.Sorted() {
				if a.Err != nil {
					failed = errors.Join(failed, &UserError{a.User, "removing", explain(a.Err, a.ErrMessage)})
					continue
				}
				done.Removed = append(done.Removed, "user "+a.User+": removed")
			}
			return failed
		})
	}
	err = group.Wait()
	return done, err
}

// Account is a user as a cluster shows it.
type Account struct {
	Name string
	// Mechanisms are those that the user has a password for, such as
	// SCRAM-SHA-512; none for a principal that only appears in ACLs.
	Mechanisms []string
	ACLs       []ACL
}

// Users lists every SCRAM user and every user that an ACL allows something,
// sorted by name. ACLs that deny, or that hold for some hosts only, are not
// shown.
func Users(ctx context.Context, client *kadm.Client) ([]Account, error) {
	accounts := make(map[string]*Account)
	account := func(name string) *Account {
		if accounts[name] == nil {
			accounts[name] = &Account{Name: name}
		}
		return accounts[name]
	}
	described, err := client.DescribeUserSCRAMs(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range described {
		if d.Err != nil {
			return nil, &UserError{d.User, "describing", explain(d.Err, d.ErrMessage)}
		}
		a := account(d.User)
		for _, c := range d.CredInfos {
			a.Mechanisms = append(a.Mechanisms, c.Mechanism.String())
		}
		slices.Sort(a.Mechanisms)
	}
	have, err := allGrants(ctx, client)
	if err != nil {
		return nil, err
	}
	var gs []grant
	for g := range have {
		if g.permission == kmsg.ACLPermissionTypeAllow && g.host == "*" && strings.HasPrefix(g.principal, "User:") {
			gs = append(gs, g)
		}
	}
	slices.SortFunc(gs, func(a, b grant) int {
		return cmp.Or(cmp.Compare(a.principal, b.principal), cmp.Compare(a.resource, b.resource),
			cmp.Compare(a.name, b.name), cmp.Compare(a.pattern, b.pattern), cmp.Compare(a.operation, b.operation))
	})
	for _, g := range gs {
		a := account(strings.TrimPrefix(g.principal, "User:"))
		pattern := "literal"
		if g.pattern == kadm.ACLPatternPrefixed {
			pattern = "prefix"
		}
		resource, op := strings.ToLower(g.resource.String()), word(g.operation.String())
		if n := len(a.ACLs); n > 0 && a.ACLs[n-1].Resource == resource && a.ACLs[n-1].Name == g.name && a.ACLs[n-1].Pattern == pattern {
			a.ACLs[n-1].Operations = append(a.ACLs[n-1].Operations, op)
			continue
		}
		a.ACLs = append(a.ACLs, ACL{resource, g.name, pattern, []string{op}})
	}
	var list []Account
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		list = append(list, *accounts[name])
	}
	return list, nil
}
