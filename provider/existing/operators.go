package existing

import (
	"context"
	"slices"

	"github.com/alertlab/alertlab/internal/kube"
)

// Operated is what operators, the lab's own or somebody else's, run of a lab's custom
// resources.
type Operated interface {
	// Halt ends its pods so that no operator makes them anew before the lab is applied
	// again. It comes after all other workloads of the lab, its own operators among them.
	Halt(ctx context.Context, client *kube.Client, say func(string)) error
	// Dissolve deletes those of its objects that an operator has to let go of, while there
	// may be one. Everything else of the lab is deleted after it.
	Dissolve(ctx context.Context, client *kube.Client, say func(string)) error
}

// podsOfSets is a label that only pods of StrimziPodSets have, which scaling nothing to
// zero ends.
const podsOfSets = "strimzi.io/pool-name"

// OperatorRights lists what a lab needs beside Rights where operators run its Kafka, and for
// the full stack its registry too.
func OperatorRights(full bool) []Right {
	all := append(slices.Clone(writes), "watch")
	rights := []Right{
		{"kafka.strimzi.io", "kafkas", all, false},
		{"kafka.strimzi.io", "kafkanodepools", all, false},
		{"kafka.strimzi.io", "kafkatopics", all, false},
		{"kafka.strimzi.io", "kafkausers", all, false},
		{"core.strimzi.io", "strimzipodsets", []string{"get", "patch"}, false},
	}
	if full {
		rights = append(rights, Right{"roundtable.lsst.codes", "strimzischemaregistries", all, false}, Right{"", "serviceaccounts", writes, false})
	}
	return rights
}
