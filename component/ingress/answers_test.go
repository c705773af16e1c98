package ingress_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/lab/authority"
)

// hosts is a controller, with the certificate that httptest gives it for example.com and
// what is below; answers has the status of each host with path.
func hosts(t *testing.T, answers map[string]int) (address string, authority []byte) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, ok := answers[r.Host+r.URL.Path]
		if !ok {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// The gate opens when every host answers under the lab's authority, and not before.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const registry, data = "registry.example.com:31443", "data.example.com:31443"
	good := map[string]int{registry + "/subjects": 200, data + "/alertdb/v1/health": 200}
	address, pem := hosts(t, good)
	half, halfs := hosts(t, map[string]int{registry + "/subjects": 200, data + "/alertdb/v1/health": 503})
	other, err := authority.Open(t.TempDir(), "somebody's")
	if err != nil {
		t.Fatal(err)
	}
	outputs := func(more map[string]string) component.Release {
		out := map[string]string{ingress.RegistryURL: "https://" + registry, ingress.AlertDBURL: "https://" + data + "/alertdb"}
		for k, v := range more {
			out[k] = v
		}
		return component.Release{Outputs: out}
	}
	nowhere := func(context.Context, component.Release) (string, error) { return "", nil }
	for name, tc := range map[string]struct {
		release   component.Release
		authority []byte
		at        func(context.Context, component.Release) (string, error)
		open      bool
		seen      string
	}{
		"every host answers":            {outputs(map[string]string{ingress.Address: address}), pem, nowhere, true, ""},
		"the controller says where":     {outputs(nil), pem, func(context.Context, component.Release) (string, error) { return address, nil }, true, ""},
		"the controller says nothing":   {outputs(nil), pem, nowhere, false, "has not said where"},
		"one host does not":             {outputs(map[string]string{ingress.Address: half}), halfs, nowhere, false, data + "/alertdb/v1/health at " + half + " answers 503"},
		"Argo CD's is there and silent": {outputs(map[string]string{ingress.Address: address, ingress.ArgoCDURL: "https://argocd.example.com:31443"}), pem, nowhere, false, "answers 404"},
		"nobody listens":                {outputs(map[string]string{ingress.Address: "127.0.0.1:1"}), pem, nowhere, false, "refused"},
		"a certificate of somebody's":   {outputs(map[string]string{ingress.Address: address}), other.PEM(), nowhere, false, "certificate"},
	} {
		probe := ingress.Answers(func() ([]byte, error) { return tc.authority, nil }, tc.at)
		open, seen, err := probe(t.Context(), tc.release)
		if err != nil || open != tc.open || !strings.Contains(seen, tc.seen) {
			t.Errorf("%s: %t, %q, %v", name, open, seen, err)
		}
	}
	failed := errors.New("it cannot be read")
	if _, _, err := ingress.Answers(func() ([]byte, error) { return nil, failed }, nowhere)(t.Context(), outputs(nil)); !errors.Is(err, failed) {
		t.Error(err)
	}
	if open, _, err := ingress.Answers(func() ([]byte, error) { return []byte("no PEM"), nil }, nowhere)(t.Context(), outputs(nil)); open || err == nil {
		t.Errorf("%t, %v", open, err)
	}
}
