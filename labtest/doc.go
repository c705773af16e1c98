// Package labtest gives a test a lab of its own: the alert distribution stack with its
// brokers, registry, simulator, object store and alert database, with the users, ACLs,
// schemas and wire formats of the real system.
//
// Start brings an embedded lab up in the test's process and takes it away at the test's
// end. RunContainer runs one in a container, by testcontainers-go, from the image that
// holds alertlab (make image). Both give a Lab: its connection card, its credentials,
// and clients that are logged in.
//
//	func TestMyBroker(t *testing.T) {
//		lab := labtest.Start(t, labtest.Profile("ci"), labtest.Set("simulator.alerts", "50"))
//		client, err := lab.Kafka("antares", kgo.ConsumeTopics(lab.Endpoints.Simulator.Topic), kgo.ConsumerGroup("antares-suite"))
//		…
//	}
//
// # What importing it means
//
// It reaches none of Kubernetes' modules, so that a project that imports it needs none
// of alertlab's replacements. The object store of an embedded lab is a process of its
// own, because its server changes the working directory of the process that it runs in:
// the test binary is started again for it, and this package's initialisation becomes
// that server when a test binary's whole command line is "object-store". Nothing else
// happens by importing it.
package labtest
