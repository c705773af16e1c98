package profiles

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

// Overlay is what a user changed on a living lab. It is data, and part of what is
// wanted of the lab: it goes over the profile, the environment and the flags, and
// holds until the lab is deleted. It holds no secret.
type Overlay struct {
	// Readers are users that were added, or that may read other topics than
	// the profile says; each stands in the place of the profile's of its name.
	Readers []Reader `json:"readers,omitempty"`
	// RemovedReaders are users of the profile that were removed.
	RemovedReaders []string `json:"removedReaders,omitempty"`
	// Passwords counts how often a user was given a new password: a part whose
	// users' counts differ from what it applied sets the passwords again.
	Passwords map[string]int `json:"passwords,omitempty"`
	// Topics are those that were added to the profile's.
	Topics []Topic `json:"topics,omitempty"`
	// Hosts are host names that stand in the place of the profile's.
	Hosts Hosts `json:"hosts,omitzero"`
	// Tokens are the keys to the alert database, without their secrets.
	Tokens []Token `json:"tokens,omitempty"`
	// Drafts are schema versions that are not released.
	Drafts []Draft `json:"drafts,omitempty"`
}

// Hosts are host names of a lab; empty ones are the profile's.
type Hosts struct {
	Bootstrap string           `json:"bootstrap,omitempty"` // kafka.listener.bootstrapHost
	Brokers   map[int32]string `json:"brokers,omitempty"`   // kafka.listener.brokerHosts, by broker id
	Registry  string           `json:"registry,omitempty"`  // registry.host
}

// Token is a key to the alert database as others may know it.
type Token struct {
	Name   string   `json:"name"`   // a DNS label
	Scopes []string `json:"scopes"` // e.g. read:alertdb
	// Expires is when it ends to be of use; zero is never.
	Expires time.Time `json:"expires,omitzero"`
}

// Draft is a schema version that is not released, as it was taken into the lab.
type Draft struct {
	Version string `json:"version"` // e.g. 12.0
	Folder  string `json:"folder"`  // of the .avsc files, below the lab's directory
	SHA256  string `json:"sha256"`  // of the schema's parsing canonical form, 64 hexadecimal digits
}

// OverlayEntry is one line of an overlay.
type OverlayEntry struct {
	// ID names it, e.g. reader/antares: Drop takes it.
	ID   string `json:"id"`
	Text string `json:"text"` // a sentence
}

// IsZero says whether nothing was changed.
func (o Overlay) IsZero() bool { return len(o.Entries()) == 0 }

// Clone gives a copy that shares nothing with o.
func (o Overlay) Clone() Overlay {
	o.Readers = cloneReaders(o.Readers)
	o.RemovedReaders = slices.Clone(o.RemovedReaders)
	o.Passwords = maps.Clone(o.Passwords)
	o.Topics = cloneTopics(o.Topics)
	o.Hosts.Brokers = maps.Clone(o.Hosts.Brokers)
	o.Tokens = slices.Clone(o.Tokens)
	for i := range o.Tokens {
		o.Tokens[i].Scopes = slices.Clone(o.Tokens[i].Scopes)
	}
	o.Drafts = slices.Clone(o.Drafts)
	return o
}

// The kinds of entries, as they begin an ID.
const (
	entryReader   = "reader/"
	entryRemoved  = "removed-reader/"
	entryPassword = "password/"
	entryTopic    = "topic/"
	entryHost     = "host/"
	entryToken    = "token/"
	entryDraft    = "draft/"
)

// Entries lists everything that was changed, in a fixed order.
func (o Overlay) Entries() []OverlayEntry {
	var out []OverlayEntry
	add := func(id, format string, args ...any) {
		out = append(out, OverlayEntry{id, fmt.Sprintf(format, args...)})
	}
	for _, r := range o.Readers {
		add(entryReader+r.Name, "user %s reads %s", r.Name, topicsText(r.Topics))
	}
	for _, name := range o.RemovedReaders {
		add(entryRemoved+name, "user %s of the profile is removed", name)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Passwords)) {
		times := "once"
		if n := o.Passwords[name]; n > 1 {
			times = fmt.Sprintf("%d times", n)
		}
		add(entryPassword+name, "user %s was given a new password %s", name, times)
	}
	for _, t := range o.Topics {
		add(entryTopic+t.Name, "topic %s is there, with %s%s", t.Name, sizeText(t, " and "), configText(t.Config))
	}
	if h := o.Hosts.Bootstrap; h != "" {
		add(entryHost+"bootstrap", "the bootstrap address is called %s", h)
	}
	for _, id := range slices.Sorted(maps.Keys(o.Hosts.Brokers)) {
		add(fmt.Sprintf("%sbroker.%d", entryHost, id), "broker %d is called %s", id, o.Hosts.Brokers[id])
	}
	if h := o.Hosts.Registry; h != "" {
		add(entryHost+"registry", "the registry is called %s", h)
	}
	for _, t := range o.Tokens {
		ends := ""
		if !t.Expires.IsZero() {
			ends = " until " + t.Expires.UTC().Format(time.RFC3339)
		}
		add(entryToken+t.Name, "token %s has the scopes %s%s", t.Name, strings.Join(t.Scopes, ", "), ends)
	}
	for _, d := range o.Drafts {
		add(entryDraft+d.Version, "schema %s is known as a draft", d.Version)
	}
	return out
}

func topicsText(topics []string) string {
	if slices.Equal(topics, []string{"*"}) {
		return "every topic"
	}
	return strings.Join(topics, ", ")
}

// sizeText says how many partitions and copies a topic has.
func sizeText(t Topic, and string) string {
	text := func(n int, one, many string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, many)
	}
	return text(int(t.Partitions), "partition", "partitions") + and + text(int(t.Replicas), "copy", "copies")
}

func configText(config map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&b, ", %s=%s", key, config[key])
	}
	return b.String()
}

// Sentences gives the texts of all entries.
func (o Overlay) Sentences() []string {
	var out []string
	for _, e := range o.Entries() {
		out = append(out, e.Text)
	}
	return out
}

// Drop takes one entry out, so that the profile's own value counts again; false
// when there is none of this ID. Password changes cannot be dropped: the password
// before is not kept.
func (o *Overlay) Drop(id string) bool {
	before := len(o.Entries())
	switch {
	case strings.HasPrefix(id, entryReader):
		o.Readers = slices.DeleteFunc(o.Readers, func(r Reader) bool { return entryReader+r.Name == id })
	case strings.HasPrefix(id, entryRemoved):
		o.RemovedReaders = slices.DeleteFunc(o.RemovedReaders, func(name string) bool { return entryRemoved+name == id })
	case strings.HasPrefix(id, entryTopic):
		o.Topics = slices.DeleteFunc(o.Topics, func(t Topic) bool { return entryTopic+t.Name == id })
	case strings.HasPrefix(id, entryToken):
		o.Tokens = slices.DeleteFunc(o.Tokens, func(t Token) bool { return entryToken+t.Name == id })
	case strings.HasPrefix(id, entryDraft):
		o.Drafts = slices.DeleteFunc(o.Drafts, func(d Draft) bool { return entryDraft+d.Version == id })
	case id == entryHost+"bootstrap":
		o.Hosts.Bootstrap = ""
	case id == entryHost+"registry":
		o.Hosts.Registry = ""
	case strings.HasPrefix(id, entryHost+"broker."):
		if n, err := strconv.ParseInt(strings.TrimPrefix(id, entryHost+"broker."), 10, 32); err == nil {
			delete(o.Hosts.Brokers, int32(n))
		}
	}
	return len(o.Entries()) < before
}

// SetReader adds a reader, or replaces the one of its name.
func (o *Overlay) SetReader(r Reader) {
	o.RemovedReaders = slices.DeleteFunc(o.RemovedReaders, func(name string) bool { return name == r.Name })
	if i := slices.IndexFunc(o.Readers, func(have Reader) bool { return have.Name == r.Name }); i >= 0 {
		o.Readers[i] = r
		return
	}
	o.Readers = append(o.Readers, r)
}

// RemoveReader removes a reader. ofProfile says whether the profile has it, too:
// then its removal is written down.
func (o *Overlay) RemoveReader(name string, ofProfile bool) {
	o.Readers = slices.DeleteFunc(o.Readers, func(r Reader) bool { return r.Name == name })
	delete(o.Passwords, name) // one that comes again begins anew
	if ofProfile && !slices.Contains(o.RemovedReaders, name) {
		o.RemovedReaders = append(o.RemovedReaders, name)
	}
}

// SetHost gives a host name to "bootstrap", "registry" or a broker ("broker.3"); false
// for anything else.
func (o *Overlay) SetHost(of, host string) bool {
	switch of {
	case BootstrapHost:
		o.Hosts.Bootstrap = host
		return true
	case RegistryHost:
		o.Hosts.Registry = host
		return true
	}
	text, ok := strings.CutPrefix(of, "broker.")
	id, err := strconv.ParseInt(text, 10, 32)
	if !ok || err != nil {
		return false
	}
	if o.Hosts.Brokers == nil {
		o.Hosts.Brokers = map[int32]string{}
	}
	o.Hosts.Brokers[int32(id)] = host
	return true
}

// NewPassword writes down that a user gets another password.
func (o *Overlay) NewPassword(user string) {
	if o.Passwords == nil {
		o.Passwords = map[string]int{}
	}
	o.Passwords[user]++
}

// OverlayError says which entries of an overlay do not go with a profile.
type OverlayError struct {
	Profile  string // its name
	Problems []OverlayProblem
}

// OverlayProblem is one thing that is wrong.
type OverlayProblem struct {
	// Entries are the IDs of the entries that it is due to, never none.
	Entries []string `json:"entries"`
	Message string   `json:"message"`
}

func (e *OverlayError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "what was changed on the lab does not go with the profile %s", e.Profile)
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  %s: %s", strings.Join(p.Entries, ", "), p.Message)
	}
	return b.String()
}

// Entries gives the IDs of all entries that something is wrong with, each once.
func (e *OverlayError) Entries() []string {
	var out []string
	for _, p := range e.Problems {
		for _, id := range p.Entries {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// Apply gives a copy of p with everything that was changed. It is held to the
// rules of a profile; the error is an *OverlayError with all that is wrong.
func (o Overlay) Apply(p *Profile) (*Profile, error) {
	if o.IsZero() {
		return p, nil
	}
	out := p.clone()
	fail := &OverlayError{Profile: p.Name}
	bad := func(id, format string, args ...any) {
		fail.Problems = append(fail.Problems, OverlayProblem{[]string{id}, fmt.Sprintf(format, args...)})
	}
	o.applyReaders(out)
	o.applyTopics(out, bad)
	o.applyHosts(out, bad)
	o.checkOwn(bad)
	fresh := strictyaml.NewReport("")
	validate(out, fresh)
	for _, problem := range fresh.List() {
		message := problem.Message
		if at := entryOfList.FindString(problem.Path); at != "" && len(problem.Path) > len(at)+1 && !strings.HasSuffix(problem.Path, ".name") {
			message = problem.Path[len(at)+1:] + ": " + message
		}
		fail.Problems = append(fail.Problems, OverlayProblem{o.dueTo(out, problem), message})
	}
	if len(fail.Problems) > 0 {
		return nil, fail
	}
	text, err := out.YAML()
	if err != nil {
		return nil, fmt.Errorf("profile %s with what was changed on the lab: %w", out.Name, err)
	}
	out.source = text
	return out, nil
}

func (o Overlay) applyReaders(out *Profile) {
	out.Kafka.Readers = slices.DeleteFunc(out.Kafka.Readers, func(r Reader) bool { return slices.Contains(o.RemovedReaders, r.Name) })
	for _, r := range cloneReaders(o.Readers) {
		if i := slices.IndexFunc(out.Kafka.Readers, func(have Reader) bool { return have.Name == r.Name }); i >= 0 {
			out.Kafka.Readers[i] = r
			continue
		}
		out.Kafka.Readers = append(out.Kafka.Readers, r)
	}
}

func (o Overlay) applyTopics(out *Profile, bad func(id, format string, args ...any)) {
	for _, t := range cloneTopics(o.Topics) {
		have, ok := out.Kafka.Topic(t.Name)
		switch {
		case t.Name == out.Simulator.StaticTopic:
			bad(entryTopic+t.Name, "it is the simulator's reservoir, which every lab has")
		case !ok:
			out.Kafka.Topics = append(out.Kafka.Topics, t)
		case have.Partitions != t.Partitions || have.Replicas != t.Replicas || !maps.Equal(have.Config, t.Config):
			bad(entryTopic+t.Name, "the profile declares this topic otherwise: %s%s",
				sizeText(have, ", "), configText(have.Config))
		}
	}
}

func (o Overlay) applyHosts(out *Profile, bad func(id, format string, args ...any)) {
	l, b := &out.Kafka.Listener, out.Kafka.Brokers
	if o.Hosts.Bootstrap != "" {
		l.BootstrapHost = o.Hosts.Bootstrap
	}
	if o.Hosts.Registry != "" {
		out.Registry.Host = o.Hosts.Registry
	}
	if len(o.Hosts.Brokers) > 0 && len(l.BrokerHosts) < b.Count && b.Count <= maxBrokers {
		l.BrokerHosts = append(l.BrokerHosts, make([]string, b.Count-len(l.BrokerHosts))...)
	}
	for _, id := range slices.Sorted(maps.Keys(o.Hosts.Brokers)) {
		i := int(id - b.FirstID)
		if i < 0 || i >= len(l.BrokerHosts) {
			bad(fmt.Sprintf("%sbroker.%d", entryHost, id), "there is no broker %d: their ids are %d to %d", id, b.FirstID, int(b.FirstID)+b.Count-1)
			continue
		}
		l.BrokerHosts[i] = o.Hosts.Brokers[id]
	}
}

var sumPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkOwn checks what has no place in a profile.
func (o Overlay) checkOwn(bad func(id, format string, args ...any)) {
	for i, t := range o.Tokens {
		id := entryToken + t.Name
		if f := labelFault(t.Name); f != "" {
			bad(id, "%s %s", strictyaml.Quote(t.Name), f)
		}
		if slices.ContainsFunc(o.Tokens[:i], func(other Token) bool { return other.Name == t.Name }) {
			bad(id, "there are two tokens of this name")
		}
		if len(t.Scopes) == 0 {
			bad(id, "it has no scope")
		}
		for _, s := range t.Scopes {
			if !scopePattern.MatchString(s) {
				bad(id, "%s is not a scope, which is written as read:alertdb", strictyaml.Quote(s))
			}
		}
	}
	for i, d := range o.Drafts {
		id := entryDraft + d.Version
		switch {
		case !numberPattern.MatchString(d.Version):
			bad(id, `%s is not an alert schema version, which is written as "12.0"`, strictyaml.Quote(d.Version))
		case slices.Contains(SchemaVersions(), d.Version):
			bad(id, "this version is published: a draft must have another one")
		case slices.ContainsFunc(o.Drafts[:i], func(other Draft) bool { return other.Version == d.Version }):
			bad(id, "there are two drafts of this version")
		}
		if !sumPattern.MatchString(d.SHA256) || d.Folder == "" {
			bad(id, "its folder or its checksum is not known")
		}
	}
}

var entryOfList = regexp.MustCompile(`^kafka\.(readers|topics)\[([0-9]+)\]`)

// dueTo says which entries a problem of the changed profile is due to. The profile
// was sound before, so there is at least one.
func (o Overlay) dueTo(out *Profile, problem Problem) []string {
	all := make([]string, 0, 1)
	for _, e := range o.Entries() {
		if !strings.HasPrefix(e.ID, entryPassword) {
			all = append(all, e.ID)
		}
	}
	within := func(ids ...string) []string {
		return slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(all, id) })
	}
	var due []string
	if m := entryOfList.FindStringSubmatch(problem.Path); m != nil {
		i, err := strconv.Atoi(m[2])
		switch {
		case err != nil:
		case m[1] == "readers" && i < len(out.Kafka.Readers):
			due = within(entryReader + out.Kafka.Readers[i].Name)
		case m[1] == "topics" && i < len(out.Kafka.Topics):
			due = within(entryTopic + out.Kafka.Topics[i].Name)
		}
	}
	if strings.HasPrefix(problem.Path, "kafka.listener.") || strings.HasPrefix(problem.Path, "registry.host") {
		due = slices.DeleteFunc(slices.Clone(all), func(id string) bool { return !strings.HasPrefix(id, entryHost) })
	}
	if strings.HasPrefix(problem.Path, "kafka.brokers.storage") {
		due = slices.DeleteFunc(slices.Clone(all), func(id string) bool { return !strings.HasPrefix(id, entryTopic) })
	}
	if len(due) == 0 { // it is an entry of the profile that an entry of the overlay is in the way of
		for _, id := range all {
			if _, name, _ := strings.Cut(id, "/"); strings.Contains(problem.Message, strictyaml.Quote(name)) {
				due = append(due, id)
			}
		}
	}
	if len(due) == 0 {
		due = all
	}
	return due
}

func cloneReaders(list []Reader) []Reader {
	list = slices.Clone(list)
	for i := range list {
		list[i].Topics = slices.Clone(list[i].Topics)
	}
	return list
}

func cloneTopics(list []Topic) []Topic {
	list = slices.Clone(list)
	for i := range list {
		list[i].Config = maps.Clone(list[i].Config)
	}
	return list
}
