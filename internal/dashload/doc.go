// Package dashload is what the dashboard is measured with: a large Kafka cluster, and a topic
// that brings 300 alerts of 80 kB a second. It is for tests and benchmarks only.
package dashload
