package smoke

import (
	"context"
	"fmt"
	"time"
)

// Check is one claim about a lab and the way to prove it.
type Check struct {
	// Name is the kebab-case identifier used in Options.Only and Options.Skip.
	Name string
	// Sentence is the claim, in words, without a full stop.
	Sentence string
	// Needs are looked at before Run; the first that is missing skips the check.
	Needs []Need
	// Disruptive says that the check takes parts of the lab away. Such checks run
	// only when Options.Disruptive allows it, after all others, one at a time.
	Disruptive bool
	// Wait, when set, is how long the check may rightly wait for the lab to
	// do something by itself, on top of Options.Timeout.
	Wait func(*Env) time.Duration
	// Run proves the claim. It returns a *Failure when the lab is not as
	// claimed, a *Skip when it finds that there is nothing to look at, and
	// any other error when it could not find out.
	Run func(context.Context, *Env) (Evidence, error)
}

// Evidence is one line of concrete numbers that a check saw.
type Evidence string

func evidence(format string, args ...any) Evidence { return Evidence(fmt.Sprintf(format, args...)) }

// Need is something that the connection card must offer before a check makes
// sense.
type Need struct {
	Name string
	// Missing gives the reason why the need is not met, "" when it is.
	Missing func(*Env) string
}

// Failure is the finding that a lab is not as a check claims.
type Failure struct {
	Expected string
	Seen     string
	Next     string // the next command to type, "" when none is known
	Err      error  // the cause, when there is one to look into
}

func (f *Failure) Error() string { return fmt.Sprintf("expected %s; saw %s", f.Expected, f.Seen) }

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Skip is the finding that there is nothing for a check to look at.
type Skip struct{ Reason string }

func (s *Skip) Error() string { return s.Reason }

// All returns the checks that hold for a lab of any provider, in report order.
func All() []Check {
	return []Check{
		brokersAnswer(),
		autoTopicCreation(),
		readerReads(),
		readerRefused(),
		everyReader(),
		registryReadOnly(),
		schemaVersions(),
		alertDecodes(),
		visitCadence(),
		alertDatabaseBytes(),
		alertDatabaseScope(),
		alertObjects(),
		unknownIDs(),
		ingressHosts(),
		brokerKilled(),
		restartKeepsData(),
	}
}

// NeedBrokers is met when the card lists a bootstrap address and brokers.
func NeedBrokers() Need {
	return Need{Name: "brokers", Missing: func(e *Env) string {
		switch {
		case e.Endpoints.Kafka.Bootstrap == "":
			return "the card has no Kafka bootstrap address"
		case len(e.Endpoints.Kafka.Brokers) == 0:
			return "the card lists no brokers"
		}
		return ""
	}}
}

// NeedLogin is met when there is any Kafka user whose password is known.
func NeedLogin() Need {
	return Need{Name: "login", Missing: func(e *Env) string {
		if e.observer() == "" {
			return "the credentials hold no password of any Kafka user on the card"
		}
		return ""
	}}
}

// NeedSuperuser is met when there is a superuser whose password is known.
func NeedSuperuser() Need {
	return Need{Name: "superuser", Missing: func(e *Env) string {
		if e.superuser() == "" {
			return "the card has no superuser with a password in the credentials"
		}
		return ""
	}}
}

// NeedReader is met when there is a reader with topics whose password is known.
func NeedReader() Need {
	return Need{Name: "reader", Missing: func(e *Env) string {
		if len(e.readers()) == 0 {
			return "the card has no reader with topics and a password in the credentials"
		}
		return ""
	}}
}

// NeedRegistry is met when the card gives the address of the registry's front.
func NeedRegistry() Need {
	return Need{Name: "registry", Missing: func(e *Env) string {
		if e.Endpoints.Registry.URL == "" {
			return "the card has no schema registry"
		}
		return ""
	}}
}

// NeedSimulator is met when the card names the topic of a simulator that
// plays visits at an interval.
func NeedSimulator() Need {
	return Need{Name: "simulator", Missing: func(e *Env) string {
		switch {
		case e.Endpoints.Simulator.Topic == "":
			return "the card has no simulator"
		case e.interval() <= 0:
			return "the simulator on the card plays no visit repeatedly"
		}
		return ""
	}}
}

// NeedAlertDatabase is met when the card gives the address of the alert
// database.
func NeedAlertDatabase() Need {
	return Need{Name: "alert-database", Missing: func(e *Env) string {
		if e.Endpoints.AlertDB.URL == "" {
			return "the card has no alert database"
		}
		return ""
	}}
}

// NeedObjectStore is met when the card gives an object store with the bucket of the
// alerts, and the credentials have keys of it.
func NeedObjectStore() Need {
	return Need{Name: "object-store", Missing: func(e *Env) string {
		switch store, keys := e.Endpoints.ObjectStore, e.Credentials.ObjectStore; {
		case store.URL == "" || store.AlertBucket == "":
			return "the card has no object store"
		case keys.AccessKey == "" || keys.SecretKey == "":
			return "the credentials hold no keys of the object store"
		}
		return ""
	}}
}
