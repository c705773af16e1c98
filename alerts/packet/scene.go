package packet

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// scene is one alert in the making: what is being measured now, and what has
// been measured so far. Fillers read it field by field. It is used again for
// other alerts, which begin resets.
type scene struct {
	v      *Visit
	pcg    rand.PCG
	rng    *rand.Rand
	index  int
	spot   spot
	moving bool // of a solar-system object
	object object
	orbit  orbit
	m      measurement
	stats  [len(bands)]bandStats
	count  int // of diaSources, this one included
	first  float64

	sources, forced, limits rows
}

func newScene(v *Visit) *scene {
	s := &scene{v: v}
	s.rng = rand.New(&s.pcg)
	return s
}

// measurement is one epoch of the object.
type measurement struct {
	epoch
	current  bool
	id       int64   // of the source or forced source being written
	sourceID int64   // of the diaSource
	detector int     //
	x, y     float64 // pixels
	ra, dec  float64 // degrees
	posErr   float64 // degrees
	diff     float64 // flux in the difference image, nJy
	template float64 // flux in the template, nJy
	dipole   bool
	bits     uint64 // luck of the flags
}

func (m *measurement) snr() float64 { return math.Abs(m.diff) / m.sigma }

const detectionSnr = 5

// begin sets up alert i up to its own source and its history.
func (s *scene) begin(i int) {
	v := s.v
	s.pcg.Seed(mix(v.cfg.Seed, uint64(v.cfg.Visit)), uint64(i))
	s.index = i
	s.moving = v.isMoving(i)
	s.stats = [len(bands)]bandStats{}
	s.count, s.first = 0, v.cfg.MidpointMjdTai
	s.sources.reset()
	s.forced.reset()
	s.limits.reset()

	if i == 0 {
		s.spot = v.field.firstColumn(s.rng)
	} else {
		// Alerts come in the order in which the shutter passes their
		// detectors, as a stream of them would.
		s.spot = v.field.place(s.rng, (float64(s.index)+s.rng.Float64())/float64(v.cfg.Alerts))
	}
	s.object = newObject(s.rng, v.now)
	s.measure(v.now, true)
	if s.moving {
		s.orbit = newOrbit(s.rng, s.spot, s.m.mjd, s.m.diff)
		return
	}
	current := s.m
	s.detected()
	s.look(v.history.budget(i))
	s.m = current
}

// measure takes the object's flux at an epoch.
func (s *scene) measure(e epoch, current bool) {
	s.m = measurement{epoch: e, current: current, bits: s.rng.Uint64(), dipole: s.rng.Uint32()%32 == 0}
	m := &s.m
	m.diff = s.object.flux(e.band, e.mjd) + e.sigma*s.rng.NormFloat64()
	m.template = math.Abs(s.object.quiet[e.band] + 0.3*e.sigma*s.rng.NormFloat64())
	if s.moving {
		m.template = 0.3 * e.sigma * s.rng.NormFloat64()
		m.diff = math.Abs(m.diff)
	}
	if current {
		// There is an alert because this one was detected.
		if m.snr() < detectionSnr {
			m.diff = math.Copysign(1.01*detectionSnr*e.sigma, m.diff)
		}
		m.sourceID = sourceID(s.v.cfg, s.index)
		m.detector, m.x, m.y = s.spot.detector, s.spot.x, s.spot.y
		m.mjd += shutterSeconds * float64(s.spot.column) / secondsPerDay
	} else {
		m.sourceID = int64(s.rng.Uint64() & idHashMask)
		m.detector = s.rng.IntN(rafts*rafts*raftSide*raftSide - 4*raftSide*raftSide)
		m.x, m.y = chipWidth*s.rng.Float64(), chipHeight*s.rng.Float64()
	}
	m.posErr = e.seeing / 3600 / math.Max(m.snr(), 1)
	m.ra = wrapDegrees(s.spot.ra + m.posErr*s.rng.NormFloat64()/math.Cos(radians(s.spot.dec)))
	m.dec = s.spot.dec + m.posErr*s.rng.NormFloat64()
	if current {
		// The stamps' WCS points here.
		m.ra, m.dec = s.spot.ra, s.spot.dec
	}
}

// look goes back through the field's earlier visits until budget bytes are
// full: each gives a forced measurement, and a diaSource where the flux is
// significant, else (in the schemas that have it) a limit. The last visit is
// taken when more than half of it fits, so that the mean is the budget.
func (s *scene) look(budget int) {
	h := s.v.history
	if h.mean == 0 && budget == 0 {
		return
	}
	for k := range s.v.past {
		before := [...]mark{s.sources.mark(), s.forced.mark(), s.limits.mark()}
		had := s.historyBytes()
		s.measure(s.v.past[k], false)
		found := s.m.snr() >= detectionSnr
		s.m.id = int64(s.rng.Uint64() & idHashMask)
		s.forced.add(s, s.v.rows.forced)
		if found {
			s.m.id = s.m.sourceID
			s.sources.add(s, s.v.rows.source)
		} else {
			s.limits.add(s, s.v.rows.limit)
		}
		has := s.historyBytes()
		if has-budget > budget-had {
			s.sources.cut(before[0])
			s.forced.cut(before[1])
			s.limits.cut(before[2])
			return
		}
		s.stats[s.m.band].addForced(&s.m)
		if found {
			s.detected()
		}
	}
}

// detected counts the measurement as a diaSource of the object.
func (s *scene) detected() {
	s.stats[s.m.band].addSource(&s.m)
	s.count++
	s.first = math.Min(s.first, s.m.mjd)
}

func (s *scene) historyBytes() int {
	return len(s.sources.bytes) + len(s.forced.bytes) + len(s.limits.bytes)
}

// rows are encoded records of one array, newest first.
type rows struct {
	bytes []byte
	ends  []int
}

type mark struct{ bytes, rows int }

func (r *rows) reset()     { r.bytes, r.ends = r.bytes[:0], r.ends[:0] }
func (r *rows) mark() mark { return mark{len(r.bytes), len(r.ends)} }
func (r *rows) cut(m mark) { r.bytes, r.ends = r.bytes[:m.bytes], r.ends[:m.rows] }

// add encodes a row; a nil filler is an array that the schema does not have.
func (r *rows) add(s *scene, f fill) {
	if f == nil {
		return
	}
	r.bytes = f(s, r.bytes)
	r.ends = append(r.ends, len(r.bytes))
}

// append writes the array, oldest first, in one block.
func (r *rows) append(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(len(r.ends)))
	for k := len(r.ends) - 1; k >= 0; k-- {
		start := 0
		if k > 0 {
			start = r.ends[k-1]
		}
		dst = append(dst, r.bytes[start:r.ends[k]]...)
	}
	if len(r.ends) > 0 {
		dst = append(dst, 0)
	}
	return dst
}

// object is what is really there: a steady flux in the template and a change
// on top of it.
type object struct {
	quiet  [len(bands)]float64 // nJy
	change [len(bands)]float64 // nJy, at shape 1
	// A sinusoid of period days, or a transient that peaked at peak.
	periodic     bool
	period, peak float64
}

// colour is the usual magnitude relative to r.
var colour = [len(bands)]float64{1.8, 0.6, 0, -0.2, -0.3, -0.35}

func newObject(rng *rand.Rand, now epoch) object {
	o := object{periodic: rng.Float64() < 0.7}
	if o.periodic {
		o.period = math.Exp(rng.Float64()*7 - 1) // 0.4 to 400 days
		// Far enough from the zero crossings to be seen today.
		phase := 0.25 + 0.15*(2*rng.Float64()-1)
		if rng.Uint32()%2 == 0 {
			phase += 0.5
		}
		o.peak = now.mjd - phase*o.period
	} else {
		o.peak = now.mjd + 8 - 48*rng.Float64()
	}
	mag := 17 + 7*math.Sqrt(rng.Float64())
	red := 1 + 0.3*rng.NormFloat64()
	// Numbers of sources fall with their significance as a power law.
	snr := math.Min(400, 1.2*detectionSnr*math.Pow(1-rng.Float64(), -0.6))
	scale := snr * now.sigma / math.Abs(o.shape(now.mjd))
	for b := range bands {
		o.quiet[b] = nanojansky(mag + red*colour[b])
		o.change[b] = scale * math.Pow(10, -red*(colour[b]-colour[now.band])/2.5)
		if o.periodic {
			// A star does not get darker than dark.
			o.quiet[b] = math.Max(o.quiet[b], 1.2*o.change[b])
		}
	}
	return o
}

func (o *object) shape(mjd float64) float64 {
	d := mjd - o.peak
	switch {
	case o.periodic:
		return math.Sin(2 * math.Pi * d / o.period)
	case d < 0:
		return math.Exp(-d * d / (2 * 8 * 8))
	default:
		return math.Exp(-d / 35)
	}
}

func (o *object) flux(band int, mjd float64) float64 { return o.change[band] * o.shape(mjd) }

// bandStats are an object's sums in one band.
type bandStats struct {
	source, forced, science weighted
	errs                    float64
	least, most, slope      float64
	lastMjd, lastFlux       float64
}

// weighted is a mean weighted by inverse variance.
type weighted struct {
	n                          int
	weight, sum, plain, plain2 float64
	chi                        float64
}

func (w *weighted) add(x, sigma float64) {
	inv := 1 / (sigma * sigma)
	w.n++
	w.weight += inv
	w.sum += inv * x
	w.chi += inv * x * x
	w.plain += x
	w.plain2 += x * x
}

func (w *weighted) mean() float64 {
	if w.n == 0 {
		return math.NaN()
	}
	return w.sum / w.weight
}

func (w *weighted) meanErr() float64 {
	if w.n == 0 {
		return math.NaN()
	}
	return 1 / math.Sqrt(w.weight)
}

// sigma is the scatter of single values.
func (w *weighted) sigma() float64 {
	if w.n < 2 {
		return math.NaN()
	}
	n := float64(w.n)
	return math.Sqrt(math.Max(0, (w.plain2-w.plain*w.plain/n)/(n-1)))
}

func (w *weighted) chi2() float64 {
	if w.n < 2 {
		return math.NaN()
	}
	return math.Max(0, w.chi-w.sum*w.sum/w.weight)
}

// addSource takes sources from newest to oldest.
func (b *bandStats) addSource(m *measurement) {
	if b.source.n == 0 {
		b.least, b.most = m.diff, m.diff
	} else if dt := b.lastMjd - m.mjd; dt > 0 {
		b.slope = math.Max(b.slope, math.Abs((b.lastFlux-m.diff)/dt))
	}
	b.least, b.most = math.Min(b.least, m.diff), math.Max(b.most, m.diff)
	b.lastMjd, b.lastFlux = m.mjd, m.diff
	b.source.add(m.diff, m.sigma)
	b.science.add(m.diff+m.template, m.sigma)
	b.errs += m.sigma
}

func (b *bandStats) addForced(m *measurement) { b.forced.add(m.diff, m.sigma) }

// has is x, or nothing where there are fewer than n sources in the band.
func (b *bandStats) has(n int, x float64) float64 {
	if b.source.n < n {
		return math.NaN()
	}
	return x
}
