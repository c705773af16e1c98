package simulator

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/packet"
)

// Manifest is what a whole load left in the reservoir.
type Manifest struct {
	Topic       string `json:"topic"`
	StartOffset int64  `json:"startOffset"` // of the first alert
	EndOffset   int64  `json:"endOffset"`   // one after the last alert
	Alerts      int64  `json:"alerts"`
	Bytes       int64  `json:"bytes"`    // of all values, wire headers included
	SHA256      string `json:"sha256"`   // hexadecimal, of all values one after another
	SchemaID    int    `json:"schemaId"` // in every wire header
}

// VerifyOption makes Verify look closer.
type VerifyOption func(*verification)

type verification struct{ deep bool }

// Deep reads every record again and compares number, bytes, schema id and
// digest. It takes as long as reading the reservoir.
func Deep() VerifyOption { return func(v *verification) { v.deep = true } }

// Verify tells whether the reservoir holds exactly the load of the manifest.
// Without options it asks for offsets only, which finds a load that was cut
// short, replaced or added to. The client is used for requests; Deep makes
// one of its own with the same options, so the client must not be one that
// consumes.
//
// Errors: *ManifestError, *TopicError, the context's.
func Verify(ctx context.Context, client *kgo.Client, m Manifest, opts ...VerifyOption) error {
	var v verification
	for _, o := range opts {
		o(&v)
	}
	now, err := observe(ctx, kadm.NewClient(client), m.Topic)
	if err != nil {
		return err
	}
	want := content{bounds: []bound{{0, m.StartOffset, m.EndOffset}}}
	if got := now.String(); got != want.String() {
		return &ManifestError{m.Topic, "offsets", want.String(), got}
	}
	if !v.deep {
		return nil
	}
	return verifyDeep(ctx, client, now, m)
}

func verifyDeep(ctx context.Context, client *kgo.Client, now content, m Manifest) error {
	reading := startPass(ctx, fetchBytes, topicReader{m.Topic, now, client.Opts()}.read)
	defer reading.discard()
	digest := sha256.New()
	var alerts, bytes int64
	for {
		r, err := reading.next(ctx)
		if err != nil {
			return err
		}
		if r == nil {
			break
		}
		id, _, err := packet.Unframe(r.Value)
		if err != nil {
			return &ManifestError{m.Topic, "schema id", strconv.Itoa(m.SchemaID), fmt.Sprintf("unreadable at offset %d (%v)", r.Offset, err)}
		}
		if int64(id) != int64(m.SchemaID) {
			return &ManifestError{m.Topic, "schema id", strconv.Itoa(m.SchemaID), fmt.Sprintf("%d at offset %d", id, r.Offset)}
		}
		digest.Write(r.Value)
		alerts++
		bytes += int64(len(r.Value))
		reading.release(r)
	}
	for _, c := range []struct{ field, want, got string }{
		{"alerts", strconv.FormatInt(m.Alerts, 10), strconv.FormatInt(alerts, 10)},
		{"bytes", strconv.FormatInt(m.Bytes, 10), strconv.FormatInt(bytes, 10)},
		{"sha256", m.SHA256, fmt.Sprintf("%x", digest.Sum(nil))},
	} {
		if c.got != c.want {
			return &ManifestError{m.Topic, c.field, c.want, c.got}
		}
	}
	return nil
}
