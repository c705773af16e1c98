package e2e

import (
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/authority"
	"github.com/alertlab/alertlab/component/certmanager"
	ingresses "github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/smoke"
)

// hosts asserts that the hosts of the full stack's ingress have certificates of the lab's
// issuer, and answer under them as smoke asks: with Argo CD as it runs here, and with a
// server of this test in the place of registry and alert database, which sees the paths
// that they would see.
func (s *stack) hosts() {
	// It has no encrypted listener, so that the ingress alone needs an issuer.
	p, err := profiles.Load("usdfdev")
	s.must(err)
	if certmanager.Wanted(p) {
		s.Fatalf("%s has certificates of its listener", p.Name)
	}
	lab := component.Lab{Name: "e2e", Operators: true, ArgoCD: true}
	part := authority.New(filepath.Join(s.TempDir(), "tls"), func() (component.SecretsAPI, error) { return s.kube, nil })
	own, err := part.Apply(s.ctx, plan.Order{Action: plan.Create, Input: authority.Want(p, lab, "").Input})
	s.must(err)

	server := s.standIn()
	s.apply("backends.yaml", map[string]any{"Namespace": component.Namespace, "Address": server.Addr().String(), "Port": server.Port(),
		"Services": map[string]int{"alert-schema-registry-front": 8080, "alert-stream-broker-alert-database": 3000}})
	begun := time.Now()
	s.brings(certmanager.WantIssuer(p, lab), certmanager.Watched())
	want := ingresses.Want(p, lab)
	want.Gates = want.Gates[:1] // the other asks a port of the nodes; smoke asks for the hosts below
	s.brings(want, ingresses.Watched())
	s.Logf("the issuer is ready and the certificates are issued after %.1f s", time.Since(begun).Seconds())

	r, err := component.Read(want.Input)
	s.must(err)
	card := endpoints.Endpoints{Ingress: endpoints.Ingress{
		Address: net.JoinHostPort(s.serviceAddress("traefik", "traefik").String(), "443"), CA: own["ca"],
		RegistryURL: r.Outputs[ingresses.RegistryURL], AlertDBURL: r.Outputs[ingresses.AlertDBURL], ArgoCDURL: r.Outputs[ingresses.ArgoCDURL]}}
	env, err := smoke.NewEnv(card, endpoints.Credentials{}, 1)
	s.must(err)
	for _, check := range smoke.All() {
		if check.Name != "ingress-hosts" {
			continue
		}
		s.eventually(time.Minute, "every host of the ingress over TLS", func() error {
			seen, err := check.Run(s.ctx, env)
			if err == nil {
				s.Logf("%s: %s", check.Sentence, seen)
			}
			return err
		})
		// Nobody else's authority will do.
		other, err := authority.Open(filepath.Join(s.TempDir(), "other"), p, lab, "")
		s.must(err)
		card.Ingress.CA = string(other.PEM())
		env, err := smoke.NewEnv(card, endpoints.Credentials{}, 1)
		s.must(err)
		if _, err := check.Run(s.ctx, env); err == nil || !strings.Contains(err.Error(), "signed by unknown authority") {
			s.Errorf("under another authority: %v", err)
		}
		return
	}
	s.Fatal("smoke asks for no host of an ingress")
}

// brings applies a release of ours and waits until its gates are open.
func (s *stack) brings(want plan.Want, watched map[string]component.Objects) {
	s.Helper()
	part := &helm.Part{}
	part.Open = func() (helm.Target, error) { return helm.Cluster{Client: s.kube}, nil }
	part.Watched = watched
	_, err := part.Apply(s.ctx, plan.Order{Action: plan.Create, Input: want.Input})
	s.must(err)
	for _, gate := range want.Gates {
		var last string
		if err := part.Wait(s.ctx, gate, plan.Order{Input: want.Input}, func(seen string) { last = seen }); err != nil {
			s.Fatalf("%s: %v; %s", gate.What, err, last)
		}
	}
}

// standIn serves what the hosts are asked for, at this machine's address in the network of
// the nodes.
func (s *stack) standIn() netip.AddrPort {
	s.Helper()
	gateway, err := s.cluster.Nodes[0].Exec(s.ctx, nil, "bash", "-c", "ip -4 route show default | cut -d' ' -f3")
	s.must(err)
	listener, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", net.JoinHostPort(strings.TrimSpace(string(gateway)), "0"))
	s.must(err)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		// The alert database is asked for what stands behind its path.
		if asked := host + r.URL.Path; asked != "alert-schemas.e2e.alertlab.test/subjects" && asked != "data.e2e.alertlab.test/v1/health" {
			http.Error(w, strconv.Quote(asked), http.StatusNotFound)
		}
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	s.Cleanup(func() {
		server.Close()
		<-done
	})
	address, err := netip.ParseAddrPort(listener.Addr().String())
	s.must(err)
	return address
}
