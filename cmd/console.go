package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/render/style"
)

// consoleFlags are what all verbs of console take.
type consoleFlags struct {
	user    string
	timeout time.Duration
}

func (a *app) console() *cobra.Command {
	var flags consoleFlags
	c := &cobra.Command{
		Use:   "console",
		Short: "Look into Kafka: topics, messages, groups, brokers",
		Long: `console shows what the lab's brokers hold, as a client of theirs: topics with their
records and bytes, messages with the alerts decoded, consumer groups with their
lag, brokers with their configuration and disks. It joins no group and changes
nothing.

With --user it looks with the rights of that user, and says what these do not
allow: what a user sees here is what a client of that user would see.`,
		Example: `  alertlab console topics
  alertlab console messages alerts-simulated --limit 3
  alertlab console groups --user antares`,
	}
	c.PersistentFlags().StringVar(&flags.user, "user", "", "Kafka user to look as (default: the superuser)")
	c.PersistentFlags().DurationVar(&flags.timeout, "timeout", 20*time.Second, "how long brokers may take to answer")
	must(c.RegisterFlagCompletionFunc("user", a.completeUsers))
	c.AddCommand(a.consoleTopics(&flags), a.consoleMessages(&flags), a.consoleGroups(&flags), a.consoleBrokers(&flags), a.consoleUsers(&flags))
	return c
}

func (a *app) completeUsers(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	dir, err := a.dir()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	card, err := dir.Endpoints()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return userNames(card), cobra.ShellCompDirectiveNoFileComp
}

func userNames(card endpoints.Endpoints) []string {
	var names []string
	for _, u := range card.Users {
		names = append(names, u.Name)
	}
	return names
}

// looker is a look at a lab's Kafka as one of its users.
type looker struct {
	*console.Cluster
	card  endpoints.Endpoints
	user  string
	flags *consoleFlags
	close func()
}

// look logs in to the running lab's Kafka.
func (a *app) look(c *cobra.Command, flags *consoleFlags) (*looker, error) {
	if flags.timeout <= 0 {
		return nil, fault.New(fault.BadInput, fmt.Sprintf("%v is no time to wait for an answer", flags.timeout), "--timeout is more than 0, e.g. 20s",
			c.CommandPath()+" --timeout 20s")
	}
	if flags.user == "" && c.Flags().Changed("user") {
		return nil, fault.New(fault.BadInput, "no user is named", "--user is empty", c.CommandPath()+" --user NAME")
	}
	if _, _, err := a.needRunning(c.Context()); err != nil {
		return nil, err
	}
	return a.lookAs(flags)
}

// lookAs logs in without asking whether the lab runs.
func (a *app) lookAs(flags *consoleFlags) (*looker, error) {
	return a.lookWith(flags, console.Options()...)
}

// lookWith is lookAs with a client that was made for something.
func (a *app) lookWith(flags *consoleFlags, opts ...kgo.Opt) (*looker, error) {
	card, creds, err := a.card()
	if err != nil {
		return nil, err
	}
	user := first(flags.user, card.Superuser())
	if names := userNames(card); creds.Kafka[user] == "" || !slices.Contains(names, user) {
		return nil, fault.New(fault.BadInput, fmt.Sprintf("lab %s has no user %q", card.Lab, user), "there are: "+strings.Join(names, ", "),
			"alertlab console topics --user NAME")
	}
	client, err := kafka.NewClient(login(card, creds, user), opts...)
	if err != nil {
		return nil, err
	}
	return &looker{Cluster: console.New(client), card: card, user: user, flags: flags, close: client.Close}, nil
}

// bound limits how long one question may take.
func (l *looker) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, l.flags.timeout, errNoAnswer)
}

var errNoAnswer = errors.New("the brokers did not answer in time")

// explain gives an error of the cluster its remedy.
func (l *looker) explain(verb string, err error) error {
	var (
		unknown *console.UnknownError
		refused *console.RefusedError
		network *net.OpError
	)
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &unknown):
		why := "there are: " + strings.Join(unknown.Known, ", ")
		if len(unknown.Known) == 0 {
			why = fmt.Sprintf("user %s sees none at all", l.user)
		}
		next := "alertlab console topics"
		switch unknown.Kind {
		case "partition":
			next = strings.Replace(verb, "messages", "topics", 1)
		case "group", "broker", "user":
			next = "alertlab console " + unknown.Kind + "s"
		}
		if l.user != l.card.Superuser() {
			why = fmt.Sprintf("or user %s may not see it; it sees: %s", l.user, first(strings.Join(unknown.Known, ", "), "none"))
			next += "   # looks as the superuser, who sees all"
		}
		return &fault.Fault{What: fmt.Sprintf("there is no %s %q", unknown.Kind, unknown.Name), Why: why, Next: next, Code: fault.BadInput, Err: err}
	case errors.As(err, &refused):
		return &fault.Fault{What: fmt.Sprintf("user %s: %s is refused", l.user, refused.Doing), Why: l.rights(refused.Err),
			Next: verb + "   # looks as the superuser; alertlab env --user " + l.user + " prints what that user has", Code: fault.StepFailed, Err: err}
	case errors.Is(err, errNoAnswer), errors.Is(err, context.DeadlineExceeded):
		return &fault.Fault{What: fmt.Sprintf("no answer within %v", l.flags.timeout), Why: "brokers at " + l.card.Kafka.Bootstrap + " do not answer in time",
			Next: "alertlab status   # or give more time: " + verb + " --timeout 2m", Code: fault.StepFailed, Err: err}
	case errors.Is(err, console.ErrStalled):
		return fault.Wrap(fault.StepFailed, "the topic could not be read to its end", err, "alertlab status   # a broker may be away; alertlab logs kafka")
	case errors.As(err, &network):
		return fault.Wrap(fault.StepFailed, "the brokers cannot be reached", err, "alertlab status   # alertlab up brings back what is missing")
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fault.Wrap(fault.StepFailed, fmt.Sprintf("user %s cannot log in", l.user), err, "alertlab up   # sets every user's password to the one that is kept")
	}
	return err
}

// rights says why a user is refused: what Kafka answers, and what its ACLs allow.
func (l *looker) rights(err error) string {
	text := err.Error()
	for _, u := range l.card.Users {
		if u.Name == l.user && u.Role == endpoints.Reader {
			text += fmt.Sprintf("; its ACLs allow to read %s in groups that begin with %s", first(strings.Join(u.Topics, ", "), "no topic"), u.Name)
		}
	}
	return text
}

// missing tells, beside the result, what could not be seen.
func (a *app) missing(l *looker, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(a.err, "not shown to user %s: %s\n", l.user, n)
	}
}

// complete offers the names that a question to the brokers gives, quickly or not
// at all: nobody waits for a completion.
func (a *app) complete(flags *consoleFlags, ask func(context.Context, *looker) ([]string, error)) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		l, err := a.lookAs(flags)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer l.close()
		ctx, cancel := context.WithTimeout(c.Context(), 2*time.Second)
		defer cancel()
		names, err := ask(ctx, l)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func topicNames(ctx context.Context, l *looker) ([]string, error) { return l.TopicNames(ctx) }
func groupNames(ctx context.Context, l *looker) ([]string, error) { return l.GroupNames(ctx) }

func (a *app) consoleTopics(flags *consoleFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "topics [TOPIC]",
		Short: "Show topics, or one of them in detail",
		Long: `topics lists the topics with their partitions, replicas, records, bytes and the
configuration that was set for them; with a name, that topic's partitions with
leader, offsets and size.

Records are counted by offsets: of a compacted topic fewer are there. Bytes are
those on the disks of all brokers together, as far as the brokers tell them.`,
		Example: `  alertlab console topics
  alertlab console topics alerts-simulated
  alertlab console topics --speed 10s     # records a second in and out
  alertlab console topics -o json | jq '.[] | {name, records}'`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(flags, topicNames),
	}
	view := listing[console.Topic]{one: printTopic, all: printTopics}
	over := speedFlag(c, flags)
	return view.verb(a, c, flags, func(ctx context.Context, l *looker, args []string) ([]console.Topic, []string, error) {
		topics, err := l.compared(ctx, *over, func(look *console.Look) ([]string, error) {
			var notes []string
			var err error
			if look.Topics, notes, err = l.Topics(ctx, args...); err == nil && *over > 0 {
				look.Groups, _, err = l.Groups(ctx)
			}
			return notes, err
		})
		return topics.Topics, topics.notes, err
	})
}

// comparedLook is a look with what could not be seen.
type comparedLook struct {
	console.Look
	notes []string
}

// compared looks once, or twice with a time between, and then gives what was seen last
// its speeds.
func (l *looker) compared(ctx context.Context, over time.Duration, look func(*console.Look) ([]string, error)) (now comparedLook, err error) {
	if now.notes, err = look(&now.Look); err != nil || over == 0 {
		return now, err
	}
	now.At = time.Now()
	before := now.Look
	timer := time.NewTimer(over)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return now, context.Cause(ctx)
	case <-timer.C:
	}
	now = comparedLook{}
	if now.notes, err = look(&now.Look); err != nil {
		return now, err
	}
	now.At = time.Now()
	topics, groups := console.Speeds(before, now.Look)
	for i := range now.Topics {
		speed := topics[now.Topics[i].Name]
		now.Topics[i].Speed = &speed
	}
	for i := range now.Groups {
		speed := groups[now.Groups[i].Name]
		now.Groups[i].Speed = &speed
	}
	return now, nil
}

// speedFlag adds --speed. What it takes is given to the brokers as well.
func speedFlag(c *cobra.Command, flags *consoleFlags) *time.Duration {
	over := c.Flags().Duration("speed", 0, "look twice with this time between, and show how fast they move, e.g. 10s")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if *over < 0 || c.Flags().Changed("speed") && *over == 0 {
			return fault.New(fault.BadInput, fmt.Sprintf("%v is no time between two looks", *over), "--speed is more than 0, e.g. 10s", c.CommandPath()+" --speed 10s")
		}
		flags.timeout += *over
		return nil
	}
	return over
}

func (a *app) consoleGroups(flags *consoleFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "groups [GROUP]",
		Short: "Show consumer groups with their lag, or one in detail",
		Long: `groups lists the consumer groups with state, coordinator, members and lag; with a
name, that group's members, each with its client, host and partitions, and how
far the group is in every partition.

Lag is the number of records behind the end of a partition: behind its beginning
where the group has committed nothing.`,
		Example: `  alertlab console groups
  alertlab console groups alertdb-ingester
  alertlab console groups --speed 10s     # how fast they read, and when they have caught up
  alertlab console groups -o json | jq '.[] | {name, lag}'`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(flags, groupNames),
	}
	view := listing[console.Group]{one: printGroup, all: printGroups}
	over := speedFlag(c, flags)
	return view.verb(a, c, flags, func(ctx context.Context, l *looker, args []string) ([]console.Group, []string, error) {
		groups, err := l.compared(ctx, *over, func(look *console.Look) (notes []string, err error) {
			look.Groups, notes, err = l.Groups(ctx, args...)
			return notes, err
		})
		return groups.Groups, groups.notes, err
	})
}

func (a *app) consoleUsers(flags *consoleFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "users [USER]",
		Short: "Show the cluster's users with what their ACLs allow, or one in detail",
		Long: `users lists the users that have a password or that an ACL allows something, as the
brokers tell it; with a name, that user's ACLs. A name with a star stands for all that
begin with it. Which users are wanted, and whether the profile has them so, is shown by
"alertlab user list".`,
		Example: `  alertlab console users
  alertlab console users antares
  alertlab console users -o json | jq '.[] | {name, rights}'`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeUsers,
	}
	view := listing[console.User]{one: printUser, all: printUsers}
	return view.verb(a, c, flags, func(ctx context.Context, l *looker, args []string) ([]console.User, []string, error) {
		users, err := l.Users(ctx)
		if err != nil || len(args) == 0 {
			return users, nil, err
		}
		var known []string
		for _, u := range users {
			if u.Name == args[0] {
				return []console.User{u}, nil, nil
			}
			known = append(known, u.Name)
		}
		return nil, nil, &console.UnknownError{Kind: "user", Name: args[0], Known: known}
	})
}

func (a *app) consoleBrokers(flags *consoleFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "brokers [ID]",
		Short: "Show brokers with address, role, disk and configuration",
		Long: `brokers lists the brokers with address, role, the partitions that they lead, and
the disk that these take; with an id, also that broker's log directories and the
configuration that is not Kafka's default.

The embedded brokers of a lab store every record once, at the leader of its
partition, whatever the number of replicas says, and share one volume. Clients are
told that one of them is the controller; with KRaft that is any broker. A broker that
is killed is shown as away.`,
		Example: `  alertlab console brokers
  alertlab console brokers 0
  alertlab console brokers -o json | jq '.[].disks'`,
		Args: cobra.MaximumNArgs(1),
	}
	c.ValidArgsFunction = a.complete(flags, func(ctx context.Context, l *looker) ([]string, error) {
		brokers, _, err := l.Brokers(ctx)
		var ids []string
		for _, b := range brokers {
			ids = append(ids, fmt.Sprintf("%d\t%s", b.ID, b.Address))
		}
		return ids, err
	})
	view := listing[console.Broker]{one: printBroker, all: printBrokers}
	var ids []int32
	view.verb(a, c, flags, func(ctx context.Context, l *looker, _ []string) ([]console.Broker, []string, error) {
		return l.allBrokers(ctx, ids...)
	})
	show := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, arg := range args {
			id, err := console.ParseBroker(arg)
			if err != nil {
				return fault.Wrap(fault.BadInput, "the broker cannot be found", err, "alertlab console brokers")
			}
			ids = append(ids, id)
		}
		return show(c, args)
	}
	return c
}

// allBrokers looks at all brokers or those that are named, and adds those of the card
// that the cluster does not list.
func (l *looker) allBrokers(ctx context.Context, ids ...int32) ([]console.Broker, []string, error) {
	brokers, notes, err := l.Brokers(ctx, ids...)
	var unknown *console.UnknownError
	if err == nil || errors.As(err, &unknown) {
		if missing := away(l.card, brokers, ids...); len(missing) > 0 {
			brokers, err = append(brokers, missing...), nil
			slices.SortFunc(brokers, func(a, b console.Broker) int { return int(a.ID) - int(b.ID) })
		}
	}
	return brokers, notes, err
}

// listing shows all things of a kind, or the one that is named.
type listing[T any] struct {
	one func(io.Writer, T) error
	all func(io.Writer, []T) error
}

// verb completes c by its output and by what it does: ask is given the verb's
// arguments, and answers with notes on what could not be seen.
func (v listing[T]) verb(a *app, c *cobra.Command, flags *consoleFlags, ask func(context.Context, *looker, []string) ([]T, []string, error)) *cobra.Command {
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		l, err := a.look(c, flags)
		if err != nil {
			return err
		}
		defer l.close()
		ctx, cancel := l.bound(c.Context())
		defer cancel()
		things, notes, err := ask(ctx, l, args)
		if err != nil {
			return l.explain(strings.Join(append([]string{c.CommandPath()}, args...), " "), err)
		}
		a.missing(l, notes)
		switch {
		case *output == "json" && len(args) == 1:
			return a.printJSON(things[0])
		case *output == "json":
			return a.printJSON(list(things))
		case len(args) == 1:
			return v.one(a.out, things[0])
		}
		return v.all(a.out, things)
	}
	return c
}

// awayWord begins the problem of a broker that the cluster does not list.
const awayWord = "away"

// away gives the brokers of the card that the cluster does not list, of all or of
// those that are named: they were killed, or do not run yet.
func away(card endpoints.Endpoints, listed []console.Broker, ids ...int32) []console.Broker {
	var out []console.Broker
	for _, b := range card.Kafka.Brokers {
		there := slices.ContainsFunc(listed, func(l console.Broker) bool { return l.ID == b.ID })
		if !there && (len(ids) == 0 || slices.Contains(ids, b.ID)) {
			out = append(out, console.Broker{ID: b.ID, Address: b.Address, Problem: awayWord + ": the cluster does not list it"})
		}
	}
	return out
}

// list makes an empty list of none, which JSON would call null.
func list[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

func (a *app) consoleMessages(flags *consoleFlags) *cobra.Command {
	var (
		partition int32
		offset    string
		limit     int
		id        int64
		full      bool
	)
	c := &cobra.Command{
		Use:   "messages TOPIC",
		Short: "Show messages of a topic, with the alerts decoded",
		Long: `messages reads a topic, the last 10 messages by default, and shows of each the
schema id in its header, the subject and version under which the registry has it,
and what the alert says: band, place, signal to noise, difference flux, and how
many earlier sources and forced measurements it carries (history). What is no alert,
or cannot be decoded, is shown with the reason.

--offset is where reading begins: earliest, an offset N in each partition, -N for
the last N, or latest, which waits for what comes. Reading ends at the limit, or at
the end that the topic had when it began; with latest at the limit, or with
Ctrl-C. Up to a limit of 1000 the messages of several partitions come in the order
of time, beyond that as the brokers send them. No offset is committed.

-o json writes a JSON object on a line for each message, with the whole alert;
cutouts stand there as their size, with --full in base64.`,
		Example: `  alertlab console messages alerts-simulated
  alertlab console messages alerts-simulated --offset latest --limit 0    # until Ctrl-C
  alertlab console messages alerts-simulated --partition 0 --offset 1200 --limit 1 -o json
  alertlab console messages alerts-simulated --id 281323062375219200
  alertlab console messages alerts-simulated --user antares`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(flags, topicNames),
	}
	f := c.Flags()
	f.Int32Var(&partition, "partition", -1, "only this partition (default: all)")
	f.StringVar(&offset, "offset", "", "earliest, latest, N or -N (default: the last, as many as the limit; with --id earliest)")
	f.IntVar(&limit, "limit", 10, "how many messages; 0 for all")
	f.Int64Var(&id, "id", 0, "only alerts with this id")
	f.BoolVar(&full, "full", false, "with -o json: bytes in base64, not as their size")
	must(c.RegisterFlagCompletionFunc("offset", cobra.FixedCompletions([]string{"earliest", "latest"}, cobra.ShellCompDirectiveNoFileComp)))
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		q := console.Query{Topic: args[0], Partition: partition, Limit: limit}
		help := c.CommandPath() + " --help"
		byID := f.Changed("id")
		switch {
		case limit < 0:
			return fault.New(fault.BadInput, fmt.Sprintf("%d is no limit", limit), "it is a number of messages, 0 for all", help)
		case f.Changed("partition") && partition < 0:
			return fault.New(fault.BadInput, fmt.Sprintf("%d is no partition", partition), "partitions are counted from 0", "alertlab console topics "+args[0])
		case full && *output != "json":
			return fault.New(fault.BadInput, "--full goes with -o json", "a table has no room for whole alerts", c.CommandPath()+" "+args[0]+" --full -o json")
		case id < 0:
			return fault.New(fault.BadInput, fmt.Sprintf("%d is no alert id", id), "an id is a decimal number of at most 19 digits", help)
		}
		if offset == "" {
			switch {
			case byID || limit == 0:
				offset = "earliest"
			default:
				offset = "-" + strconv.Itoa(limit)
			}
		}
		from, err := console.ParseFrom(offset)
		if err != nil {
			return fault.Wrap(fault.BadInput, "the place to begin cannot be read", err, help)
		}
		q.From, q.Idle = from, flags.timeout
		l, err := a.look(c, flags)
		if err != nil {
			return err
		}
		defer l.close()
		schemas, err := registry.NewClient(l.card.Registry.URL)
		if err != nil {
			return err
		}
		decoder := console.NewDecoder(schemas, depth(*output, full))
		if byID {
			q.Match = func(ctx context.Context, r *kgo.Record) bool {
				got, ok := decoder.ID(ctx, r)
				return ok && got == id
			}
		}
		scan := &scanLine{}
		if byID && style.Terminal(a.err) {
			scan.w = a.err
		}
		q.Scanned = scan.at
		shown := 0
		var show func(console.Message) error
		if *output == "json" {
			enc := json.NewEncoder(a.out)
			enc.SetEscapeHTML(false)
			show = func(m console.Message) error { return enc.Encode(m) }
		} else {
			show = (&messageLines{w: a.out}).print
		}
		err = l.Messages(c.Context(), q, func(r *kgo.Record) error {
			shown++
			scan.clear()
			return show(decoder.Message(c.Context(), r))
		})
		scan.clear()
		if offset == "latest" && c.Context().Err() != nil {
			return nil // Ctrl-C is how waiting ends
		}
		if err != nil {
			return l.explain("alertlab console messages "+args[0], err)
		}
		if shown == 0 {
			why := "no message there"
			if byID {
				why = fmt.Sprintf("no alert with id %d there", id)
			}
			fmt.Fprintf(a.err, "%s: topic %s, %s\n", why, args[0], where(partition, offset))
		}
		return nil
	}
	return c
}

// depth is how much of an alert an output shows.
func depth(output string, full bool) int {
	switch {
	case full:
		return console.Full
	case output == "json":
		return console.WithAlert
	}
	return console.SummaryOnly
}

// where says in words what part of a topic was read.
func where(partition int32, offset string) string {
	text := "all partitions"
	if partition >= 0 {
		text = fmt.Sprintf("partition %d", partition)
	}
	if n, err := strconv.ParseInt(offset, 10, 64); err == nil {
		if n < 0 && n > math.MinInt64 {
			return fmt.Sprintf("%s, the last %d", text, -n)
		}
		return fmt.Sprintf("%s, from offset %d on", text, n)
	}
	return text + ", from the " + offset + " on"
}

// scanLine shows, on a line of a terminal, how far a search has come. Without a
// writer it shows nothing.
type scanLine struct {
	w     io.Writer
	meter phrase.Meter
	last  time.Time
	there bool // the line is
}

func (s *scanLine) at(read, total int64) {
	now := time.Now()
	if s.w == nil || now.Sub(s.last) < 500*time.Millisecond {
		return
	}
	s.last = now
	s.meter.Observe(now, read)
	text := fmt.Sprintf("%d of %d messages read", read, max(read, total))
	if rate := s.meter.Text(total, "messages"); rate != "" {
		text += ", " + rate
	}
	s.clear()
	fmt.Fprint(s.w, text)
	s.there = true
}

func (s *scanLine) clear() {
	if s.there {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.there = false
	}
}
