package packet

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// DefaultPacketBytes is the usual size of a framed packet, stamps included:
// 80 kB, the upper packet size of DMTN-183.
const DefaultPacketBytes = 80_000

// MaxAlerts is the most alerts that a synthetic visit can have: as many as its ids
// have room for.
const MaxAlerts = 1 << idIndexBits

const (
	maxPacketBytes = 64 << 20
	maxVisit       = 1 << idVisitBits
	minMjd         = 15_020 // 1900: anything less is not a modified Julian date of an observation
	maxMjd         = 200_000
)

// VisitConfig says what a synthetic visit is made of.
type VisitConfig struct {
	Schema *Schema
	Alerts int // 0 to 2^20
	// PacketBytes is the mean size of a framed packet; 0 means
	// DefaultPacketBytes. Single packets differ by the length of their history,
	// and those of solar-system objects, which have none, are smaller.
	PacketBytes int
	Seed        uint64
	Visit       int64 // visit number, 0 to 2^42-1, so that 13 digits of YYYYMMDDNNNNN fit
	// MidpointMjdTai is the mid-exposure time, MJD days TAI. The first alert
	// has exactly this; the others are up to 0.84 s later, in order, as the shutter
	// crosses the focal plane.
	MidpointMjdTai float64
}

// Visit is the alerts of one synthetic visit: one LSST field of view, one
// band. It is immutable and safe for concurrent use; an alert is made when it
// is asked for and depends on the config and its index alone.
//
// Most alerts are of a varying object with a past: prvDiaSources and
// prvDiaForcedSources are one light curve, and diaObject holds its means. One
// in sixteen is of a solar-system object. Stamps are FITS images of a point
// source on noise. Noise comes from a table read at random offsets, which is
// good enough to look at and to compress, not for statistics.
//
// Fields that are not known by their name, or by what names like it mean, have no
// value in a published schema; in any other they get one by their type alone, so
// that the author of a draft sees them.
type Visit struct {
	cfg     VisitConfig
	field   field
	now     epoch
	past    []epoch // the field's earlier visits, newest first
	stamps  stampSet
	fill    fill
	rows    rowFills
	history historyPlan
	moving  bool // the schema has a place for solar-system objects
	scenes  sync.Pool
}

// VisitError reports a config that no visit can be made of.
type VisitError struct {
	Field string // of VisitConfig
	Err   error
}

func (e *VisitError) Error() string { return fmt.Sprintf("synthetic visit: %s: %s", e.Field, e.Err) }
func (e *VisitError) Unwrap() error { return e.Err }

// PacketSizeError, inside a VisitError, reports a PacketBytes that the
// schema's required content already exceeds.
type PacketSizeError struct{ Want, Least int }

func (e *PacketSizeError) Error() string {
	return fmt.Sprintf("%d bytes, but an alert without history and stamps takes %d", e.Want, e.Least)
}

// NewVisit prepares a visit; it takes some milliseconds, whatever the number of
// alerts. Errors are *VisitError, or *SchemaError for a schema that is no
// alert.
func NewVisit(cfg VisitConfig) (*Visit, error) {
	if cfg.PacketBytes == 0 {
		cfg.PacketBytes = DefaultPacketBytes
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c, err := cfg.Schema.compiled()
	if err != nil {
		return nil, err
	}
	plan, err := planOf(c.layout, !isPublished(cfg.Schema.version))
	if err != nil {
		return nil, &SchemaError{Schema: c.layout.name, Err: err}
	}
	rng := rand.New(rand.NewPCG(mix(cfg.Seed, uint64(cfg.Visit)), streamVisit))
	v := &Visit{cfg: cfg, fill: plan.fill, rows: plan.rows, moving: plan.moving, field: newField(rng)}
	v.now = currentEpoch(rng, cfg)
	v.scenes.New = func() any { return newScene(v) }
	if err := v.fit(rng, plan.stamps); err != nil {
		return nil, err
	}
	return v, nil
}

func (cfg VisitConfig) check() error {
	switch {
	case cfg.Schema == nil:
		return &VisitError{"Schema", errors.New("there is none")}
	case cfg.Alerts < 0 || cfg.Alerts > MaxAlerts:
		return &VisitError{"Alerts", fmt.Errorf("%d is not from 0 to %d", cfg.Alerts, MaxAlerts)}
	case cfg.PacketBytes < 0 || cfg.PacketBytes > maxPacketBytes:
		return &VisitError{"PacketBytes", fmt.Errorf("%d is not from 0 to %d", cfg.PacketBytes, maxPacketBytes)}
	case cfg.Visit < 0 || cfg.Visit >= maxVisit:
		return &VisitError{"Visit", fmt.Errorf("%d is not from 0 to %d", cfg.Visit, int64(maxVisit)-1)}
	case !(cfg.MidpointMjdTai >= minMjd && cfg.MidpointMjdTai <= maxMjd):
		return &VisitError{"MidpointMjdTai", fmt.Errorf("%v is not from %d to %d", cfg.MidpointMjdTai, minMjd, maxMjd)}
	}
	return nil
}

// Len is the number of alerts.
func (v *Visit) Len() int { return v.cfg.Alerts }

// Body makes alert i, counted from 0, as one Avro datum without wire header.
// Two calls give the same bytes.
func (v *Visit) Body(i int) ([]byte, error) {
	return v.AppendBody(make([]byte, 0, v.cfg.PacketBytes+v.cfg.PacketBytes/3), i)
}

// AppendBody appends what Body returns to dst, so that a caller can put the
// wire header first or use a buffer again.
func (v *Visit) AppendBody(dst []byte, i int) ([]byte, error) {
	if i < 0 || i >= v.cfg.Alerts {
		return dst, &VisitError{"Alerts", fmt.Errorf("no alert %d among %d", i, v.cfg.Alerts)}
	}
	s := v.scenes.Get().(*scene)
	defer v.scenes.Put(s)
	s.begin(i)
	return v.fill(s, dst), nil
}

// historyPlan is how many bytes of history alerts get.
type historyPlan struct {
	mean  float64 // bytes
	start float64 // of the sequence of shares, 0 to 1
}

// budget spreads histories evenly from none to twice the mean. The shares of
// consecutive alerts follow the golden ratio rather than chance, so that the
// mean of a few alerts is close to that of many.
func (h historyPlan) budget(i int) int {
	_, share := math.Modf(h.start + float64(i)*(math.Phi-1))
	return int(2 * h.mean * share)
}

const (
	// stampShare is how much of a packet the stamps take at most. They are
	// most of it in DMTN-028 too, 90 of 136 kB.
	stampShare = 0.78
	// historyDays is how far back an alert's history reaches at most.
	historyDays = 365.0
	// usualGap is the mean time between visits to a field, in days.
	usualGap = 4.0
	// trials is how many alerts are made to learn their size.
	trials = 48
	// maxEpochs bounds the list of earlier visits.
	maxEpochs = 1 << 15
)

// fit chooses the side of the stamps and the length of histories so that the
// mean packet has the size wanted. Sizes are learned from trial alerts because
// they depend on the schema, on variable-length numbers, and on which optional
// fields are set.
func (v *Visit) fit(rng *rand.Rand, stamps int) error {
	want := float64(v.cfg.PacketBytes - HeaderSize)
	v.history = historyPlan{start: rng.Float64()}
	pastSeed := rng.Uint64()
	gap, count, side := usualGap, 0, 0
	var size trialSizes
	// Once to learn the sizes, once more with about the right history, which
	// decides how many bands a diaObject has means for.
	for range 2 {
		v.past = pastEpochs(rand.New(rand.NewPCG(pastSeed, streamVisit)), v.now, count, gap)
		size = v.try()
		if least := math.Max(size.object, size.moving); least > want {
			return &VisitError{"PacketBytes", &PacketSizeError{Want: v.cfg.PacketBytes, Least: HeaderSize + int(math.Ceil(least))}}
		}
		perStamp := 0.0
		if stamps > 0 {
			perStamp = (stampShare*want - size.object) / float64(stamps)
		}
		side = stampSide(perStamp)
		stampBytes := float64(stamps * stampField(side))
		// Objects make up for the solar-system alerts among them.
		share := v.movingShare()
		v.history.mean = math.Max(0, (want-share*(size.moving+stampBytes))/(1-share)-size.object-stampBytes)
		epochs := 2*v.history.mean/size.forced + 8
		count = int(math.Min(epochs, maxEpochs))
		gap = math.Min(usualGap, historyDays/float64(count))
	}
	v.stamps = newStampSet(rng, v, side)
	v.past = pastEpochs(rand.New(rand.NewPCG(pastSeed, streamVisit)), v.now, count, gap)
	return nil
}

// trialSizes are mean sizes in bytes.
type trialSizes struct {
	object float64 // an alert of an object without stamps and history
	moving float64 // an alert of a solar-system object without stamps
	forced float64 // what one earlier visit adds at least
}

// try must come before the visit has stamps.
func (v *Visit) try() trialSizes {
	s := newScene(v)
	var sum trialSizes
	var objects, movers, visits float64
	var buf []byte
	for i := range trials {
		s.begin(i)
		buf = v.fill(s, buf[:0])
		if s.moving {
			movers++
			sum.moving += float64(len(buf))
			continue
		}
		objects++
		sum.object += float64(len(buf) - s.historyBytes())
		sum.forced += float64(len(s.forced.bytes))
		visits += float64(len(s.forced.ends))
	}
	out := trialSizes{object: sum.object / objects, forced: 64}
	if movers > 0 {
		out.moving = sum.moving / movers
	}
	if visits > 0 {
		out.forced = math.Max(16, sum.forced/visits)
	}
	return out
}

// movingEvery is one in how many alerts is of a solar-system object.
const movingEvery, movingPhase = 16, 11

func (v *Visit) isMoving(i int) bool { return v.moving && i%movingEvery == movingPhase }

func (v *Visit) movingShare() float64 {
	if !v.moving || v.cfg.Alerts == 0 {
		return 0
	}
	n := (v.cfg.Alerts + movingEvery - 1 - movingPhase) / movingEvery
	return float64(n) / float64(v.cfg.Alerts)
}
