package smoke

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/packet"
)

func alertDecodes() Check {
	return Check{
		Name:     "alert-decodes",
		Sentence: "an alert decodes with the schema its header names",
		Needs:    []Need{NeedBrokers(), NeedRegistry(), NeedSimulator(), needStreamReader()},
		Wait:     (*Env).interval,
		Run:      runAlertDecodes,
	}
}

// needStreamReader is met when somebody whose password is known may read the
// simulator's topic.
func needStreamReader() Need {
	return Need{Name: "stream-reader", Missing: func(e *Env) string {
		if e.streamReader() == "" {
			return "the credentials hold no password of a user who may read " + e.Endpoints.Simulator.Topic
		}
		return ""
	}}
}

func runAlertDecodes(ctx context.Context, e *Env) (Evidence, error) {
	topic := e.Endpoints.Simulator.Topic
	cl, err := newClient(e.login(e.streamReader()))
	if err != nil {
		return "", err
	}
	defer cl.Close()
	rec, err := newTopicLog(cl, topic).waitLast(ctx, e, e.random("alert-decodes"))
	if err != nil {
		return "", err
	}
	where := fmt.Sprintf("%s partition %d offset %d", topic, rec.Partition, rec.Offset)
	id, body, err := packet.Unframe(rec.Value)
	if err != nil {
		return "", &Failure{
			Expected: "an alert in Confluent wire format at " + where, Seen: err.Error(), Err: err, Next: "alertlab logs simulator",
		}
	}
	schema, err := e.schemaByID(ctx, id)
	if err != nil {
		return "", &Failure{
			Expected: fmt.Sprintf("the registry to have schema %d, which the header at %s names", id, where),
			Seen:     err.Error(), Err: err, Next: "alertlab up",
		}
	}
	alert, err := schema.Decode(body)
	if err != nil {
		return "", &Failure{
			Expected: fmt.Sprintf("the alert at %s to decode with schema %d", where, id),
			Seen:     err.Error(), Err: err, Next: "alertlab logs simulator",
		}
	}
	head, err := schema.Head(body)
	if err != nil {
		return "", err
	}
	fluxes, problems := fluxesOf(alert)
	stamps, bad := cutoutsOf(alert)
	problems = append(problems, bad...)
	if head.ID <= 0 {
		problems = append(problems, fmt.Sprintf("its id is %d", head.ID))
	}
	if len(problems) > 0 {
		return "", &Failure{
			Expected: "an alert with an id, fluxes, and cutouts, where it has any, that begin with a FITS header",
			Seen:     fmt.Sprintf("alert %d at %s: %s", head.ID, where, strings.Join(problems, "; ")), Next: "alertlab logs simulator",
		}
	}
	return evidence("alert %d, schema %d, %d bytes, %d fluxes, FITS cutouts %s",
		head.ID, id, len(rec.Value), fluxes, strings.Join(stamps, " ")), nil
}

// fluxesOf counts the fluxes of an alert's own detection, which every
// detection has some of. They are called something-Flux in every schema.
func fluxesOf(alert packet.Alert) (n int, problems []string) {
	source, ok := alert["diaSource"].(map[string]any)
	if !ok {
		return 0, []string{"it has no diaSource"}
	}
	for name, value := range source {
		flux, ok := value.(float32)
		if !ok || !strings.HasSuffix(name, "Flux") {
			continue
		}
		if v := float64(flux); math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		n++
	}
	if n == 0 {
		problems = append(problems, "its diaSource has no flux")
	}
	return n, problems
}

// cutoutsOf lists the image stamps with their sizes, or says "none". Schemas have
// two or three of them, each of which may be null, as all are in the observatory's
// published samples.
func cutoutsOf(alert packet.Alert) (stamps, problems []string) {
	var names []string
	for name := range alert {
		if strings.HasPrefix(name, "cutout") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		stamp, ok := alert[name].([]byte)
		if !ok {
			continue
		}
		// The first card of a FITS file is "SIMPLE  = T" (FITS standard 4.0, 4.4.1.1).
		if !bytes.HasPrefix(stamp, []byte("SIMPLE  =")) {
			problems = append(problems, fmt.Sprintf("%s begins with %q", name, stamp[:min(len(stamp), 9)]))
			continue
		}
		stamps = append(stamps, fmt.Sprintf("%s (%d bytes)", strings.TrimPrefix(name, "cutout"), len(stamp)))
	}
	if len(stamps) == 0 {
		stamps = []string{"none"}
	}
	return stamps, problems
}
