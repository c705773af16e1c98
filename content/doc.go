// Package content is what goes into a lab's places once they run: users and
// their ACLs, topics, buckets, schemas, the reservoir.
//
// A folder below is one kind of content. It reaches the place only through the
// addresses in its order and the lab's secrets, with clients that work against
// any Kafka, registry or S3, so that the same code serves every provider. It may
// not import a provider.
package content

import "github.com/alertlab/alertlab/lab/plan"

// NeverApplied answers for content that no step of this lab has made: it is
// absent, and looking further is of no use.
func NeverApplied(look plan.Look) (plan.Observation, bool) {
	if look.Last != nil {
		return plan.Observation{}, false
	}
	return plan.Observation{State: plan.Absent, Why: "this lab has not made it yet"}, true
}
