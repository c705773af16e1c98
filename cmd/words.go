package cmd

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/alertlab/alertlab/alerts/packet"
)

// goWords are what the standard library says of a value that it cannot read, and cobra
// of a wrong number of arguments, and what a person should be told instead.
var goWords = []struct {
	said  *regexp.Regexp
	means string
}{
	{regexp.MustCompile(`strconv\.(?:ParseInt|ParseUint|Atoi): parsing ".*": invalid syntax$`), "it is no whole number of this kind"},
	{regexp.MustCompile(`strconv\.\w+: parsing ".*": value out of range$`), "the number is too large or too small"},
	{regexp.MustCompile(`strconv\.ParseFloat: parsing ".*": invalid syntax$`), "it is no number"},
	{regexp.MustCompile(`strconv\.ParseBool: parsing ".*": invalid syntax$`), "it is true or false"},
	{regexp.MustCompile(`time: missing unit in duration ".*"$`), "a time has a unit, e.g. 37s or 1m30s"},
	{regexp.MustCompile(`^accepts (\d+) arg\(s\), received (\d+)$`), "arguments wanted: $1, given: $2"},
	{regexp.MustCompile(`^requires at least (\d+) arg\(s\), only received (\d+)$`), "arguments wanted: $1 or more, given: $2"},
	{regexp.MustCompile(`^accepts at most (\d+) arg\(s\), received (\d+)$`), "arguments wanted: $1 at most, given: $2"},
	{regexp.MustCompile(`^accepts between (\d+) and (\d+) arg\(s\), received (\d+)$`), "arguments wanted: $1 to $2, given: $3"},
	{regexp.MustCompile(`time: (?:invalid duration|unknown unit .* in duration) ".*"$`), "a time is a number with a unit, e.g. 37s or 1m30s"},
}

// inWords turns what the flags' library says into words for a person; the error stays
// what it was for errors.Is and errors.As.
func inWords(err error) error {
	text := err.Error()
	for _, w := range goWords {
		if said := w.said.ReplaceAllString(text, w.means); said != text {
			return reworded{said, err}
		}
	}
	return err
}

type reworded struct {
	text string
	error
}

func (r reworded) Error() string { return r.text }
func (r reworded) Unwrap() error { return r.error }

// visitWords says which flag of generate a visit was refused for.
func visitWords(err error) error {
	var v *packet.VisitError
	if !errors.As(err, &v) {
		return err
	}
	flag := map[string]string{"Alerts": "--alerts", "PacketBytes": "--packet-size", "Visit": "--visit", "MidpointMjdTai": "--midpoint", "Schema": "--schema"}[v.Field]
	if flag == "" {
		return err
	}
	return reworded{strings.TrimSpace(fmt.Sprintf("%s: %v", flag, v.Err)), err}
}
