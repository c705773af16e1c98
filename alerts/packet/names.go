package packet

import (
	"regexp"
	"strings"
)

// Fields were renamed from version to version (the change of 5.0 renamed 476 of
// them). Where the meaning stayed, both names lead to the newest one here, so that
// an alert can be carried from one version to another. What only looks alike is left
// out: spuriousness (3.0, 4.0) is the opposite of reliability, a diaForcedSource's x
// and y are pixels, time_processed is text, ccdVisitId became two numbers by a rule
// that no schema tells.

// newestField gives the newest name of a field of a record. Names are without their
// namespaces; the record's is one that newestRecord gave.
func newestField(record, field string) string {
	if name, ok := renamedFields[record][field]; ok {
		return name
	}
	switch record {
	case "diaSource", "diaForcedSource", "diaNondetectionLimit", "diaObject", "ssObject":
		if name, ok := renamedFields[""][field]; ok {
			return name
		}
		for _, r := range renamedPatterns {
			field = r.old.ReplaceAllString(field, r.new)
		}
	}
	return field
}

// newestRecord gives the newest name of a record, without its namespace.
func newestRecord(fullName string) string {
	name := fullName[strings.LastIndexByte(fullName, '.')+1:]
	if name == "MPCORB" { // 8.0, 9.0
		return "mpc_orbits"
	}
	return name
}

// renamedFields are single names by record; "" are those of every source and object.
var renamedFields = map[string]map[string]string{
	"": {
		"midPointTai": "midpointMjdTai", "radecTai": "radecMjdTai", "filterName": "band", // 5.0
		"totFlux": "scienceFlux", "totFluxErr": "scienceFluxErr", "diffFlux": "snapDiffFlux", "diffFluxErr": "snapDiffFluxErr",
		"is_negative": "isNegative", // 8.0
	},
	"alert": {"alertId": "diaSourceId", "MPCORB": "mpc_orbits"}, // 8.0, 10.0
	"ssSource": { // 10.0
		"eclipticLambda": "eclLambda", "eclipticBeta": "eclBeta", "galacticL": "galLon", "galacticB": "galLat",
		"heliocentricDist": "helioRange", "topocentricDist": "topoRange", "predictedVMagnitude": "ephVmag",
		"heliocentricX": "helio_x", "heliocentricY": "helio_y", "heliocentricZ": "helio_z",
		"heliocentricVX": "helio_vx", "heliocentricVY": "helio_vy", "heliocentricVZ": "helio_vz",
		"topocentricX": "topo_x", "topocentricY": "topo_y", "topocentricZ": "topo_z",
		"topocentricVX": "topo_vx", "topocentricVY": "topo_vy", "topocentricVZ": "topo_vz",
	},
	"mpc_orbits": { // 10.0
		"mpcDesignation": "designation", "mpcH": "h", "epoch": "epoch_mjd", "M": "mean_anomaly", "peri": "argperi",
		"incl": "i", "t_p": "peri_time",
	},
}

// renamedPatterns are the renaming of 5.0, which went by rules, and 6.0's of the
// covariances of ssObject.
var renamedPatterns = []struct {
	old *regexp.Regexp
	new string
}{
	{regexp.MustCompile(`decl`), "dec"},
	{regexp.MustCompile(`Decl`), "Dec"},
	{regexp.MustCompile(`^([ugrizy])PSFlux`), "${1}_psfFlux"},
	{regexp.MustCompile(`^([ugrizy])FPFlux`), "${1}_fpFlux"},
	{regexp.MustCompile(`^([ugrizy])Lc(Non)?Periodic`), "${1}_lc${2}Periodic"},
	{regexp.MustCompile(`(^|_)ps(Flux|Ra|Dec|LnL|Chi2|Ndata)`), "${1}psf${2}"},
	{regexp.MustCompile(`(^|_)dip(MeanFlux|FluxDiff|Ra|Dec|Length|Angle|LnL|Chi2|Ndata)`), "${1}dipole${2}"},
	{regexp.MustCompile(`(^|_)([ugrizy])(H|G12)`), "${1}${2}_${3}"},
	{regexp.MustCompile(`^([ugrizy])(Chi2|Ndata)$`), "${1}_${2}"},
}
