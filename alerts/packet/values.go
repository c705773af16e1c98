package packet

import (
	"math"
	"strings"
)

// values gives the fields of one kind of record their values, by their names
// as they are in the latest schema. NaN, none and "" mean that there is no
// value.
type values struct {
	numbers map[string]func(*scene) float64
	perBand map[string]func(*bandStats) float64 // names without their band
	ids     map[string]func(*scene) int64
	flags   map[string]func(*scene) bool
	texts   map[string]func(*scene) string
	guess   bool // what is not known gets a value by its type
	within  bool // this is inside of such a value
}

// renamed takes names of older schemas to those of later ones. Order matters:
// a replacer tries its pairs in turn at each place.
var renamed = strings.NewReplacer(
	"midPointTai", "midpointMjdTai", "radecTai", "radecMjdTai", "filterName", "band",
	"is_negative", "isNegative", "totFlux", "scienceFlux", "diffFlux", "psfFlux",
	"PSFlux", "psfFlux", "FPFlux", "fpFlux", "spuriousness", "reliability",
	"decl", "dec", "Decl", "Dec",
	"eclipticLambda", "eclLambda", "eclipticBeta", "eclBeta", "galacticL", "galLon", "galacticB", "galLat",
	"heliocentricDist", "helioRange", "topocentricDist", "topoRange",
	"heliocentricV", "helio_v", "topocentricV", "topo_v", "heliocentric", "helio_", "topocentric", "topo_",
	"predictedVMagnitude", "ephVmag", "residualRa", "ephOffsetRa", "residualDec", "ephOffsetDec",
	"mpcDesignation", "designation", "mpcH", "h",
)

// plain brings a field's name to its latest form and splits off the band it is
// for, -1 if it is for none: "uPSFluxMean" is "psfFluxMean" in u.
func (v values) plain(name string) (string, int) {
	name = renamed.Replace(name)
	for old, now := range map[string]string{"ps": "psf", "dip": "dipole"} {
		if rest, ok := strings.CutPrefix(name, old); ok && rest != "" && 'A' <= rest[0] && rest[0] <= 'Z' {
			name = now + rest
		}
	}
	if strings.HasPrefix(name, "helio_") || strings.HasPrefix(name, "topo_") {
		return strings.ToLower(name), -1
	}
	if v.perBand == nil {
		return name, -1
	}
	for b, band := range bands {
		rest, ok := strings.CutPrefix(name, band)
		if !ok {
			continue
		}
		rest = strings.TrimPrefix(rest, "_")
		if _, ok := v.perBand[rest]; ok {
			return rest, b
		}
	}
	return name, -1
}

// number finds a field's value: the one for the name, or a likely one for
// names of its sort, or nil.
func (v values) number(name string, band int, k kind) func(*scene) float64 {
	if band >= 0 {
		x := v.perBand[name]
		return func(s *scene) float64 { return x(&s.stats[band]) }
	}
	if x, ok := v.numbers[name]; ok {
		return x
	}
	x := likelyNumber(name, k)
	if x != nil && strings.HasPrefix(name, "dipole") {
		// Only where a dipole was fitted.
		return func(s *scene) float64 {
			if !s.m.dipole {
				return math.NaN()
			}
			return x(s)
		}
	}
	return x
}

// flag is false but for the named ones, and for one in 128 of those that
// detectors and optics cause.
func (v values) flag(name string) func(*scene) bool {
	if x, ok := v.flags[name]; ok {
		return x
	}
	for _, cause := range []string{"_cr", "_edge", "_interpolated", "_suspect", "_streak", "_saturated"} {
		if strings.HasPrefix(name, "pixelFlags") && strings.HasSuffix(name, cause) {
			shift := 7 * (len(name) % 9)
			return func(s *scene) bool { return s.m.bits>>shift&127 == 0 }
		}
	}
	return func(*scene) bool { return false }
}

// likelyNumber guesses from a name what a number would look like. The first
// fitting sort counts.
func likelyNumber(name string, k kind) func(*scene) float64 {
	lower := strings.ToLower(name)
	ends := func(suffixes ...string) bool {
		for _, suffix := range suffixes {
			if strings.HasSuffix(lower, suffix) {
				return true
			}
		}
		return false
	}
	has := func(part string) bool { return strings.Contains(lower, part) }
	uniform := func(lo, hi float64) func(*scene) float64 {
		return func(s *scene) float64 { return lo + (hi-lo)*s.rng.Float64() }
	}
	switch {
	case ends("_cov"):
		return func(s *scene) float64 { return 1e-3 * s.rng.NormFloat64() }
	case ends("chi2"):
		return func(s *scene) float64 { return 40 + 9*s.rng.NormFloat64() }
	case ends("lnl", "lnp"):
		return func(s *scene) float64 { return -20 - 4.5*s.rng.NormFloat64() }
	case ends("ndata", "nobs", "nobsused", "count", "rank"), k == kindInt && (has("num") || has("nobs")):
		return uniform(10, 60)
	case ends("err", "_unc", "sigma") && (has("flux") || has("bkgd")), has("noise"):
		return func(s *scene) float64 { return 1.1 * s.m.sigma }
	case ends("raerr", "decerr"):
		return func(s *scene) float64 { return s.m.posErr }
	case ends("err", "_unc", "sigma"):
		return uniform(0.01, 0.1)
	case has("bkgd"):
		return func(s *scene) float64 { return s.m.sigma * s.rng.NormFloat64() }
	case has("flux"):
		return func(s *scene) float64 { return s.m.diff + s.m.sigma*s.rng.NormFloat64() }
	case ends("angle", "lon", "lambda", "longitude", "anomaly"):
		return uniform(0, 360)
	case ends("lat", "beta"):
		return uniform(-60, 60)
	case ends("length", "dist", "range"):
		return uniform(0.1, 3)
	case ends("date", "mjdtai", "tai", "_mjd", "epoch"):
		return func(s *scene) float64 { return s.m.mjd }
	case ends("ra"):
		return func(s *scene) float64 { return s.m.ra }
	case ends("dec"):
		return func(s *scene) float64 { return s.m.dec }
	case has("periodic"), has("moid"):
		return func(s *scene) float64 { return math.Abs(s.rng.NormFloat64()) }
	case has("extendedness") && has("min"):
		return uniform(0, 0.05)
	case has("extendedness") && has("max"):
		return uniform(0.2, 0.3)
	case has("extendedness"):
		return uniform(0.05, 0.2)
	}
	return nil
}

func constant(x float64) func(*scene) float64 { return func(*scene) float64 { return x } }

func unixMicros(mjd float64) float64 { return (mjd - unixEpochMjd) * secondsPerDay * 1e6 }

// psfVariance is the second moment of the point-spread function, arcsec^2.
func psfVariance(s *scene) float64 { return s.m.seeing * s.m.seeing / (2.3548 * 2.3548) }

func ofObject(s *scene) int64 {
	if s.moving {
		return none
	}
	return objectID(s.v.cfg, s.index)
}

func ofOrbit(s *scene) int64 {
	if !s.moving {
		return none
	}
	return s.orbit.id
}

// ccdVisit is one number for a visit and a detector.
func ccdVisit(s *scene) int64 { return s.m.visit*1000 + int64(s.m.detector) }

func bandName(s *scene) string { return bands[s.m.band] }

var (
	alertValues = values{
		ids: map[string]func(*scene) int64{
			"alertId":     func(s *scene) int64 { return s.m.sourceID },
			"diaSourceId": func(s *scene) int64 { return s.m.sourceID },
		},
		texts: map[string]func(*scene) string{
			"observation_reason": func(*scene) string { return "field_survey" },
			"target_name":        func(*scene) string { return "synthetic" },
		},
	}

	sourceValues = values{
		ids: map[string]func(*scene) int64{
			"diaSourceId":       func(s *scene) int64 { return s.m.sourceID },
			"visit":             func(s *scene) int64 { return s.m.visit },
			"detector":          func(s *scene) int64 { return int64(s.m.detector) },
			"ccdVisitId":        ccdVisit,
			"diaObjectId":       ofObject,
			"ssObjectId":        ofOrbit,
			"parentDiaSourceId": func(*scene) int64 { return none }, // few are deblended
			"flags":             func(*scene) int64 { return 0 },
		},
		numbers: map[string]func(*scene) float64{
			"midpointMjdTai":      func(s *scene) float64 { return s.m.mjd },
			"timeProcessedMjdTai": func(s *scene) float64 { return s.m.mjd + alertDelay },
			"time_processed":      func(s *scene) float64 { return unixMicros(s.m.mjd + alertDelay) },
			"timeWithdrawnMjdTai": constant(math.NaN()),
			"programId":           constant(1),
			"ra":                  func(s *scene) float64 { return s.m.ra },
			"dec":                 func(s *scene) float64 { return s.m.dec },
			"raErr":               func(s *scene) float64 { return s.m.posErr },
			"decErr":              func(s *scene) float64 { return s.m.posErr },
			"ra_dec_Cov":          func(s *scene) float64 { return 0.05 * s.m.posErr * s.m.posErr * s.rng.NormFloat64() },
			"x":                   func(s *scene) float64 { return s.m.x },
			"y":                   func(s *scene) float64 { return s.m.y },
			"xErr":                func(s *scene) float64 { return s.m.posErr * 3600 / pixelArcsec },
			"yErr":                func(s *scene) float64 { return s.m.posErr * 3600 / pixelArcsec },
			"snr":                 func(s *scene) float64 { return s.m.snr() },
			"psfFlux":             func(s *scene) float64 { return s.m.diff },
			"psfFluxErr":          func(s *scene) float64 { return s.m.sigma },
			"apFlux":              func(s *scene) float64 { return s.m.diff + 0.8*s.m.sigma*s.rng.NormFloat64() },
			"apFluxErr":           func(s *scene) float64 { return 1.3 * s.m.sigma },
			"scienceFlux":         func(s *scene) float64 { return s.m.diff + s.m.template },
			"scienceFluxErr":      func(s *scene) float64 { return s.m.sigma },
			"templateFlux":        func(s *scene) float64 { return s.m.template },
			"templateFluxErr":     func(s *scene) float64 { return 0.3 * s.m.sigma },
			"trailFlux":           func(s *scene) float64 { return s.m.diff },
			"trailLength":         trailLength,
			"ixx":                 func(s *scene) float64 { return psfVariance(s) * (1 + 0.05*s.rng.NormFloat64()) },
			"iyy":                 func(s *scene) float64 { return psfVariance(s) * (1 + 0.05*s.rng.NormFloat64()) },
			"ixy":                 func(s *scene) float64 { return psfVariance(s) * 0.03 * s.rng.NormFloat64() },
			"ixxPSF":              psfVariance,
			"iyyPSF":              psfVariance,
			"ixyPSF":              func(s *scene) float64 { return 0.01 * psfVariance(s) },
			"reliability":         func(s *scene) float64 { return 1 - 0.5*math.Pow(s.rng.Float64(), 3) },
			"bboxSize":            func(s *scene) float64 { return 20 + math.Round(10*s.m.seeing) },
			"snapDiffFlux":        func(s *scene) float64 { return s.m.sigma * s.rng.NormFloat64() },
			"dipoleMeanFlux":      ifDipole(func(s *scene) float64 { return math.Abs(s.m.diff) }),
			"psfNdata":            constant(41 * 41),
			"trailNdata":          constant(41 * 41),
			"dipoleNdata":         ifDipole(constant(41 * 41)),
		},
		flags: map[string]func(*scene) bool{
			"isNegative":         func(s *scene) bool { return s.m.diff < 0 },
			"isDipole":           func(s *scene) bool { return s.m.dipole },
			"dipoleFitAttempted": func(s *scene) bool { return s.m.dipole },
		},
		texts: map[string]func(*scene) string{"band": bandName},
	}

	forcedValues = values{
		ids: map[string]func(*scene) int64{
			"diaForcedSourceId": func(s *scene) int64 { return s.m.id },
			"diaObjectId":       ofObject,
			"visit":             sourceValues.ids["visit"],
			"detector":          sourceValues.ids["detector"],
			"ccdVisitId":        ccdVisit,
			"flags":             sourceValues.ids["flags"],
		},
		numbers: map[string]func(*scene) float64{
			// Forced photometry is done at the object's position.
			"ra":                  func(s *scene) float64 { return s.spot.ra },
			"dec":                 func(s *scene) float64 { return s.spot.dec },
			"x":                   sourceValues.numbers["x"],
			"y":                   sourceValues.numbers["y"],
			"midpointMjdTai":      sourceValues.numbers["midpointMjdTai"],
			"timeProcessedMjdTai": sourceValues.numbers["timeProcessedMjdTai"],
			"time_processed":      sourceValues.numbers["time_processed"],
			"timeWithdrawnMjdTai": sourceValues.numbers["timeWithdrawnMjdTai"],
			"psfFlux":             sourceValues.numbers["psfFlux"],
			"psfFluxErr":          sourceValues.numbers["psfFluxErr"],
			"scienceFlux":         sourceValues.numbers["scienceFlux"],
			"scienceFluxErr":      sourceValues.numbers["scienceFluxErr"],
		},
		texts: map[string]func(*scene) string{"band": bandName},
	}

	limitValues = values{
		ids: map[string]func(*scene) int64{"ccdVisitId": ccdVisit},
		numbers: map[string]func(*scene) float64{
			"midpointMjdTai": sourceValues.numbers["midpointMjdTai"],
			"diaNoise":       func(s *scene) float64 { return s.m.sigma },
		},
		texts: map[string]func(*scene) string{"band": bandName},
	}

	objectValues = values{
		ids: map[string]func(*scene) int64{
			"diaObjectId": ofObject,
			"flags":       sourceValues.ids["flags"],
			// Nothing is known nearby, so that no name of it dangles.
			"nearbyObj1": func(*scene) int64 { return none },
			"nearbyObj2": func(*scene) int64 { return none },
			"nearbyObj3": func(*scene) int64 { return none },
		},
		numbers: map[string]func(*scene) float64{
			"ra":                   func(s *scene) float64 { return s.spot.ra },
			"dec":                  func(s *scene) float64 { return s.spot.dec },
			"raErr":                objectPosErr,
			"decErr":               objectPosErr,
			"radecMjdTai":          func(s *scene) float64 { return s.m.mjd },
			"validityStartMjdTai":  func(s *scene) float64 { return s.m.mjd + alertDelay },
			"validityStart":        func(s *scene) float64 { return unixMicros(s.m.mjd + alertDelay) },
			"firstDiaSourceMjdTai": func(s *scene) float64 { return s.first },
			"lastDiaSourceMjdTai":  func(s *scene) float64 { return s.m.mjd },
			"nDiaSources":          func(s *scene) float64 { return float64(s.count) },
			"pmRa":                 func(s *scene) float64 { return 5 * s.rng.NormFloat64() },
			"pmDec":                func(s *scene) float64 { return 5 * s.rng.NormFloat64() },
			"pmRaErr":              constant(2),
			"pmDecErr":             constant(2),
			"parallax":             func(s *scene) float64 { return math.Abs(s.rng.NormFloat64()) },
			"nearbyObj1Dist":       constant(math.NaN()),
			"nearbyObj2Dist":       constant(math.NaN()),
			"nearbyObj3Dist":       constant(math.NaN()),
			"nearbyObj1LnP":        constant(math.NaN()),
			"nearbyObj2LnP":        constant(math.NaN()),
			"nearbyObj3LnP":        constant(math.NaN()),
			"pmParallaxNdata":      func(s *scene) float64 { return float64(s.count) },
		},
		perBand: map[string]func(*bandStats) float64{
			"psfFluxMean":        func(b *bandStats) float64 { return b.source.mean() },
			"psfFluxMeanErr":     func(b *bandStats) float64 { return b.source.meanErr() },
			"psfFluxSigma":       func(b *bandStats) float64 { return b.source.sigma() },
			"psfFluxChi2":        func(b *bandStats) float64 { return b.source.chi2() },
			"psfFluxNdata":       func(b *bandStats) float64 { return float64(b.source.n) },
			"psfFluxErrMean":     func(b *bandStats) float64 { return b.has(1, b.errs/float64(b.source.n)) },
			"psfFluxMin":         func(b *bandStats) float64 { return b.has(1, b.least) },
			"psfFluxMax":         func(b *bandStats) float64 { return b.has(1, b.most) },
			"psfFluxMaxSlope":    func(b *bandStats) float64 { return b.has(2, b.slope) },
			"fpFluxMean":         func(b *bandStats) float64 { return b.forced.mean() },
			"fpFluxMeanErr":      func(b *bandStats) float64 { return b.forced.meanErr() },
			"fpFluxSigma":        func(b *bandStats) float64 { return b.forced.sigma() },
			"scienceFluxMean":    func(b *bandStats) float64 { return b.science.mean() },
			"scienceFluxMeanErr": func(b *bandStats) float64 { return b.science.meanErr() },
		},
	}

	ssSourceValues = values{
		ids: map[string]func(*scene) int64{
			"diaSourceId": func(s *scene) int64 { return s.m.sourceID },
			"ssObjectId":  ofOrbit,
		},
		numbers: map[string]func(*scene) float64{
			"eclLambda":           func(s *scene) float64 { l, _ := ecliptic(s.m.ra, s.m.dec); return l },
			"eclBeta":             func(s *scene) float64 { _, b := ecliptic(s.m.ra, s.m.dec); return b },
			"galLon":              func(s *scene) float64 { l, _ := galactic(s.m.ra, s.m.dec); return l },
			"galLat":              func(s *scene) float64 { _, b := galactic(s.m.ra, s.m.dec); return b },
			"elongation":          func(s *scene) float64 { return s.orbit.elongation },
			"phaseAngle":          func(s *scene) float64 { return s.orbit.phase },
			"topoRange":           func(s *scene) float64 { return s.orbit.topo.norm() },
			"topoRangeRate":       func(s *scene) float64 { return s.orbit.topo.rate(s.orbit.topoV) },
			"helioRange":          func(s *scene) float64 { return s.orbit.helio.norm() },
			"helioRangeRate":      func(s *scene) float64 { return s.orbit.helio.rate(s.orbit.helioV) },
			"ephRa":               func(s *scene) float64 { return s.orbit.ephRa },
			"ephDec":              func(s *scene) float64 { return s.orbit.ephDec },
			"ephVmag":             func(s *scene) float64 { return s.orbit.magnitude },
			"ephRate":             func(s *scene) float64 { return math.Hypot(ephRateRa(s), ephRateDec(s)) },
			"ephRateRa":           ephRateRa,
			"ephRateDec":          ephRateDec,
			"ephOffset":           func(s *scene) float64 { return math.Hypot(s.orbit.offRa, s.orbit.offDec) },
			"ephOffsetRa":         func(s *scene) float64 { return s.orbit.offRa },
			"ephOffsetDec":        func(s *scene) float64 { return s.orbit.offDec },
			"ephOffsetAlongTrack": func(s *scene) float64 { return s.orbit.offRa },
			"ephOffsetCrossTrack": func(s *scene) float64 { return s.orbit.offDec },
			"helio_x":             func(s *scene) float64 { return s.orbit.helio[0] },
			"helio_y":             func(s *scene) float64 { return s.orbit.helio[1] },
			"helio_z":             func(s *scene) float64 { return s.orbit.helio[2] },
			"helio_vx":            func(s *scene) float64 { return s.orbit.helioV[0] },
			"helio_vy":            func(s *scene) float64 { return s.orbit.helioV[1] },
			"helio_vz":            func(s *scene) float64 { return s.orbit.helioV[2] },
			"helio_vtot":          func(s *scene) float64 { return s.orbit.helioV.norm() },
			"topo_x":              func(s *scene) float64 { return s.orbit.topo[0] },
			"topo_y":              func(s *scene) float64 { return s.orbit.topo[1] },
			"topo_z":              func(s *scene) float64 { return s.orbit.topo[2] },
			"topo_vx":             func(s *scene) float64 { return s.orbit.topoV[0] },
			"topo_vy":             func(s *scene) float64 { return s.orbit.topoV[1] },
			"topo_vz":             func(s *scene) float64 { return s.orbit.topoV[2] },
			"topo_vtot":           func(s *scene) float64 { return s.orbit.topoV.norm() },
			"diaDistanceRank":     constant(1),
		},
		texts: map[string]func(*scene) string{"designation": func(s *scene) string { return s.orbit.designation }},
	}

	orbitValues = values{
		ids: map[string]func(*scene) int64{
			"ssObjectId": ofOrbit,
			"id":         func(s *scene) int64 { return s.orbit.id & math.MaxInt32 },
		},
		numbers: map[string]func(*scene) float64{
			"a":                  func(s *scene) float64 { return s.orbit.a },
			"e":                  func(s *scene) float64 { return s.orbit.e },
			"i":                  func(s *scene) float64 { return s.orbit.incl },
			"incl":               func(s *scene) float64 { return s.orbit.incl },
			"q":                  func(s *scene) float64 { return s.orbit.a * (1 - s.orbit.e) },
			"node":               func(s *scene) float64 { return s.orbit.node },
			"argperi":            func(s *scene) float64 { return s.orbit.peri },
			"peri":               func(s *scene) float64 { return s.orbit.peri },
			"M":                  func(s *scene) float64 { return s.orbit.anomaly },
			"mean_anomaly":       func(s *scene) float64 { return s.orbit.anomaly },
			"mean_motion":        func(s *scene) float64 { return 360 / orbitalPeriod(s) },
			"period":             orbitalPeriod,
			"t_p":                perihelion,
			"peri_time":          perihelion,
			"epoch":              func(s *scene) float64 { return math.Floor(s.m.mjd) },
			"epoch_mjd":          func(s *scene) float64 { return math.Floor(s.m.mjd) },
			"h":                  func(s *scene) float64 { return s.orbit.h },
			"g":                  func(s *scene) float64 { return s.orbit.g },
			"nobs_total":         func(s *scene) float64 { return float64(s.orbit.observations) },
			"nobs_total_sel":     func(s *scene) float64 { return float64(s.orbit.observations) },
			"nopp":               func(s *scene) float64 { return float64(min(s.orbit.nights, 12)) },
			"arc_length_total":   func(s *scene) float64 { return s.m.mjd - s.orbit.first },
			"arc_length_sel":     func(s *scene) float64 { return s.m.mjd - s.orbit.first },
			"normalized_rms":     constant(0.6),
			"not_normalized_rms": constant(0.3),
			"earth_moid":         func(s *scene) float64 { return math.Abs(s.orbit.a*(1-s.orbit.e) - 1) },
			// Forces other than gravity were not fitted.
			"yarkovsky_unc":    constant(math.NaN()),
			"srp_unc":          constant(math.NaN()),
			"a1_unc":           constant(math.NaN()),
			"a2_unc":           constant(math.NaN()),
			"a3_unc":           constant(math.NaN()),
			"dt_unc":           constant(math.NaN()),
			"u_param":          constant(0),
			"orbit_type_int":   constant(10),
			"created_at":       func(s *scene) float64 { return unixMicros(math.Floor(s.orbit.first) + 30) },
			"updated_at":       func(s *scene) float64 { return unixMicros(math.Floor(s.m.mjd)) },
			"fitting_datetime": func(s *scene) float64 { return unixMicros(math.Floor(s.m.mjd)) },
		},
		texts: map[string]func(*scene) string{
			"designation":                              func(s *scene) string { return s.orbit.designation },
			"packed_primary_provisional_designation":   func(s *scene) string { return s.orbit.packed },
			"unpacked_primary_provisional_designation": func(s *scene) string { return s.orbit.designation },
		},
	}

	ssObjectValues = values{
		ids: map[string]func(*scene) int64{
			"ssObjectId": ofOrbit,
			"flags":      sourceValues.ids["flags"],
		},
		numbers: eachBand(map[string]func(*scene) float64{
			"discoverySubmissionDate": func(s *scene) float64 { return s.orbit.first + 1 },
			"firstObservationDate":    func(s *scene) float64 { return s.orbit.first },
			"firstObservationMjdTai":  func(s *scene) float64 { return s.orbit.first },
			"arc":                     func(s *scene) float64 { return s.m.mjd - s.orbit.first },
			"numObs":                  func(s *scene) float64 { return float64(s.orbit.observations) },
			"nObs":                    func(s *scene) float64 { return float64(s.orbit.observations) },
			"e":                       func(s *scene) float64 { return s.orbit.e },
			"i":                       func(s *scene) float64 { return s.orbit.incl },
			"q":                       func(s *scene) float64 { return s.orbit.a * (1 - s.orbit.e) },
			"lan":                     func(s *scene) float64 { return s.orbit.node },
			"aop":                     func(s *scene) float64 { return s.orbit.peri },
			"M":                       func(s *scene) float64 { return s.orbit.anomaly },
		}),
		texts: map[string]func(*scene) string{"designation": func(s *scene) string { return s.orbit.designation }},
	}
)

// movingRecords are the records of a solar-system alert; which of them a
// schema has differs by version.
var movingRecords = map[string]*values{
	"ssObject":   &ssObjectValues,
	"ssSource":   &ssSourceValues,
	"MPCORB":     &orbitValues,
	"mpc_orbits": &orbitValues,
}

// eachBand adds the per-band photometric parameters of a solar-system object,
// which differ from band to band by its colour only.
func eachBand(numbers map[string]func(*scene) float64) map[string]func(*scene) float64 {
	for b, band := range bands {
		for _, sep := range []string{"", "_"} {
			numbers[band+sep+"H"] = func(s *scene) float64 { return s.orbit.h + colour[b] }
			numbers[band+sep+"G12"] = func(s *scene) float64 { return s.orbit.g }
		}
	}
	return numbers
}

func ifDipole(x func(*scene) float64) func(*scene) float64 {
	return func(s *scene) float64 {
		if !s.m.dipole {
			return math.NaN()
		}
		return x(s)
	}
}

// trailLength is in arcsec: 30 s at the rate of a main-belt object, or what
// noise makes of a point.
func trailLength(s *scene) float64 {
	if s.moving {
		return 0.3 + 0.1*math.Abs(s.rng.NormFloat64())
	}
	return 0.05 * math.Abs(s.rng.NormFloat64())
}

func objectPosErr(s *scene) float64 { return s.m.posErr / math.Sqrt(float64(max(s.count, 1))) }

// ephRateRa and ephRateDec are arcsec/hour on the sky, from the velocity
// across the line of sight.
func ephRateRa(s *scene) float64 {
	sin, cos := math.Sincos(radians(s.m.ra))
	return arcsecPerHour(s.orbit.topoV.dot(vector{-sin, cos, 0}) / s.orbit.topo.norm())
}

func ephRateDec(s *scene) float64 {
	sinR, cosR := math.Sincos(radians(s.m.ra))
	sinD, cosD := math.Sincos(radians(s.m.dec))
	return arcsecPerHour(s.orbit.topoV.dot(vector{-sinD * cosR, -sinD * sinR, cosD}) / s.orbit.topo.norm())
}

func arcsecPerHour(radiansPerDay float64) float64 { return degrees(radiansPerDay) * 3600 / 24 }

// orbitalPeriod is in days.
func orbitalPeriod(s *scene) float64 { return 365.25 * math.Pow(s.orbit.a, 1.5) }

func perihelion(s *scene) float64 {
	return math.Floor(s.m.mjd) - s.orbit.anomaly/360*orbitalPeriod(s)
}
