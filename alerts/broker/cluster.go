package broker

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Cluster is a running cluster. Its methods may be called from any goroutine.
type Cluster struct {
	cfg       Config
	log       *slog.Logger
	lock      *os.File
	nodes     []*node // ascending by id, never changes
	bootstrap net.Listener
	stamps    atomic.Pointer[stamps]
	syncer    *syncer                             // nil when nothing is synced
	names     atomic.Pointer[map[[16]byte]string] // of topics, by id
	turn      atomic.Uint32                       // whose turn it is at the bootstrap address
	closing   atomic.Bool
	work      sync.WaitGroup
	stop      context.CancelFunc

	// mu makes changes of membership and leadership one at a time, and keeps
	// kfake from being asked anything once it is closing: it would not
	// answer.
	mu       sync.Mutex
	closed   bool
	fake     *kfake.Cluster
	next     *door // the door that kfake's next listener becomes
	backdoor *door // into the broker that kfake takes for its controller
	topics   map[string]bool
	marked   marks // as written last
}

// Start brings a cluster up, on a new DataDir or on one that an earlier cluster
// left, whether by Close or by being killed. ctx bounds the start only.
//
// Errors are *ConfigError, *ListenError (an address is taken or not ours) and
// *DataDirError.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, log: cfg.Log, topics: make(map[string]bool)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.stamps.Store(new(stamps))
	c.names.Store(new(map[[16]byte]string))
	if cfg.Sync {
		c.syncer = newSyncer(cfg.DataDir, c.log)
		if cfg.fsync != nil {
			c.syncer.fsync = cfg.fsync
		}
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	var err error
	if c.lock, err = lockDataDir(c.cfg.DataDir); err != nil {
		return err
	}
	// Addresses first: a taken port should cost nothing and change nothing.
	for _, n := range c.cfg.sortedNodes() {
		l, err := listen(ctx, n.ID, n.Address)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, &node{
			id: n.ID, address: told(n.Address, l), socket: l, conns: make(map[*conn]struct{}),
		})
	}
	if c.cfg.Bootstrap != "" {
		if c.bootstrap, err = listen(ctx, -1, c.cfg.Bootstrap); err != nil {
			return err
		}
	}
	if err := prepareSecrets(c.cfg.DataDir, c.cfg.Superuser, c.cfg.Password); err != nil {
		return err
	}
	if err := recoverData(c.cfg.DataDir, c.log); err != nil {
		return err
	}
	before, err := readMarks(c.cfg.DataDir)
	if err != nil {
		return err
	}
	if err := c.startFake(); err != nil {
		return err
	}
	if err := errors.Join(secureFiles(c.cfg.DataDir), opened(c.cfg.DataDir)); err != nil {
		return err
	}
	debug.FreeOSMemory() // loading reads the whole log, and keeps none of it
	if err := c.outrank(before); err != nil {
		return err
	}
	if err := errors.Join(c.changed(), c.written()); err != nil {
		return err
	}
	for _, n := range c.nodes {
		c.serve(n.socket, func() *node { return n })
	}
	if c.bootstrap != nil {
		c.serve(c.bootstrap, c.someone)
	}
	var run context.Context
	run, c.stop = context.WithCancel(context.Background())
	c.work.Go(func() { c.retain(run) })
	return nil
}

// startFake makes kfake's brokers. kfake numbers them from zero and takes the
// last for its controller for ever, so it gets one more than the highest id:
// the last becomes a controller that never dies and that clients never see,
// the ids that the configuration leaves out are dropped at once.
func (c *Cluster) startFake() error {
	highest := c.nodes[len(c.nodes)-1].id
	ours := make(map[int32]*node)
	for _, n := range c.nodes {
		ours[n.id] = n
	}
	var made int32
	listen := func(_, _ string) (net.Listener, error) {
		if made > highest+1 {
			return c.next, nil // AddNode, with c.mu held
		}
		id := made
		made++
		switch n := ours[id]; {
		case n != nil:
			n.door = newDoor(n.address)
			return n.door, nil
		case id == highest+1:
			c.backdoor = newDoor("localhost:0")
			c.backdoor.hidden = true
			return c.backdoor, nil
		default:
			return newDoor("localhost:0"), nil
		}
	}
	versions := kversion.Stable()
	// DescribeTopicPartitions comes with null lists that the Java client
	// does not take; without it every client falls back to Metadata.
	versions.SetMaxKeyVersion(int16(kmsg.DescribeTopicPartitions), -1)
	// Brokers without a telemetry reporter do not offer these; offered, they make
	// librdkafka print a line for each client.
	versions.SetMaxKeyVersion(int16(kmsg.GetTelemetrySubscriptions), -1)
	versions.SetMaxKeyVersion(int16(kmsg.PushTelemetry), -1)
	id := c.cfg.ClusterID
	if id == "" {
		id = randomID()
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(int(highest) + 2),
		kfake.ListenFn(listen),
		kfake.ClusterID(id),
		kfake.DataDir(c.cfg.DataDir),
		kfake.EnableSASL(),
		kfake.EnableACLs(),
		kfake.Superuser(mechanism, c.cfg.Superuser, c.cfg.Password),
		kfake.BrokerConfigs(c.cfg.settings()),
		kfake.DefaultNumPartitions(c.cfg.partitions()),
		kfake.MaxVersions(versions),
		kfake.WithLogger(fakeLog{c.log}),
	}
	if c.cfg.autoCreate() {
		opts = append(opts, kfake.AllowAutoTopicCreation())
	}
	fake, err := kfake.NewCluster(opts...)
	if err != nil {
		return &DataDirError{c.cfg.DataDir, "loading", err}
	}
	c.fake = fake
	for id := highest + 1; id >= 0; id-- {
		if ours[id] == nil {
			if err := fake.RemoveNode(id); err != nil {
				return fmt.Errorf("dropping placeholder broker %d: %w", id, err)
			}
		}
	}
	return nil
}

// serve accepts connections until the listener closes and lets the broker that
// to names take each of them.
func (c *Cluster) serve(l net.Listener, to func() *node) {
	c.work.Go(func() {
		for {
			s, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					c.log.Error("broker stops accepting", "address", l.Addr().String(), "err", err)
				}
				return
			}
			n := to()
			if n == nil || !n.admit(newConn(c, n, s)) {
				s.Close()
			}
		}
	})
}

// someone is the next living broker in turn, or nil.
func (c *Cluster) someone() *node {
	first := int(c.turn.Add(1))
	for i := range c.nodes {
		if n := c.nodes[(first+i)%len(c.nodes)]; n.alive() {
			return n
		}
	}
	return nil
}

// Bootstrap is the bootstrap address as host:port. Without one it is the first
// broker's address.
func (c *Cluster) Bootstrap() string {
	if c.bootstrap == nil {
		return c.nodes[0].address
	}
	return told(c.cfg.Bootstrap, c.bootstrap)
}

// told is what clients are told of a listener: the host as it was configured, which
// may be a name, and the port that is listened at, which may have been the system's
// choice.
func told(configured string, l net.Listener) string {
	host, _, err := net.SplitHostPort(configured)
	_, port, err2 := net.SplitHostPort(l.Addr().String())
	if err != nil || err2 != nil { // neither can be: it was validated, and is listened at
		return l.Addr().String()
	}
	return net.JoinHostPort(host, port)
}

// Nodes lists every broker, dead or alive, ascending by id, with the address
// that clients are told.
func (c *Cluster) Nodes() []Node {
	nodes := make([]Node, len(c.nodes))
	for i, n := range c.nodes {
		nodes[i] = Node{n.id, n.address}
	}
	return nodes
}

// Living lists the ids of the brokers that are up, ascending.
func (c *Cluster) Living() []int32 {
	var ids []int32
	for _, n := range c.nodes {
		if n.alive() {
			ids = append(ids, n.id)
		}
	}
	return ids
}

// Kill drops a broker as if its machine had gone: its address refuses
// connections, those that were open are cut, its partitions and groups go to
// living brokers. Killing a dead broker does nothing. The last one may be
// killed too; then nothing answers until one is restarted.
func (c *Cluster) Kill(id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if !n.die() {
		return nil
	}
	c.log.Info("broker killed", "id", id)
	return c.settle()
}

// Restart brings a killed broker back at its address, and the leaders that
// belong to it with it. Restarting a living broker does nothing. The error is a
// *ListenError when something else took the address meanwhile.
func (c *Cluster) Restart(ctx context.Context, id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case n.alive():
		return nil
	}
	l, err := listen(ctx, id, n.address)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.socket = l
	n.mu.Unlock()
	if err := c.settle(); err != nil {
		return errors.Join(err, c.abandon(n))
	}
	c.serve(l, func() *node { return n })
	c.log.Info("broker restarted", "id", id)
	return nil
}

func (c *Cluster) abandon(n *node) error {
	n.die()
	return c.settle()
}

func (c *Cluster) node(id int32) (*node, error) {
	var known []int32
	for _, n := range c.nodes {
		if n.id == id {
			return n, nil
		}
		known = append(known, n.id)
	}
	return nil, &UnknownNodeError{id, known}
}

// settle makes kfake have exactly the living brokers and gives every partition
// the leader that it should have. kfake refuses to be without brokers, so the
// last dead one stays in its list until another returns.
func (c *Cluster) settle() error {
	members := 0
	for _, n := range c.nodes {
		if n.alive() && n.door == nil {
			d := newDoor(n.address)
			c.next = d
			if _, _, err := c.fake.AddNode(n.id, 0); err != nil {
				return fmt.Errorf("adding broker %d: %w", n.id, err)
			}
			n.mu.Lock()
			n.door = d
			n.mu.Unlock()
		}
		if n.door != nil {
			members++
		}
	}
	for _, n := range c.nodes {
		if n.alive() || n.door == nil || members == 1 {
			continue
		}
		if err := c.fake.RemoveNode(n.id); err != nil {
			return fmt.Errorf("removing broker %d: %w", n.id, err)
		}
		n.mu.Lock()
		n.door = nil
		n.mu.Unlock()
		members--
	}
	topics, err := c.describe()
	if err != nil {
		return err
	}
	if err := c.lead(topics); err != nil {
		return err
	}
	return c.mark(topics, 0)
}

// withTopics does something with all topics while nothing else changes them.
func (c *Cluster) withTopics(do func([]kmsg.MetadataResponseTopic) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	topics, err := c.describe()
	if err != nil {
		return err
	}
	return do(topics)
}

// changed is called after anything that may have made, removed or altered
// topics. Clients get their answer only afterwards, so that what they asked
// for is in force when they hear so.
func (c *Cluster) changed() error { return c.withTopics(c.follow) }

// follow takes over what the topics are now. Called with the lock held.
func (c *Cluster) follow(topics []kmsg.MetadataResponseTopic) error {
	clear(c.topics)
	names := make(map[[16]byte]string, len(topics))
	for _, t := range topics {
		c.topics[*t.Topic] = true
		names[t.TopicID] = *t.Topic
	}
	c.names.Store(&names)
	if err := c.lead(topics); err != nil {
		return err
	}
	s, err := c.readStamps(topics)
	if err != nil {
		return err
	}
	c.stamps.Store(s)
	return nil
}

// lead moves each partition to the first living broker at or after its own in
// the ring of all brokers: spread evenly, the same after every restart, and
// home again when the broker returns.
func (c *Cluster) lead(topics []kmsg.MetadataResponseTopic) error {
	var up []*node
	for _, n := range c.nodes {
		up = append(up, n)
		if !n.alive() {
			up[len(up)-1] = nil
		}
	}
	for _, t := range topics {
		h := fnv.New32a()
		h.Write([]byte(*t.Topic))
		first := int(h.Sum32() % uint32(len(up)))
		for _, p := range t.Partitions {
			for i := range up {
				n := up[(first+int(p.Partition)+i)%len(up)]
				if n == nil {
					continue
				}
				if n.id != p.Leader {
					if err := c.fake.MoveTopicPartition(*t.Topic, p.Partition, n.id); err != nil {
						return fmt.Errorf("moving %s[%d] to broker %d: %w", *t.Topic, p.Partition, n.id, err)
					}
				}
				break
			}
		}
	}
	return nil
}

// controller is the broker that clients are told is the controller: any will
// do, as with KRaft, where brokers forward what only the controller answers.
func (c *Cluster) controller() int32 {
	for _, n := range c.nodes {
		if n.alive() {
			return n.id
		}
	}
	return -1
}

// Close stops the cluster and writes its state; a later Start on the same
// DataDir goes on from it. It may be called more than once.
func (c *Cluster) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.closing.Store(true)
	if c.bootstrap != nil {
		c.bootstrap.Close()
	}
	for _, n := range c.nodes {
		n.mu.Lock()
		if n.socket != nil {
			n.socket.Close()
		}
		n.mu.Unlock()
	}
	if c.fake != nil {
		c.fake.Close()
	}
	if c.backdoor != nil {
		c.backdoor.shut()
	}
	c.mu.Unlock()
	for _, n := range c.nodes {
		n.die()
	}
	if c.stop != nil {
		c.stop()
	}
	c.work.Wait()
	if c.lock == nil {
		return nil
	}
	var err error
	if c.fake != nil {
		err = secureFiles(c.cfg.DataDir)
	}
	return errors.Join(err, unlock(c.lock))
}

// randomID is a cluster id as Kafka makes them: 16 random bytes in URL-safe
// base64 without padding.
func randomID() string {
	var id [16]byte
	rand.Read(id[:])
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// fakeLog gives kfake's messages to slog.
type fakeLog struct{ log *slog.Logger }

func (l fakeLog) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	}
	if l.log.Enabled(context.Background(), to) {
		l.log.Log(context.Background(), to, fmt.Sprintf(format, args...))
	}
}
