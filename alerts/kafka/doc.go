// Package kafka holds the one way in which every part of the data plane logs
// in to a Kafka cluster: bootstrap addresses, a SCRAM-SHA-512 user, TLS or not.
//
// It knows no lab, no topic and no component; it only turns a Login into
// client options.
package kafka
