package record

import (
	"regexp"
	"strings"
)

// bracketed finds a unit at the end of a schema's own words, as in "Uncertainty of
// ra [deg].".
var bracketed = regexp.MustCompile(`\[([^\[\]]{1,24})\]\.?\s*$`)

// unitOf gives a field's unit: what the schema's own words say, else what a field
// of this name has in the alert schemas, else "".
func unitOf(field, doc string) string {
	if m := bracketed.FindStringSubmatch(doc); m != nil {
		if m[1] == "unitless" {
			return ""
		}
		return m[1]
	}
	for _, u := range units {
		if u.names.MatchString(field) {
			return u.unit
		}
	}
	return ""
}

// units of fields by their names, the first that fits. They are those of the
// published alert schemas, 3.0 to 11.0, which a registry holds without the words
// that say so. What is not listed is a count, a flag, an identifier or a ratio, or
// its unit changed from version to version.
var units = []struct {
	names *regexp.Regexp
	unit  string
}{
	{regexp.MustCompile(`(?i)_?flag|Chi2$|LnL$|Ndata$|NData$|Skew$|StetsonJ$|_Cov$|Id$|^flags$`), ""},
	{regexp.MustCompile(`(?i)Flux.*(MaxSlope|LinearSlope(Err)?)$`), "nJy/d"},
	{regexp.MustCompile(`Flux`), "nJy"},
	{regexp.MustCompile(`^(midPointTai|midpointMjdTai|radecTai|.*MjdTai|epoch_mjd)$`), "d"},
	{regexp.MustCompile(`^(trail|dip(ole)?)Length(Err)?$`), "arcsec"},
	{regexp.MustCompile(`^(trail|dip(ole)?)Angle(Err)?$`), "deg"},
	{regexp.MustCompile(`(^ra|^decl?|[a-z]Ra|[a-z]Decl?)(Err)?$`), "deg"},
	{regexp.MustCompile(`^[xy](Err)?$`), "pixel"},
	{regexp.MustCompile(`^(ecl(Lambda|Beta)|gal(Lon|Lat)|eclipticLambda|eclipticBeta|galacticL|galacticB|phaseAngle)$`), "deg"},
	{regexp.MustCompile(`^(i|node|argperi|mean_anomaly)(_unc)?$`), "deg"},
	{regexp.MustCompile(`^(a|q)(_unc)?$`), "au"},
	{regexp.MustCompile(`^bboxSize$`), "pixel"},
}

// meaning says in our own words what a field is, where the schema says nothing and
// the name alone does not tell; "" for the rest.
func meaning(field string) string {
	if m, ok := meanings[field]; ok {
		return m
	}
	if of, ok := strings.CutSuffix(field, "Err"); ok && of != "" {
		return "uncertainty of " + of
	}
	return ""
}

var meanings = map[string]string{
	"alertId":                  "the alert's own id",
	"diaSourceId":              "id of a detection in a difference image",
	"diaObjectId":              "id of the object on the sky that detections belong to",
	"ssObjectId":               "id of a known object of the solar system",
	"diaForcedSourceId":        "id of a measurement at an object's place",
	"parentDiaSourceId":        "the blend that this detection was taken out of",
	"diaSource":                "the detection that the alert is about",
	"prvDiaSources":            "earlier detections of the same object",
	"prvDiaForcedSources":      "flux measured at the object's place, detected or not",
	"prvDiaNondetectionLimits": "earlier visits that saw nothing there",
	"diaObject":                "what is known of the object from all its detections",
	"ssSource":                 "the detection as one of an object of the solar system",
	"ssObject":                 "what is known of the object of the solar system",
	"mpc_orbits":               "the object's orbit",
	"MPCORB":                   "the object's orbit",
	"visit":                    "number of the exposure",
	"ccdVisitId":               "number of exposure and detector",
	"detector":                 "number of the detector in the camera",
	"midpointMjdTai":           "middle of the exposure, modified Julian date, TAI",
	"midPointTai":              "middle of the exposure, modified Julian date, TAI",
	"ra":                       "right ascension",
	"dec":                      "declination",
	"decl":                     "declination",
	"x":                        "column in the detector's image",
	"y":                        "row in the detector's image",
	"snr":                      "signal to noise of the detection",
	"psfFlux":                  "flux of a point source, in the difference image",
	"psFlux":                   "flux of a point source, in the difference image",
	"apFlux":                   "flux within an aperture, in the difference image",
	"scienceFlux":              "flux of a point source at this place, in the visit's own image",
	"templateFlux":             "flux of a point source at this place, in the template",
	"totFlux":                  "flux of a point source at this place, in the visit's own image",
	"band":                     "filter",
	"filterName":               "filter",
	"extendedness":             "0 like a point, 1 extended",
	"reliability":              "how likely it is no artefact, 0 to 1",
	"spuriousness":             "how likely it is an artefact, 0 to 1",
	"isNegative":               "fainter than in the template",
	"is_negative":              "fainter than in the template",
	"cutoutDifference":         "picture of the difference, FITS",
	"cutoutScience":            "picture of the visit, FITS",
	"cutoutTemplate":           "picture of the template, FITS",
}
