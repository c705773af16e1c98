// Package smoke says of a running lab, one sentence a check, whether it does
// what its connection card promises: brokers at their own addresses, readers
// held to their grants, a read-only registry with every schema version, visits
// at their cadence, alerts in the alert database byte for byte.
//
// It sees a lab only as its clients do, through endpoints.Endpoints and
// endpoints.Credentials, so the same checks hold for an embedded lab, one on
// Kubernetes and a real deployment. It must not import the lab, providers,
// profiles or commands, and of the data plane only what a client uses. It
// prints nothing: a Report is rendered as a table, JUnit XML or JSON by whoever
// asked for it.
//
// Checks leave nothing behind: what they try to write is refused in a healthy
// lab and could do no harm in a broken one.
package smoke
