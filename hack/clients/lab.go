package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
)

const (
	// alerts and interval make visits that every check can wait for.
	alerts   = 20
	interval = 2 * time.Second
	// tail is how many lines of a failing program are shown.
	tail = 60
)

// lab is a lab of ours in a state directory of its own.
type lab struct {
	binary, work, state string
	environ             []string // of every process of ours

	card endpoints.Endpoints
}

func newLab(binary, work string) *lab {
	l := &lab{binary: binary, work: work, state: filepath.Join(work, "state")}
	for _, entry := range os.Environ() {
		// What the user has set for labs and clients of their own must not change ours.
		name, _, _ := strings.Cut(entry, "=")
		if own := strings.HasPrefix(name, "ALERTLAB_") && name != "ALERTLAB_SAMPLES"; !own && !isLabs(name) {
			l.environ = append(l.environ, entry)
		}
	}
	l.environ = append(l.environ, "ALERTLAB_STATE_DIR="+l.state)
	return l
}

// isLabs tells the names that `alertlab env` sets, and those that AWS's libraries
// would read in their place.
func isLabs(name string) bool {
	return strings.HasPrefix(name, "KAFKA_") || strings.HasPrefix(name, "SCHEMA_REGISTRY_") || strings.HasPrefix(name, "ALERTDB_") ||
		slices.Contains([]string{"ALERT_BUCKET", "SCHEMA_BUCKET", "SSL_CA_FILE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"}, name)
}

// command is a child in a process group of its own, so that Ctrl-C reaches it
// once, from us, and what it started goes with it.
func command(ctx context.Context, environ []string, words ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (l *lab) alertlab(ctx context.Context, words ...string) ([]byte, error) {
	var out, said bytes.Buffer
	cmd := command(ctx, l.environ, append([]string{l.binary}, words...)...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fault.New(fault.StepFailed, "alertlab "+strings.Join(words, " ")+" failed", fmt.Sprintf("%v\n%s", err, said.Bytes()), "make test")
	}
	return out.Bytes(), nil
}

func (l *lab) alertlabJSON(ctx context.Context, into any, words ...string) error {
	out, err := l.alertlab(ctx, append(words, "-o", "json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// up brings the lab up and reads its connection card. It is of the profile local, and
// with TLS at its listener where that is asked for.
func (l *lab) up(ctx context.Context, tls bool) error {
	profile := "local"
	if tls {
		text, err := l.alertlab(ctx, "profile", "show", profile)
		if err != nil {
			return err
		}
		with := bytes.Replace(text, []byte("tls: false"), []byte("tls: true"), 1)
		if bytes.Equal(text, with) {
			return errors.New("the profile local says nothing of TLS")
		}
		profile = filepath.Join(l.work, "tls.yaml")
		if err := os.WriteFile(profile, with, 0o600); err != nil {
			return err
		}
	}
	l.environ = append(l.environ, fmt.Sprintf("ALERTLAB_SIMULATOR_ALERTS=%d", alerts), fmt.Sprintf("ALERTLAB_SIMULATOR_INTERVAL=%s", interval))
	if _, err := l.alertlab(ctx, "up", "--profile", profile, "--progress", "quiet"); err != nil {
		return err
	}
	var status struct {
		Endpoints endpoints.Endpoints `json:"endpoints"`
	}
	if err := l.alertlabJSON(ctx, &status, "status"); err != nil {
		return err
	}
	l.card = status.Endpoints
	return nil
}

// purge deletes the lab and proves that nothing is left, also of one that did not
// come up.
func (l *lab) purge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := l.alertlab(ctx, "down", "--purge", "--verify", "--progress", "quiet")
	return err
}

// environment is that of a client's program: of one community user as `alertlab
// env` gives it, the superuser's with ADMIN_ before each name, and of the lab
// itself what a program has to know to expect the right things.
func environment(user, admin map[string]string, card endpoints.Endpoints) ([]string, error) {
	var list []string
	for name, value := range user {
		list = append(list, name+"="+value)
	}
	for name, value := range admin {
		list = append(list, "ADMIN_"+name+"="+value)
	}
	var brokers []string
	for _, b := range card.Kafka.Brokers {
		brokers = append(brokers, fmt.Sprintf("%d=%s", b.ID, b.Address))
	}
	_, other, err := readers(card)
	if err != nil {
		return nil, err
	}
	list = append(list,
		"ALERTLAB_OTHER_USER="+other,
		"ALERTLAB_TOPIC="+card.Simulator.Topic,
		"ALERTLAB_UNGRANTED_TOPIC="+card.Simulator.StaticTopic,
		"ALERTLAB_VISIT="+strconv.Itoa(card.Simulator.Alerts),
		"ALERTLAB_BROKERS="+strings.Join(brokers, ","),
	)
	slices.Sort(list)
	return list, nil
}

// readers gives two community users: one to be, and one whose groups are foreign.
func readers(card endpoints.Endpoints) (user, other string, err error) {
	var names []string
	for _, u := range card.Users {
		if u.Role == endpoints.Reader {
			names = append(names, u.Name)
		}
	}
	if len(names) < 2 {
		return "", "", fmt.Errorf("the lab has %d community users, and two are needed", len(names))
	}
	return names[0], names[1], nil
}

// meet runs one client's program.
func (l *lab) meet(ctx context.Context, t *tools, s selection) report {
	began := time.Now()
	out, said, err := l.start(ctx, t, s)
	r := read(out, err)
	r.Client, r.Seconds = s.client.name, time.Since(began).Seconds()
	if r.failed() {
		r.Said = lastLines(string(said), tail)
	}
	return r
}

func (l *lab) start(ctx context.Context, t *tools, s selection) (out, said []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	name, _, err := readers(l.card)
	if err != nil {
		return nil, nil, err
	}
	var user, admin map[string]string
	if err := errors.Join(l.alertlabJSON(ctx, &user, "env", "--user", name), l.alertlabJSON(ctx, &admin, "env")); err != nil {
		return nil, nil, err
	}
	environ, err := environment(user, admin, l.card)
	if err != nil {
		return nil, nil, err
	}
	card := filepath.Join(l.work, "card.json")
	text, err := json.Marshal(l.card)
	if err == nil {
		err = os.WriteFile(card, text, 0o600)
	}
	if err != nil {
		return nil, nil, err
	}
	environ = slices.Concat(l.environ, environ, []string{
		"ALERTLAB_CARD=" + card, "ALERTLAB_BINARY=" + l.binary, "ALERTLAB_CLIENTS_WORK=" + l.work, "PYTHONDONTWRITEBYTECODE=1",
	})
	cmd := command(ctx, environ, append(t.program(s.client), s.words()...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("stopped after %s: %w", programLimit, ctx.Err())
	}
	return stdout.Bytes(), stderr.Bytes(), err
}

// lastLines gives at most n lines from the end.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if cut := len(lines) - n; cut > 0 {
		lines = append([]string{fmt.Sprintf("(%d lines before)", cut)}, lines[cut:]...)
	}
	return strings.Join(lines, "\n")
}
