// Package archive is the alert database: an ingester that stores every alert
// of some Kafka topics as one object each, the HTTP server that hands them out,
// and a client of that server.
//
// Objects (alert_database_ingester v4):
//
//	v2/alerts/<first six characters of the id>/<id>.avro.gz   gzip of the whole Kafka value, Confluent header included
//	v2/schemas/<schema id>.json                               the writer schema as the registry returned it
//	v2/deadletters/<topic>/<partition>/<offset>.json          why a message was set aside (ours), see DeadLetter
//	v2/deadletters/<topic>/<partition>/<offset>.bin           that message's value as it came (ours)
//
// A schema is stored before the first alert written with it, a dead letter's
// value before its reason, and an offset is committed only when everything
// before it in its partition is stored.
//
// It works against any Kafka, any S3 store and any Confluent-compatible
// registry; it knows no lab and makes no bucket or topic.
package archive
