package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

// maxNodeID bounds node ids because kfake numbers its brokers from zero, so a
// cluster with node id n makes and drops n placeholders when it starts.
const maxNodeID = 999

// maxSegmentBytes is the most, and the default, for log.segment.bytes.
const maxSegmentBytes = 8 << 20

// Node is one broker: its id as clients see it and where it listens.
type Node struct {
	ID int32
	// Address is host:port. Clients are told exactly this address, except
	// that port 0 becomes the port which the system chose.
	Address string
}

// Config describes a cluster.
type Config struct {
	// Nodes are the brokers, at least one, ids unique and not negative.
	Nodes []Node
	// Bootstrap is host:port of an address that any living broker serves;
	// empty for none.
	Bootstrap string
	// DataDir holds everything that survives a restart. It is made with mode
	// 0700 if it is missing, and belongs to one running cluster at a time.
	DataDir string
	// Superuser and Password are the one login that exists from the start
	// and that no ACL binds. If DataDir holds another password for it, this
	// one replaces it.
	Superuser, Password string
	// TLS is nil for plaintext listeners. It applies to every address.
	TLS *tls.Config
	// Settings are Kafka broker configuration keys and their values, such as
	// message.max.bytes or auto.create.topics.enable. Keys that nothing
	// here acts on are kept and described, not refused. log.segment.bytes is
	// capped at 8 MiB, which bounds the memory that a start takes.
	Settings map[string]string
	// Sync has everything that is acknowledged on disk before, safe from the loss
	// of power. Without it, it is in the system's memory, safe from the death of
	// this process only. Records that come with acks=0 are never acknowledged.
	Sync bool
	// ClusterID is used when DataDir is new; empty means a random one.
	ClusterID string
	// Log receives what happens; nil discards it.
	Log *slog.Logger

	fsync func(path string) error // of tests; nil for the system's
}

// ConfigError says which field of a Config cannot be used, and why.
type ConfigError struct {
	Field, Reason string
}

func (e *ConfigError) Error() string { return "broker config: " + e.Field + ": " + e.Reason }

// ListenError says which address could not be listened at. Err is what the
// system answered, such as EADDRINUSE or EADDRNOTAVAIL.
type ListenError struct {
	// Node is the broker's id, or -1 for the bootstrap address.
	Node    int32
	Address string
	Err     error
}

func (e *ListenError) Error() string {
	who := "bootstrap"
	if e.Node >= 0 {
		who = "broker " + strconv.Itoa(int(e.Node))
	}
	return fmt.Sprintf("%s cannot listen at %s: %v", who, e.Address, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }

// DataDirError says what could not be done with the data directory.
type DataDirError struct {
	Dir, Doing string
	Err        error
}

func (e *DataDirError) Error() string {
	return fmt.Sprintf("data directory %s: %s: %v", e.Dir, e.Doing, e.Err)
}

func (e *DataDirError) Unwrap() error { return e.Err }

// UnknownNodeError is the answer to a node id that the cluster does not have.
type UnknownNodeError struct {
	ID    int32
	Known []int32
}

func (e *UnknownNodeError) Error() string {
	return fmt.Sprintf("no broker %d; the cluster has %v", e.ID, e.Known)
}

var (
	// ErrInUse is wrapped in a DataDirError when another process runs a
	// cluster on the same directory.
	ErrInUse = errors.New("in use by another running cluster")
	// ErrClosed is the answer to anything asked of a closed cluster.
	ErrClosed = errors.New("cluster is closed")
)

func (c Config) validate() error {
	if len(c.Nodes) == 0 {
		return &ConfigError{"Nodes", "at least one broker is needed"}
	}
	seen := make(map[int32]bool)
	for _, n := range c.Nodes {
		switch {
		case n.ID < 0 || n.ID > maxNodeID:
			return &ConfigError{"Nodes", fmt.Sprintf("id %d is not within 0 to %d", n.ID, maxNodeID)}
		case seen[n.ID]:
			return &ConfigError{"Nodes", fmt.Sprintf("id %d is given twice", n.ID)}
		}
		seen[n.ID] = true
		if err := validAddress(n.Address); err != nil {
			return &ConfigError{"Nodes", fmt.Sprintf("broker %d: %v", n.ID, err)}
		}
	}
	if c.Bootstrap != "" {
		if err := validAddress(c.Bootstrap); err != nil {
			return &ConfigError{"Bootstrap", err.Error()}
		}
	}
	switch {
	case c.DataDir == "":
		return &ConfigError{"DataDir", "is empty"}
	case c.Superuser == "":
		return &ConfigError{"Superuser", "is empty"}
	case c.Password == "":
		return &ConfigError{"Password", "is empty"}
	}
	for _, key := range []string{
		"log.cleaner.backoff.ms", "log.retention.ms", "log.retention.minutes",
		"log.retention.hours", "log.segment.bytes", "num.partitions", "message.max.bytes",
	} {
		if v, ok := c.Settings[key]; ok {
			if _, err := strconv.ParseInt(v, 10, 64); err != nil {
				return &ConfigError{"Settings", fmt.Sprintf("%s=%q is not a whole number", key, v)}
			}
		}
	}
	return nil
}

func validAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host == "" {
		return fmt.Errorf("address %q names no host, and clients are told this address", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("address %q has no port number", address)
	}
	return nil
}

func (c Config) sortedNodes() []Node {
	return slices.SortedFunc(slices.Values(c.Nodes), func(a, b Node) int { return int(a.ID - b.ID) })
}

// settings is Settings in the units that kfake reads.
func (c Config) settings() map[string]string {
	s := maps.Clone(c.Settings)
	if s == nil {
		s = make(map[string]string)
	}
	// Kafka lets the finer unit win; kfake knows only the finest.
	if s["log.retention.ms"] == "" {
		for _, unit := range []struct {
			key    string
			millis int64
		}{{"log.retention.minutes", 60_000}, {"log.retention.hours", 3_600_000}} {
			n, err := strconv.ParseInt(s[unit.key], 10, 64)
			if err != nil {
				continue
			}
			if n >= 0 {
				n *= unit.millis
			}
			s["log.retention.ms"] = strconv.FormatInt(n, 10)
			break
		}
	}
	// What is not set must be said, too: kfake remembers what was set before.
	for _, key := range retentionKeys {
		if _, ok := s[key]; !ok {
			s[key] = ""
		}
	}
	// kfake loads one whole segment of every partition at a time when it starts.
	if n, err := strconv.ParseInt(s["log.segment.bytes"], 10, 64); err != nil || n > maxSegmentBytes {
		s["log.segment.bytes"] = strconv.Itoa(maxSegmentBytes)
	}
	// kfake's own cleaner must never run; see retention.go.
	s["log.cleaner.backoff.ms"] = neverMillis
	return s
}

// retentionKeys are the settings that topics without limits of their own inherit.
var retentionKeys = []string{"log.retention.ms", "log.retention.bytes"}

// autoCreate is Kafka's auto.create.topics.enable, true unless it is set.
func (c Config) autoCreate() bool {
	v, ok := c.Settings["auto.create.topics.enable"]
	return !ok || strings.EqualFold(strings.TrimSpace(v), "true")
}

// partitions is Kafka's num.partitions, one unless it is set.
func (c Config) partitions() int {
	if n, err := strconv.Atoi(c.Settings["num.partitions"]); err == nil && n > 0 {
		return n
	}
	return 1
}
