package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
)

// brokered is a Lab that may offer control of its brokers.
type brokered interface {
	// Brokers is nil when the lab offers none.
	Brokers() endpoints.BrokerControl
}

// control gives the lab's broker control, nil when it has none or does not run.
func (s *Server) control() endpoints.BrokerControl {
	if b, ok := s.opened().(brokered); ok {
		return b.Brokers()
	}
	return nil
}

func (s *Server) handleBrokers(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/brokers", func(rw http.ResponseWriter, _ *http.Request) {
		control := s.control()
		_, revives := control.(endpoints.Reviver)
		answer(rw, brokersAnswer{Control: control != nil, Revives: revives})
	})
	mux.HandleFunc("POST /v1/brokers/{id}/kill", s.onBroker(endpoints.BrokerControl.KillBroker))
	mux.HandleFunc("POST /v1/brokers/{id}/restart", s.onBroker(endpoints.BrokerControl.RestartBroker))
	mux.HandleFunc("POST /v1/brokers/{id}/await", s.onBroker(func(c endpoints.BrokerControl, ctx context.Context, id int32) error {
		if r, ok := c.(endpoints.Reviver); ok {
			return r.AwaitBroker(ctx, id)
		}
		return errors.New("nobody brings a broker of this lab back but alertlab broker restart")
	}))
	mux.HandleFunc("POST /v1/brokers/restart", func(rw http.ResponseWriter, r *http.Request) {
		s.steer(rw, r, func(ctx context.Context, c endpoints.BrokerControl) error { return c.RestartBrokers(ctx) })
	})
}

type brokersAnswer struct {
	Control bool `json:"control"`
	Revives bool `json:"revives,omitempty"` // it is an endpoints.Reviver
}

func (s *Server) onBroker(do func(endpoints.BrokerControl, context.Context, int32) error) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 32)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		s.steer(rw, r, func(ctx context.Context, c endpoints.BrokerControl) error { return do(c, ctx, int32(id)) })
	}
}

// steer does something with the brokers, if they can be controlled.
func (s *Server) steer(rw http.ResponseWriter, r *http.Request, do func(context.Context, endpoints.BrokerControl) error) {
	s.alone(rw, r, func(ctx context.Context) error {
		control := s.control()
		if control == nil {
			return &fault.Fault{What: fmt.Sprintf("lab %s has no broker control", s.Dir.Lab()), Why: errNoControl.Error(),
				Next: "alertlab status --lab " + s.Dir.Lab(), Code: fault.StepFailed, Err: errNoControl}
		}
		if err := do(ctx, control); err != nil {
			return err
		}
		s.Log.Info("brokers", "did", r.URL.Path)
		return nil
	})
}

// errNoControl is why a lab refuses to kill or restart a broker.
var errNoControl = errors.New("its brokers do not run yet, or its provider offers none")

// BrokerControl gives control of the lab's brokers, nil when the lab offers none.
func (c *Client) BrokerControl(ctx context.Context) (endpoints.BrokerControl, error) {
	var has brokersAnswer
	if err := c.get(ctx, "/v1/brokers", nil, &has); err != nil || !has.Control {
		return nil, err
	}
	if has.Revives {
		return remoteReviver{remoteControl{c}}, nil
	}
	return remoteControl{c}, nil
}

// remoteReviver is control of brokers that come back by themselves.
type remoteReviver struct{ remoteControl }

func (r remoteReviver) AwaitBroker(ctx context.Context, id int32) error {
	return r.post(ctx, fmt.Sprintf("/v1/brokers/%d/await", id))
}

// remoteControl is control of the brokers in the runner.
type remoteControl struct{ client *Client }

func (r remoteControl) KillBroker(ctx context.Context, id int32) error {
	return r.post(ctx, fmt.Sprintf("/v1/brokers/%d/kill", id))
}

func (r remoteControl) RestartBroker(ctx context.Context, id int32) error {
	return r.post(ctx, fmt.Sprintf("/v1/brokers/%d/restart", id))
}

func (r remoteControl) RestartBrokers(ctx context.Context) error {
	return r.post(ctx, "/v1/brokers/restart")
}

func (r remoteControl) post(ctx context.Context, path string) error {
	resp, err := r.client.do(ctx, http.MethodPost, path, nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
