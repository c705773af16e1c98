package argocd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apiclient"
	"github.com/argoproj/argo-cd/v2/pkg/apiclient/application"
	"github.com/argoproj/argo-cd/v2/pkg/apiclient/session"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/internal/kube"
	_ "github.com/alertlab/alertlab/internal/kubectlwords" // this client reaches kubectl's commands
)

// Session is a login to Argo CD's API, by way of the cluster's own. It is made at the
// first use, and anew when it has ended: Argo CD may be restarted at any time.
type Session struct {
	// Cluster gives the cluster's API.
	Cluster func() (*kube.Client, error)
	// CAFile is the PEM file of the authority that signed its certificate.
	CAFile string
	// Password gives the administrator's.
	Password func() (string, error)

	mu   sync.Mutex
	apps application.ApplicationServiceClient
	end  func()
	gone <-chan struct{}
}

// serverPort is the port at which argocd-server's pods answer, in every chart.
const serverPort = 8080

// serverSelector finds the pods of the API server, in every chart.
const serverSelector = "app.kubernetes.io/name=argocd-server"

// How long is waited for an API that is away, and for one answer.
const (
	patience   = 2 * time.Minute
	answerTime = 30 * time.Second
	askAgain   = 300 * time.Millisecond
)

// do asks Argo CD for something. Where it is away it is waited for, up to two minutes;
// what it refuses is an error at once.
func (s *Session) do(ctx context.Context, ask func(ctx context.Context, apps application.ApplicationServiceClient) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the API of Argo CD was away for two minutes"))
	defer cancel()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		err := s.once(ctx, ask)
		if err == nil || !passes(err) {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil { // both may have come
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// awayError is a way to Argo CD that there is not at this moment.
type awayError struct{ error }

func (e awayError) Unwrap() error { return e.error }

// passes tells what may be over when it is asked again.
func passes(err error) bool {
	var away awayError
	if errors.As(err, &away) {
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unauthenticated, codes.ResourceExhausted:
		return true
	}
	// That one of Argo CD's programs did not reach another one it says in words behind any
	// code, as it does that its own controller wrote the Application whenever it tried to
	// (argo-cd v2.14, server/application: ten times, without a pause).
	return err != nil && (strings.Contains(err.Error(), "code = Unavailable") || strings.Contains(err.Error(), "Too many conflicts"))
}

func (s *Session) once(ctx context.Context, ask func(ctx context.Context, apps application.ApplicationServiceClient) error) error {
	apps, err := s.open(ctx)
	if err != nil {
		return err
	}
	one, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err = ask(one, apps)
	if err != nil && passes(err) {
		s.close(apps)
	}
	return err
}

// open gives the client of Applications that is there, or logs in.
func (s *Session) open(ctx context.Context) (application.ApplicationServiceClient, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apps != nil {
		select {
		case <-s.gone:
			s.end()
			s.apps = nil
		default:
			return s.apps, nil
		}
	}
	password, err := s.Password()
	if err != nil {
		return nil, err
	}
	client, err := s.Cluster()
	if err != nil {
		return nil, err
	}
	address, gone, stop, err := client.Forward(ctx, argocd.Namespace, serverSelector, serverPort)
	if err != nil {
		return nil, awayError{err}
	}
	closer, apps, err := login(ctx, address, s.CAFile, password)
	if err != nil {
		stop()
		return nil, err
	}
	s.apps, s.gone, s.end = apps, gone, func() {
		closer.Close()
		stop()
	}
	return apps, nil
}

func login(ctx context.Context, address, caFile, password string) (io.Closer, application.ApplicationServiceClient, error) {
	// Without ConfigPath: the user's configuration of Argo CD's own client does not
	// concern a lab.
	options := apiclient.ClientOptions{ServerAddr: address, CertFile: caFile, UserAgent: "alertlab"}
	anonymous, err := apiclient.NewClient(&options)
	if err != nil {
		return nil, nil, awayError{err}
	}
	closer, sessions, err := anonymous.NewSessionClient()
	if err != nil {
		return nil, nil, awayError{err}
	}
	defer closer.Close()
	one, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	token, err := sessions.Create(one, &session.SessionCreateRequest{Username: argocd.Admin, Password: password})
	if err != nil {
		return nil, nil, fmt.Errorf("logging in to Argo CD as %s: %w", argocd.Admin, err)
	}
	options.AuthToken = token.Token
	client, err := apiclient.NewClient(&options)
	if err != nil {
		return nil, nil, awayError{err}
	}
	closer, apps, err := client.NewApplicationClient()
	if err != nil {
		return nil, nil, awayError{err}
	}
	return closer, apps, nil
}

// close ends a login that does not answer any more, unless another one took its place.
func (s *Session) close(apps application.ApplicationServiceClient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apps == apps && s.apps != nil {
		s.end()
		s.apps = nil
	}
}

// Answers says whether Argo CD takes the lab's login, once.
func (s *Session) Answers(ctx context.Context) (bool, string, error) {
	err := s.once(ctx, func(ctx context.Context, apps application.ApplicationServiceClient) error {
		_, err := apps.List(ctx, &application.ApplicationQuery{})
		return err
	})
	if err != nil {
		return false, err.Error(), nil
	}
	return true, "", nil
}
