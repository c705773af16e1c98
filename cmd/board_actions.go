package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/tui"
	"github.com/alertlab/alertlab/tui/actions"
)

// actionSource hands verbs that change a lab to the page of actions. Each does what
// the verb of its name does, by the same functions.
type actionSource struct{ *board }

// The fields of actions, and the value that stands for every broker.
const (
	fieldUser       = "user"
	fieldTopics     = "topics"
	fieldTopic      = "topic"
	fieldPartitions = "partitions"
	fieldReplicas   = "copies"
	fieldSettings   = "settings"
	fieldBroker     = "broker"
	allBrokers      = "all"
)

// doable is one action: what it would do, and how it is done.
type doable struct {
	actions.Action
	// anyState says that the lab need not run.
	anyState bool
	plan     func(context.Context, actions.Values) (string, error)
	do       func(context.Context, actions.Values, event.Sink) (string, error)
}

// About implements actions.Source.
func (s actionSource) About() tui.About { return s.a.aboutWalk("leaves it going on") }

// Actions implements actions.Source.
func (s actionSource) Actions(ctx context.Context) ([]actions.Action, error) {
	if _, err := s.dir.Describe(); err != nil {
		return nil, remedied(err)
	}
	refused := ""
	switch _, err := runner.Dial(ctx, s.dir); {
	case errors.Is(err, runner.ErrNotRunning):
		refused = "the lab does not run"
	case err != nil:
		refused = err.Error()
	}
	var out []actions.Action
	for _, d := range s.all() {
		if !d.anyState {
			d.Refused = refused
		}
		out = append(out, d.Action)
	}
	return out, nil
}

func (s actionSource) find(name string) (doable, error) {
	all := s.all()
	if i := slices.IndexFunc(all, func(d doable) bool { return d.Name == name }); i >= 0 {
		return all[i], nil
	}
	return doable{}, fmt.Errorf("there is no action %q", name)
}

// Plan implements actions.Source.
func (s actionSource) Plan(ctx context.Context, action string, values actions.Values) (string, error) {
	d, err := s.find(action)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*patient)
	defer cancel()
	text, err := d.plan(ctx, values)
	return text, s.remedied(err)
}

// Do implements actions.Source.
func (s actionSource) Do(ctx context.Context, action string, values actions.Values, sink event.Sink) (string, error) {
	d, err := s.find(action)
	if err != nil {
		return "", err
	}
	said, err := d.do(ctx, values, sink)
	s.forget() // what was seen before is not how the lab is
	return s.a.meant(said), s.remedied(err)
}

// remedied gives an error its remedy, for this lab.
func (s actionSource) remedied(err error) error {
	err = remedied(err)
	var f *fault.Fault
	if errors.As(err, &f) {
		f.Next = s.a.meant(f.Next)
		return errors.New(strings.TrimPrefix(fault.Text(f), "error: "))
	}
	return err
}

// all are the actions, those that are used most first.
func (s actionSource) all() []doable {
	card, _ := s.dir.Endpoints() // without one there is nothing to choose from
	_, applied, err := s.a.wantedProfile()
	if err != nil {
		applied = &profiles.Profile{}
	}
	var brokers, topics []string
	for _, b := range card.Kafka.Brokers {
		brokers = append(brokers, strconv.Itoa(int(b.ID)))
	}
	for _, t := range applied.Kafka.Topics {
		topics = append(topics, t.Name)
	}
	broker := func(options []string) []actions.Field {
		return []actions.Field{{Name: fieldBroker, Hint: "its id; left and right choose", Options: options}}
	}
	lab := s.dir.Lab()
	return []doable{
		{Action: actions.Action{Name: "broker kill", Does: "Kill a broker, as if its machine had gone", Fields: broker(brokers)}, plan: s.planKill, do: s.kill},
		{Action: actions.Action{Name: "broker restart", Does: "Bring a killed broker back, or restart all of them", Fields: broker(append(slices.Clone(brokers), allBrokers))}, plan: s.planRestart, do: s.restart},
		{Action: actions.Action{Name: "simulator pause", Does: "Let the simulator start no more visits"}, plan: says("the visit under way is played to its end, and no other begins",
			"consumers find a topic that does not grow", "it lasts until simulator resume, or until the lab is stopped"), do: s.order("pause")},
		{Action: actions.Action{Name: "simulator resume", Does: "Let the simulator play again after a pause"}, plan: says("visits begin at the next point of the grid of times that they had",
			"the points that passed are not made up for"), do: s.order("resume")},
		{Action: actions.Action{Name: "user add", Does: "Add a user who may read topics and use its own groups", Fields: []actions.Field{
			{Name: fieldUser, Hint: "its name"},
			{Name: fieldTopics, Hint: "what it may read, with commas between; * is everything; there are " + strings.Join(topics, ", "), Default: card.Simulator.Topic}}},
			plan: s.planEdit(addUserEdit), do: s.edit(addUserEdit, func(v actions.Values) string { return userAdded(v[fieldUser], words(v[fieldTopics])) })},
		{Action: actions.Action{Name: "user passwd", Does: "Give a user another password", Fields: []actions.Field{{Name: fieldUser, Hint: "left and right choose", Options: readerNames(applied)}}},
			plan: s.planEdit(passwdEdit), do: s.edit(passwdEdit, func(v actions.Values) string { return passwordSet(v[fieldUser]) })},
		{Action: actions.Action{Name: "topic add", Does: "Add a topic", Fields: []actions.Field{
			{Name: fieldTopic, Hint: "its name"},
			{Name: fieldPartitions, Hint: "how many", Default: "1"},
			{Name: fieldReplicas, Hint: "of each partition", Default: "1"},
			{Name: fieldSettings, Hint: "KEY=VALUE of Kafka with blanks between, e.g. retention.ms=60000; may be empty", Optional: true}}},
			plan: s.planEdit(addTopicEdit), do: s.edit(addTopicEdit, func(v actions.Values) string {
				t, err := topicOf(v)
				if err != nil {
					return ""
				}
				return topicAdded(t)
			})},
		{Action: actions.Action{Name: "down", Does: "Stop the lab and keep its data"}, plan: s.planEnd(plan.Down), do: s.end(false)},
		{Action: actions.Action{Name: "down --purge", Does: "Delete the lab with everything that it stored", Confirm: lab}, anyState: true, plan: s.planEnd(plan.Purge), do: s.end(true)},
	}
}

// says is a plan of a few sentences.
func says(sentences ...string) func(context.Context, actions.Values) (string, error) {
	var b strings.Builder
	b.WriteString("what it does\n")
	for i, text := range sentences {
		fmt.Fprintf(&b, "%3d. %s\n", i+1, text)
	}
	return func(context.Context, actions.Values) (string, error) { return b.String(), nil }
}

func (s actionSource) planKill(ctx context.Context, v actions.Values) (string, error) {
	b, _, err := s.a.controlled(ctx, v[fieldBroker])
	if err != nil {
		return "", err
	}
	if s.inPods(ctx) {
		return says(fmt.Sprintf("the pod of broker %d is deleted without a time for its end: its connections are cut", b.ID),
			"the others lead its partitions, where they have copies; what is stored stays",
			"Kubernetes makes the pod anew at once, and the broker answers again at "+b.Address+" when it has read what is stored")(ctx, v)
	}
	return says(fmt.Sprintf("the connections of broker %d are cut, and nothing answers at %s", b.ID, b.Address),
		"the others lead its partitions; what is stored stays",
		"it stays away until broker restart, or alertlab up, brings it back")(ctx, v)
}

func (s actionSource) kill(ctx context.Context, v actions.Values, _ event.Sink) (string, error) {
	b, control, err := s.a.controlled(ctx, v[fieldBroker])
	if err != nil {
		return "", err
	}
	return brokerKilled(b), control.KillBroker(ctx, b.ID)
}

func (s actionSource) planRestart(ctx context.Context, v actions.Values) (string, error) {
	if v[fieldBroker] == allBrokers {
		if _, err := s.a.brokerControl(ctx); err != nil {
			return "", err
		}
		return says("every broker is ended: the cluster is gone for a moment", "all of them start again on what they have stored")(ctx, v)
	}
	b, _, err := s.a.controlled(ctx, v[fieldBroker])
	if err != nil {
		return "", err
	}
	if s.inPods(ctx) {
		return says(fmt.Sprintf("the pod of broker %d ends as Kubernetes ends any, and is made anew; one that is not ready is waited for", b.ID),
			"it is over when the broker answers at "+b.Address)(ctx, v)
	}
	return says(fmt.Sprintf("broker %d is brought back at %s, if it was killed; one that lives is left alone", b.ID, b.Address), "it is over when the broker answers")(ctx, v)
}

func (s actionSource) restart(ctx context.Context, v actions.Values, _ event.Sink) (string, error) {
	if v[fieldBroker] == allBrokers {
		control, err := s.a.brokerControl(ctx)
		if err != nil {
			return "", err
		}
		return brokersRestarted, control.RestartBrokers(ctx)
	}
	b, control, err := s.a.controlled(ctx, v[fieldBroker])
	if err != nil {
		return "", err
	}
	return brokerAnswers(b), control.RestartBroker(ctx, b.ID)
}

// order gives the simulator an order.
func (s actionSource) order(verb string) func(context.Context, actions.Values, event.Sink) (string, error) {
	return func(ctx context.Context, _ actions.Values, _ event.Sink) (string, error) {
		_, client, err := s.a.needRunning(ctx)
		if err != nil {
			return "", err
		}
		said, err := client.Control(ctx, simulatorComponent, verb)
		return "the simulator: " + said, err
	}
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func addUserEdit(v actions.Values) (func(*edit) error, error) {
	return addUser(strings.TrimSpace(v[fieldUser]), words(v[fieldTopics])), nil
}

func passwdEdit(v actions.Values) (func(*edit) error, error) {
	return setPassword(v[fieldUser], state.NewPassword()), nil
}

func topicOf(v actions.Values) (profiles.Topic, error) {
	t := profiles.Topic{Name: strings.TrimSpace(v[fieldTopic])}
	for _, number := range []struct {
		field string
		bits  int
		set   func(int64)
	}{
		{fieldPartitions, 32, func(n int64) { t.Partitions = int32(n) }},
		{fieldReplicas, 16, func(n int64) { t.Replicas = int16(n) }},
	} {
		n, err := strconv.ParseInt(strings.TrimSpace(v[number.field]), 10, number.bits)
		if err != nil {
			return t, fault.Wrap(fault.BadInput, number.field+": "+v[number.field], inWords(err), "")
		}
		number.set(n)
	}
	var err error
	t.Config, err = topicConfig(t.Name, strings.Fields(v[fieldSettings]))
	return t, err
}

func addTopicEdit(v actions.Values) (func(*edit) error, error) {
	t, err := topicOf(v)
	return addTopic(t), err
}

// planEdit is the plan of an edit of the lab's overlay.
func (s actionSource) planEdit(of func(actions.Values) (func(*edit) error, error)) func(context.Context, actions.Values) (string, error) {
	return func(ctx context.Context, v actions.Values) (string, error) {
		make, err := of(v)
		if err != nil {
			return "", err
		}
		desc, err := s.dir.Describe()
		if err != nil {
			return "", err
		}
		ch := runner.Change{Description: desc}
		if err := makeEdit(s.dir, &ch, make); err != nil {
			return "", err
		}
		p, err := s.a.planFor(ctx, s.dir, ch.Description)
		if err != nil {
			return "", err
		}
		return p.String(), nil
	}
}

// edit carries an edit of the lab's overlay out.
func (s actionSource) edit(of func(actions.Values) (func(*edit) error, error), said func(actions.Values) string) func(context.Context, actions.Values, event.Sink) (string, error) {
	return func(ctx context.Context, v actions.Values, sink event.Sink) (string, error) {
		make, err := of(v)
		if err != nil {
			return "", err
		}
		dir, client, err := s.a.needRunning(ctx)
		if err != nil {
			return "", err
		}
		err = change(ctx, dir, client, sink, func(ch *runner.Change) error { return makeEdit(dir, ch, make) })
		return said(v), err
	}
}

func (s actionSource) planEnd(goal plan.Goal) func(context.Context, actions.Values) (string, error) {
	return func(ctx context.Context, _ actions.Values) (string, error) {
		p, err := s.a.planDown(ctx, s.dir, goal)
		if err != nil {
			return "", err
		}
		return p.String(), nil
	}
}

func (s actionSource) end(purge bool) func(context.Context, actions.Values, event.Sink) (string, error) {
	return func(ctx context.Context, _ actions.Values, sink event.Sink) (string, error) {
		s.kafka.end()
		_, err := s.a.endLab(ctx, s.dir, purge, func(walk walking) error { return walk(ctx, sink) })
		if purge {
			return "lab " + s.dir.Lab() + " is deleted", err
		}
		return "lab " + s.dir.Lab() + " is stopped; alertlab up brings it back", err
	}
}
