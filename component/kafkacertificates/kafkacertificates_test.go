package kafkacertificates_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/kafkacertificates"
	"github.com/alertlab/alertlab/content/users"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

// fakeCluster keeps what it is given, by name.
type fakeCluster struct {
	secrets map[string]kube.Secret
	fails   error
}

func (f *fakeCluster) ApplySecrets(_ context.Context, secrets []kube.Secret) error {
	for _, s := range secrets {
		f.secrets[s.Name] = s
	}
	return f.fails
}

func (f *fakeCluster) DeleteSecrets(_ context.Context, secrets []kube.Secret) error {
	for _, s := range secrets {
		delete(f.secrets, s.Name)
	}
	return f.fails
}

func (f *fakeCluster) Look(_ context.Context, objects []kube.Expected) (string, error) {
	for _, o := range objects {
		if _, ok := f.secrets[o.Ref.Name]; !ok {
			return o.Ref.Name + " is not there", f.fails
		}
	}
	return "", f.fails
}

func store(p *profiles.Profile) *secrets.Store {
	s := &secrets.Store{}
	passwords := map[string]string{}
	for _, name := range users.Names(p) {
		passwords[name] = "password-of-" + name
	}
	s.Set(endpoints.Credentials{Kafka: passwords})
	return s
}

// meet is a handshake in which a broker and a client show each other what the Secrets
// give them; it tells whom the broker saw.
func meet(t *testing.T, broker, client *tls.Config) (string, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	type met struct {
		who string
		err error
	}
	over := make(chan met, 1)
	go func() {
		far, err := listener.Accept()
		if err != nil {
			over <- met{err: err}
			return
		}
		defer far.Close()
		server := tls.Server(far, broker)
		if err := server.HandshakeContext(t.Context()); err != nil {
			over <- met{err: err}
			return
		}
		over <- met{who: server.ConnectionState().PeerCertificates[0].Subject.String()}
	}()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	if err := tls.Client(near, client).HandshakeContext(t.Context()); err != nil {
		near.Close()
		<-over
		return "", err
	}
	one := <-over
	return one.who, one.err
}

func pool(t *testing.T, pem []byte) *x509.CertPool {
	t.Helper()
	out := x509.NewCertPool()
	if !out.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %q", pem)
	}
	return out
}

func pair(t *testing.T, cert, key []byte) []tls.Certificate {
	t.Helper()
	out, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{out}
}

func TestBrokersAndUsersKnowEachOther(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("usdfdev")
	if err != nil {
		t.Fatal(err)
	}
	cluster := &fakeCluster{secrets: map[string]kube.Secret{}}
	part := kafkacertificates.New(t.TempDir(), store(p), func() (component.SecretsAPI, error) { return cluster, nil })
	w := kafkacertificates.Want(p, component.Lab{Name: "mine"})
	if strings.Contains(string(w.Input), "password-of-") {
		t.Error("the input has a password")
	}
	out, err := part.Apply(t.Context(), plan.Order{Input: w.Input})
	if err != nil {
		t.Fatal(err)
	}
	if len(cluster.secrets) != 3+len(users.Names(p)) {
		t.Errorf("there are %d Secrets", len(cluster.secrets))
	}
	const user = profiles.IngesterUser
	theirs := cluster.secrets[user].Data
	if string(theirs["password"]) != "password-of-"+user || !strings.Contains(string(theirs["sasl.jaas.config"]), `username="`+user+`" password="password-of-`+user+`";`) {
		t.Errorf("the user's Secret has the password %q and %q", theirs["password"], theirs["sasl.jaas.config"])
	}
	brokers := cluster.secrets["alert-broker-kafka-brokers"].Data
	for _, pod := range []string{"alert-broker-kafka-6", "alert-broker-kafka-11"} {
		broker := &tls.Config{Certificates: pair(t, brokers[pod+".crt"], brokers[pod+".key"]), ClientAuth: tls.RequireAndVerifyClientCert,
			ClientCAs: pool(t, cluster.secrets["alert-broker-clients-ca-cert"].Data["ca.crt"])}
		client := &tls.Config{RootCAs: pool(t, cluster.secrets["alert-broker-cluster-ca-cert"].Data["ca.crt"]), Certificates: pair(t, theirs["user.crt"], theirs["user.key"])}
		for _, host := range []string{"alert-broker-kafka-bootstrap", "alert-broker-kafka-bootstrap.alert-stream-broker.svc", pod + ".alert-broker-kafka-brokers.alert-stream-broker.svc"} {
			client.ServerName = host
			// The whole name is what Kafka's mapping rule sees.
			if who, err := meet(t, broker, client); err != nil || who != "CN="+user {
				t.Errorf("%s at %s: %q, %v", pod, host, who, err)
			}
		}
		client.ServerName = "elsewhere.example.org"
		if _, err := meet(t, broker, client); err == nil {
			t.Errorf("%s is known by a name that is not its", pod)
		}
		// A broker's certificate logs nobody in: it is the other authority's.
		client.ServerName, client.Certificates = "alert-broker-kafka-bootstrap", broker.Certificates
		if _, err := meet(t, broker, client); err == nil {
			t.Errorf("%s let itself in as a user", pod)
		}
	}

	look := plan.Look{Want: w, Last: w.Input, Outputs: out}
	if o, err := part.Observe(t.Context(), look); err != nil || o.State != plan.Present || o.Drift != "" {
		t.Errorf("%+v, %v", o, err)
	}
	before := cluster.secrets[user].Data
	again, err := part.Apply(t.Context(), plan.Order{Input: w.Input})
	if err != nil || again["issued"] != out["issued"] || string(cluster.secrets[user].Data["user.key"]) != string(before["user.key"]) {
		t.Errorf("certificates are made anew each time: %v", err)
	}

	// A user that there is no more keeps no Secret.
	fewer := *p
	fewer.Kafka.Readers = slices.Clone(p.Kafka.Readers[1:])
	gone := p.Kafka.Readers[0].Name
	if _, err := part.Apply(t.Context(), plan.Order{Input: kafkacertificates.Want(&fewer, component.Lab{Name: "mine"}).Input, LastInput: w.Input}); err != nil {
		t.Fatal(err)
	}
	if _, ok := cluster.secrets[gone]; ok || len(cluster.secrets) != 3+len(users.Names(&fewer)) {
		t.Errorf("after %s was removed there are %d Secrets", gone, len(cluster.secrets))
	}
	delete(cluster.secrets, user)
	if o, err := part.Observe(t.Context(), look); err != nil || !strings.Contains(o.Drift, user+" is not there") {
		t.Errorf("%+v, %v", o, err)
	}
	cluster.fails = errors.New("it does not answer")
	if _, err := part.Apply(t.Context(), plan.Order{Input: w.Input}); !errors.Is(err, cluster.fails) {
		t.Errorf("%v", err)
	}
}

// Where the external listener has a certificate of the lab's authority, who mounts the
// Secret of what to trust can go there too.
func TestExternalAuthorityIsTrustedToo(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("idfint")
	if err != nil {
		t.Fatal(err)
	}
	w := kafkacertificates.Want(p, component.Lab{Name: "mine"})
	var in map[string]any
	if err := json.Unmarshal(w.Input, &in); err != nil {
		t.Fatal(err)
	}
	if in["external"] != "${authority.ca}" {
		t.Errorf("the input is %s", w.Input)
	}
	in["external"] = "-----BEGIN CERTIFICATE-----\nexternal\n"
	cluster := &fakeCluster{secrets: map[string]kube.Secret{}}
	part := kafkacertificates.New(t.TempDir(), store(p), func() (component.SecretsAPI, error) { return cluster, nil })
	if _, err := part.Apply(t.Context(), plan.Order{Input: plan.Input(in)}); err != nil {
		t.Fatal(err)
	}
	if ca := string(cluster.secrets["alert-broker-cluster-ca-cert"].Data["ca.crt"]); strings.Count(ca, "BEGIN") != 2 || !strings.HasSuffix(ca, "external\n") {
		t.Errorf("ca.crt is %q", ca)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("local")
	if err != nil {
		t.Fatal(err)
	}
	if err := kafkacertificates.Fit(p); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"Antares", "antares_2", "-a", "alert-broker-kafka-brokers", strings.Repeat("a", 254)} {
		with := *p
		with.Kafka.Readers = append(slices.Clone(p.Kafka.Readers), profiles.Reader{Name: name})
		if err := kafkacertificates.Fit(&with); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
