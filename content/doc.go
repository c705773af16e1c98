// Package content is what goes into a lab's places once they run: users and
// their ACLs, topics, buckets, schemas, the reservoir.
//
// A folder below is one kind of content. It reaches the place only through the
// addresses in its order and the lab's secrets, with clients that work against
// any Kafka, registry or S3, so that the same code serves every provider. It may
// not import a provider.
package content
