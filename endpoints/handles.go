package endpoints

import "context"

// Handles are ways to act on a lab, beside the addresses where it answers. Each is
// nil where a lab offers none: a check that needs it is skipped then.
type Handles struct {
	Brokers BrokerControl
}

// BrokerControl takes single brokers away and brings them back.
type BrokerControl interface {
	// KillBroker drops a broker as if its machine had gone: nothing is said to
	// its clients, nothing answers at its address. Killing one that is dead
	// already does nothing. It stays dead until it is restarted, unless the
	// control is a Reviver.
	KillBroker(ctx context.Context, id int32) error
	// RestartBroker brings a broker back at its address and returns when it
	// answers. One that lives is left alone, but by a Reviver, which ends it.
	RestartBroker(ctx context.Context, id int32) error
	// RestartBrokers ends every broker and starts all of them again on what
	// they have stored; it returns when they answer.
	RestartBrokers(ctx context.Context) error
}

// Reviver is a BrokerControl of brokers that somebody else, Kubernetes, brings back when
// they were killed, at once.
type Reviver interface {
	// AwaitBroker returns when a broker answers at its address.
	AwaitBroker(ctx context.Context, id int32) error
}
