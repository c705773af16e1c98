// Package reservoir loads the visit that the simulator replays into its topic.
package reservoir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/content/schemas"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

type input struct {
	Bootstrap   string `json:"bootstrap"` // host:port
	User        string `json:"user"`
	Topic       string `json:"topic"`
	Schema      string `json:"schema"` // alert schema version
	Alerts      int    `json:"alerts"`
	PacketBytes int    `json:"packetBytes"` // mean size of a packet on the wire
	Seed        string `json:"seed"`        // decimal; 64 bits do not fit into a JSON number
	// File and Manifest say what a user loaded instead of a synthetic visit:
	// then all of the visit's fields are empty. As is the schema version in which
	// the file's alerts are written, empty for the file's own.
	File string `json:"file,omitempty"`
	As   string `json:"as,omitempty"`
	// Draft is that version where it is one of the lab's drafts.
	Draft    profiles.Draft `json:"draft,omitzero"`
	Manifest string         `json:"manifest,omitempty"`
}

// Synthetic visits are of one night, numbered YYYYMMDDNNNNN, at one time, MJD days
// TAI.
const (
	night          = 20261121_00000
	visitsOfNight  = 99_999
	midpointMjdTai = 61365.25
)

// visitNumber gives a visit of other content another number, and so its alerts
// other ids: what is archived under an id never changes.
func visitNumber(in input) int64 {
	h := fnv.New64a()
	fmt.Fprint(h, in.Schema, " ", in.Alerts, " ", in.PacketBytes, " ", in.Seed)
	return night + 1 + int64(h.Sum64()%visitsOfNight)
}

// Outputs of the reservoir: what was loaded, as JSON; its schema version; its
// number of alerts.
const (
	manifest  = "manifest"
	SchemaOut = "schema"
	AlertsOut = "alerts"
)

// outputs says what a manifest stands for.
func outputs(m simulator.Manifest) (map[string]string, error) {
	text, err := json.Marshal(m)
	return map[string]string{manifest: string(text), SchemaOut: packet.VersionFromID(m.SchemaID).String(), AlertsOut: strconv.FormatInt(m.Alerts, 10)}, err
}

var errNoManifest = errors.New("the reservoir has no manifest")

// Want describes a profile's reservoir: one synthetic visit.
func Want(p *profiles.Profile) plan.Want {
	s := p.Simulator
	return plan.Want{
		Title: fmt.Sprintf("load a synthetic visit of %d alerts, schema %s, into %s", s.Alerts, s.Schema, s.StaticTopic),
		Input: plan.Input(input{Bootstrap: "${kafka.bootstrap}", User: profiles.SimulatorUser, Topic: s.StaticTopic, Schema: s.Schema,
			Alerts: s.Alerts, PacketBytes: int(s.PacketSize), Seed: strconv.FormatUint(s.Seed, 10)}),
		Outputs: []string{manifest, SchemaOut, AlertsOut},
		Behind:  "kafka",
	}
}

// WantLoaded describes a reservoir that a user loaded from a file: it is kept as
// it is, and loaded again from the file where it is not what its manifest says. schema
// is the version in which the file's alerts are written, "" for the file's own; drafts
// are the lab's, of which it may be one.
func WantLoaded(p *profiles.Profile, file, schema, loaded string, drafts ...profiles.Draft) plan.Want {
	w := Want(p)
	w.Title = fmt.Sprintf("keep the visit that was loaded from %s in %s", file, p.Simulator.StaticTopic)
	in := input{Bootstrap: "${kafka.bootstrap}", User: profiles.SimulatorUser, Topic: p.Simulator.StaticTopic, File: file, As: schema, Manifest: loaded}
	for _, d := range drafts {
		if schema != "" && d.Version == schema {
			in.Draft = d
		}
	}
	w.Input = plan.Input(in)
	return w
}

// By is what Want or WantLoaded describe, loaded by another user than the simulator's:
// where that one logs in by a certificate that only the cluster has.
func By(user string, w plan.Want) plan.Want {
	var in input
	if err := json.Unmarshal(w.Input, &in); err != nil {
		panic(err) // it was written here
	}
	in.User = user
	w.Input = plan.Input(in)
	return w
}

// New makes the part. dir is the lab's directory, where its drafts lie.
func New(s *secrets.Store, dir string) plan.Part {
	p := &part{secrets: s, dir: dir}
	return content.Part[input]{Look: p.look, Make: p.apply}
}

type part struct {
	secrets *secrets.Store
	dir     string
}

// look sees whether the reservoir is what its manifest says.
func (p *part) look(ctx context.Context, in input, look plan.Look) (plan.Observation, error) {
	had := look.Outputs
	var wanted input
	if err := json.Unmarshal(look.Want.Input, &wanted); err == nil && wanted.Manifest != "" && !same(look.Last, wanted) {
		had = map[string]string{manifest: wanted.Manifest} // loaded since the last step
	}
	m, err := p.verify(ctx, in, had)
	switch {
	case differs(err):
		return plan.Observation{State: plan.Present, Why: "something is there", Drift: err.Error()}, nil
	case err != nil:
		return plan.Observation{}, err
	}
	return plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d alerts are in %s", m.Alerts, m.Topic)}, nil
}

// differs says whether verify saw that the reservoir is another one. Any other
// error says that it could not look, and loading then would replace what may
// well be whole.
func differs(err error) bool {
	var m *simulator.ManifestError
	return errors.As(err, &m) || errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, errNoManifest)
}

// verify checks that the reservoir is what its manifest says.
func (p *part) verify(ctx context.Context, in input, had map[string]string) (simulator.Manifest, error) {
	var m simulator.Manifest
	if err := json.Unmarshal([]byte(had[manifest]), &m); err != nil {
		return m, fmt.Errorf("%w: %w", errNoManifest, err)
	}
	login, err := p.secrets.Login(in.Bootstrap, in.User)
	if err != nil {
		return m, err
	}
	client, err := kafka.NewClient(login, kgo.RetryTimeout(5*time.Second))
	if err != nil {
		return m, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return m, simulator.Verify(ctx, client, m)
}

// apply loads what is wanted. Loading replaces what was there, and is left out
// where what is there is verified to be what is wanted.
func (p *part) apply(ctx context.Context, in input, order plan.Order) (map[string]string, error) {
	had := order.Last
	// What a user loaded counts until a step had to load it again, to other offsets.
	if in.Manifest != "" && !same(order.LastInput, in) {
		had = map[string]string{manifest: in.Manifest}
	}
	if in.Manifest != "" || same(order.LastInput, in) {
		if m, err := p.verify(ctx, in, had); err == nil {
			return outputs(m)
		} else if !differs(err) {
			return nil, err
		}
	}
	load, closer, err := p.source(in)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	if load.Login, err = p.secrets.Login(in.Bootstrap, in.User); err != nil {
		return nil, err
	}
	load.Topic, load.Replace = in.Topic, true
	load.Progress = func(done, total, _ int64) { order.Progress(done, total, "alerts") }
	m, err := simulator.Create(ctx, load)
	if err != nil {
		return nil, err
	}
	return outputs(m)
}

// source gives what is to be loaded: the file, or a synthetic visit. The closer
// ends it.
func (p *part) source(in input) (simulator.CreateConfig, io.Closer, error) {
	var load simulator.CreateConfig
	if in.File != "" {
		f, err := os.Open(in.File)
		if err != nil {
			return load, nil, fmt.Errorf("the reservoir is not what was loaded from %s, and the file cannot be read again: %w", in.File, err)
		}
		r, err := packet.NewContainerReader(f)
		if err != nil {
			f.Close()
			return load, nil, fmt.Errorf("%s: %w", in.File, err)
		}
		load.Source, load.Schema = simulator.Container(r), r.Schema()
		if in.As != "" {
			if load, err = p.writtenAs(load, in); err != nil {
				f.Close()
				return load, nil, fmt.Errorf("%s: %w", in.File, err)
			}
		}
		return load, f, nil
	}
	version, err := packet.ParseVersion(in.Schema)
	if err != nil {
		return load, nil, err
	}
	if load.Schema, err = packet.Published(version); err != nil {
		return load, nil, err
	}
	seed, err := strconv.ParseUint(in.Seed, 10, 64)
	if err != nil {
		return load, nil, err
	}
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: load.Schema, Alerts: in.Alerts, PacketBytes: in.PacketBytes,
		Seed: seed, Visit: visitNumber(in), MidpointMjdTai: midpointMjdTai})
	load.Source, load.Total = simulator.Visit(visit, 4*runtime.NumCPU()), int64(in.Alerts)
	return load, io.NopCloser(nil), err
}

// writtenAs has the alerts written anew in another schema version.
func (p *part) writtenAs(load simulator.CreateConfig, in input) (simulator.CreateConfig, error) {
	schema, err := p.schema(in)
	if err != nil {
		return load, err
	}
	converter, err := packet.NewConverter(load.Schema, schema)
	if err != nil {
		return load, err
	}
	load.Source, load.Schema = simulator.Converted(load.Source, converter), schema
	return load, nil
}

// schema gives the version that alerts are written in: a draft, or a published one.
func (p *part) schema(in input) (*packet.Schema, error) {
	if in.Draft.Version != "" {
		return schemas.Unreleased(p.dir, in.Draft)
	}
	version, err := packet.ParseVersion(in.As)
	if err != nil {
		return nil, err
	}
	return packet.Published(version)
}

// same says whether the last load was of the same visit; where it was loaded to
// is verified, not compared, since addresses may change.
func same(last json.RawMessage, in input) bool {
	var was input
	if json.Unmarshal(last, &was) != nil {
		return false
	}
	was.Bootstrap = in.Bootstrap
	return was == in
}
