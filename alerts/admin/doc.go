// Package admin makes topics, users and ACLs of a Kafka cluster be as they are
// wanted, and lists them. It works against any Kafka through kadm, asks for
// little (a few requests for a whole site's users) and changes nothing that is
// as it should be.
//
// It knows no particular topic or user and reads no configuration. It may not
// be used where another operator owns the same resources: Strimzi's topic and
// user operators delete what they did not make.
package admin
