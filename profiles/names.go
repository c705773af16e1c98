package profiles

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode"
)

// Each of these functions gives "" for a legal name, else what is wrong with
// it as the end of a sentence that begins with the name.

var (
	labelPattern  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	topicPattern  = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	bucketPattern = regexp.MustCompile(`^[a-z0-9][-.a-z0-9]*[a-z0-9]$`)
	configPattern = regexp.MustCompile(`^[a-z][a-z0-9]*([._-][a-z0-9]+)*$`)
	numberPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

	versionPattern = regexp.MustCompile(`^([0-9]+)\.([0-9]+)\.([0-9]+)$`)
	namePattern    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	pairPattern    = regexp.MustCompile(`^[A-Za-z0-9./_-]+=[A-Za-z0-9._-]*$`)
	taintPattern   = regexp.MustCompile(`^[A-Za-z0-9./_-]+=[A-Za-z0-9._-]*:(NoSchedule|PreferNoSchedule|NoExecute)$`)
	scopePattern   = regexp.MustCompile(`^[a-z]+:[a-z-]+$`)
	// settingPattern matches the path of a Kafka setting, which a profile can
	// be without.
	settingPattern = regexp.MustCompile(`^kafka\.(topics\[[a-zA-Z0-9._-]+\]\.)?config\.[a-z0-9._-]+$`)
)

// labelFault checks a DNS label (RFC 1123), which Kubernetes wants of names.
func labelFault(name string) string {
	switch {
	case len(name) > 63:
		return "is longer than the 63 characters of a DNS label"
	case !labelPattern.MatchString(name):
		return "is not a DNS label: lower-case letters, digits and inner hyphens"
	}
	return ""
}

// nameFault checks a name of several DNS labels, such as that of a host or a
// storage class.
func nameFault(name string) string {
	switch {
	case len(name) > 253:
		return "is longer than the 253 characters of a DNS name"
	case !namePattern.MatchString(name):
		return "is not a DNS name: labels of lower-case letters, digits and inner hyphens, with dots between them"
	}
	return ""
}

// addressFault checks an IPv4 address that somebody can have.
func addressFault(text string) string {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() || !a.IsGlobalUnicast() {
		return "is not an IPv4 address of a host"
	}
	return ""
}

// matches makes a check out of a pattern; fault is the end of its sentence.
func matches(pattern *regexp.Regexp, fault string) func(string) string {
	return func(text string) string {
		if pattern.MatchString(text) {
			return ""
		}
		return fault
	}
}

// topicFault checks a topic name by the rules of Apache Kafka.
func topicFault(name string) string {
	switch {
	case len(name) > 249:
		return "is longer than the 249 characters of a topic name"
	case name == "." || name == ".." || !topicPattern.MatchString(name):
		return "is not a topic name: letters, digits, '.', '_' and '-'"
	case strings.HasPrefix(name, "__"):
		return "begins like Kafka's internal topics"
	}
	return ""
}

// topicCollision is the form in which Kafka compares topic names: it refuses
// two names that differ in '.' and '_' only, since metrics cannot tell them
// apart.
func topicCollision(name string) string { return strings.ReplaceAll(name, ".", "_") }

// bucketFault checks a bucket name by the rules of Amazon S3 for general
// purpose buckets.
func bucketFault(name string) string {
	_, notAddress := netip.ParseAddr(name)
	switch {
	case len(name) < 3 || len(name) > 63:
		return "is not a bucket name: it must have 3 to 63 characters"
	case !bucketPattern.MatchString(name) || strings.Contains(name, ".."):
		return "is not a bucket name: lower-case letters, digits, inner hyphens and single dots"
	case notAddress == nil:
		return "is an IP address, which a bucket name must not be"
	case strings.HasPrefix(name, "xn--") || strings.HasPrefix(name, "sthree-") ||
		strings.HasSuffix(name, "-s3alias") || strings.HasSuffix(name, "--ol-s3"):
		return "begins or ends in a way that S3 keeps for itself"
	}
	return ""
}

// userFault checks a Kafka user. A colon would end the principal type in
// "User:name", "*" would mean everybody, and the rest breaks the line-based
// files and configurations that credentials are handed out in.
func userFault(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > 128:
		return "is longer than 128 bytes"
	case name == "*":
		return "means every user"
	}
	for _, c := range name {
		switch {
		case unicode.IsControl(c) || unicode.IsSpace(c):
			return "holds a space or a control character"
		case !unicode.IsPrint(c):
			return "holds a character that cannot be printed"
		case strings.ContainsRune(`:"'\,;=`, c):
			return "holds a " + string(c) + ", which separates things where user names are written"
		}
	}
	return ""
}

// lineFault checks free text that is shown on one line.
func lineFault(text string) string {
	if strings.TrimSpace(text) == "" {
		return "is empty"
	}
	for _, c := range text {
		if !unicode.IsPrint(c) {
			return "holds a line break or another character that cannot be printed"
		}
	}
	return ""
}
