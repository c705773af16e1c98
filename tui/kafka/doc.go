// Package kafka is the dashboard's page of a cluster: brokers, topics with their speed,
// consumer groups with their lag, users with what they may do; each with a view of one
// of them in detail. It shows what it is handed, and knows no other page.
package kafka
