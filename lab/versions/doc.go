// Package versions solves which versions of other people's operators go together:
// Strimzi with Kafka, with Kubernetes, and with the operator of the schema registry. The
// table is charts/upstream.yaml. It is pure: the same table and question give the same
// answer, and the answer of a profile that cannot be run says what would.
package versions
