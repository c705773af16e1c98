package smoke

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// cleanupTime bounds what a check does to leave nothing behind after its own
// time is over. It grows with the check's time, which is longer where machines are
// slow.
func (e *Env) cleanupTime() time.Duration { return max(3*time.Second, e.timeout/5) }

// randomName gives a name that nobody else uses, in lower case.
func randomName(prefix string) string { return prefix + strings.ToLower(rand.Text()[:12]) }

func autoTopicCreation() Check {
	return Check{
		Name:     "auto-topic-creation",
		Sentence: "auto topic creation is as the profile says",
		Needs:    []Need{NeedBrokers(), NeedSuperuser()},
		Run:      runAutoTopicCreation,
	}
}

func runAutoTopicCreation(ctx context.Context, e *Env) (_ Evidence, err error) {
	cl, err := newClient(e.login(e.superuser()))
	if err != nil {
		return "", err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	topic := randomName("alertlab-smoke-")
	created := false
	defer func() {
		if !created {
			return
		}
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cleanupTime())
		defer cancel()
		if derr := deleteTopic(clean, adm, topic); derr != nil && err == nil {
			err = &Failure{
				Expected: "to delete the topic that was created, " + topic, Seen: derr.Error(), Err: derr,
				Next: "alertlab plan",
			}
		}
	}()

	_, first := describeTopic(ctx, cl, topic, true)
	// A broker may answer before the controller has made the topic, so the
	// first answer alone tells nothing.
	looks := []time.Duration{150 * time.Millisecond, 250 * time.Millisecond, 400 * time.Millisecond}
	for i := 0; ; i++ {
		_, now := describeTopic(ctx, cl, topic, false)
		if now == nil {
			created = true
			break
		}
		if ctx.Err() == nil && !errors.Is(now, kerr.UnknownTopicOrPartition) && !errors.Is(now, kerr.LeaderNotAvailable) {
			return "", &Failure{
				Expected: "UNKNOWN_TOPIC_OR_PARTITION for a topic that nobody made", Seen: now.Error(), Err: now, Next: nextStatus,
			}
		}
		if i == len(looks) && !e.Endpoints.Kafka.AutoCreateTopics {
			break
		}
		if i >= len(looks) {
			e.Waiting("topic %s to appear (the first answer was %v)", topic, first)
		}
		if err := pause(ctx, looks[min(i, len(looks)-1)]); err != nil && !e.Endpoints.Kafka.AutoCreateTopics {
			return "", err
		} else if err != nil {
			return "", &Failure{
				Expected: "a topic to appear when a client asks for one (auto.create.topics.enable=true)",
				Seen:     fmt.Sprintf("%s did not appear: %v", topic, first), Next: "alertlab plan", Err: err,
			}
		}
	}
	switch want := e.Endpoints.Kafka.AutoCreateTopics; {
	case created && !want:
		return "", &Failure{
			Expected: "no topic to be created by asking for it (auto.create.topics.enable=false)",
			Seen:     topic + " appeared (it is deleted again)", Next: "alertlab plan",
		}
	case !created && !errors.Is(first, kerr.UnknownTopicOrPartition):
		return "", &Failure{
			Expected: "the request for a new topic to be refused with UNKNOWN_TOPIC_OR_PARTITION",
			Seen:     fmt.Sprint(first), Err: first, Next: nextStatus,
		}
	case created:
		return evidence("on: %s appeared and is deleted again", topic), nil
	}
	return evidence("off: %s was refused with UNKNOWN_TOPIC_OR_PARTITION and did not appear", topic), nil
}

func deleteTopic(ctx context.Context, adm *kadm.Client, topic string) error {
	resp, err := adm.DeleteTopic(ctx, topic)
	if err != nil {
		return err
	}
	return resp.Err
}
