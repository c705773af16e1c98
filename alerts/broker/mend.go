package broker

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// headSize is how much of a frame tells what it is: its length, and then
	// API key, version and correlation id, at the same places in every
	// version of every request.
	headSize = 4 + 2 + 2 + 4
	// maxFrame is Kafka's socket.request.max.bytes.
	maxFrame = 100 << 20
	// maxFrameBeforeLogin is Kafka's sasl.server.max.receive.size.
	maxFrameBeforeLogin = 512 << 10
)

// offeredFromZero are requests that Kafka 4 offers from version 0, though clients
// that are let in use later ones: librdkafka 2.0, of Debian's kcat, takes SASL, and
// compression, for missing where the list does not begin there (Kafka's
// SaslHandshakeRequest.json, validVersions 0-1; KAFKA-18659 for Produce). Who
// really sends a version that kfake lacks is cut off.
var offeredFromZero = map[kmsg.Key]bool{kmsg.SASLHandshake: true, kmsg.Produce: true}

// conn is a client's connection as kfake sees it. It ends TLS, reads along
// enough of each frame to know what it is, and mends a few answers. kfake
// answers the requests of one connection one after the other and writes each
// answer with a single Write.
type conn struct {
	net.Conn
	cluster *Cluster
	node    *node

	// Of the reading side only.
	ready   []byte // bytes to give to kfake before any from the socket
	left    int    // bytes of the current frame still in the socket
	frame   sighting
	body    []byte // kfake's buffer of the current produce request, so far
	logging string // the user that a login is under way for

	mu      sync.Mutex
	expects []sighting // requests whose answers are to be mended
	user    string     // who is logged in
	link    *link      // to the controller, once it was needed
	done    bool
}

// sighting is a request on its way whose answer matters to us.
type sighting struct {
	key         kmsg.Key
	version     int16
	correlation int32
	// frame is the whole request, for those that are forwarded.
	frame []byte
	// user is who a login's last step is for.
	user string
	// mechanism is what a SaslHandshake asked for.
	mechanism string
	// epochs is what an OffsetForLeaderEpoch asked for.
	epochs *kmsg.OffsetForLeaderEpochRequest
	// at is the append time of a produce request, milliseconds since 1970.
	at int64
	// asIs marks an answer that is only held until what it says is on disk.
	asIs bool
}

func newConn(c *Cluster, n *node, socket net.Conn) *conn {
	if c.cfg.TLS != nil {
		socket = tls.Server(socket, c.cfg.TLS)
	}
	return &conn{Conn: socket, cluster: c, node: n}
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.ready) == 0 && c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.ready) > 0 {
		n := copy(p, c.ready)
		c.ready = c.ready[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	if c.frame.key == kmsg.Produce {
		if err := c.along(p[:n]); err != nil {
			return 0, err
		}
	}
	return n, err
}

// next reads the head of the next frame and decides what to do with it.
func (c *conn) next() error {
	head := make([]byte, headSize)
	if _, err := io.ReadFull(c.Conn, head); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head)
	c.frame = sighting{
		key:         kmsg.Key(binary.BigEndian.Uint16(head[4:])),
		version:     int16(binary.BigEndian.Uint16(head[6:])),
		correlation: int32(binary.BigEndian.Uint32(head[8:])),
	}
	c.mu.Lock()
	user := c.user
	c.mu.Unlock()
	// kfake believes any length and knows no unknown key: either would end
	// the process, and anything may connect to a port.
	limit := uint32(maxFrame)
	if user == "" {
		limit = maxFrameBeforeLogin
	}
	if size < headSize-4 || size > limit {
		return fmt.Errorf("frame of %d bytes is not within %d to %d", size, headSize-4, limit)
	}
	if kmsg.RequestForKey(int16(c.frame.key)) == nil || c.frame.version < 0 {
		return fmt.Errorf("unknown request: key %d, version %d", c.frame.key, c.frame.version)
	}
	c.ready, c.left = head, int(size)-(headSize-4)
	c.body = nil
	switch k := c.frame.key; {
	case k == kmsg.DescribeConfigs:
		c.expect(c.frame)
	case controllerOnly[k] && user != "":
		return c.take()
	case k == kmsg.SASLHandshake, k == kmsg.SASLAuthenticate:
		return c.overhear()
	case k == kmsg.DescribeUserSCRAMCredentials:
		return c.everybody()
	case k == kmsg.OffsetForLeaderEpoch:
		return c.askedEpochs()
	case k == kmsg.Fetch && !c.cluster.stamps.Load().none(),
		k == kmsg.ApiVersions, k == kmsg.Metadata, k == kmsg.DescribeCluster, k == kmsg.DescribeClientQuotas, k == kmsg.DescribeLogDirs,
		k == kmsg.AlterConfigs, k == kmsg.IncrementalAlterConfigs, k == kmsg.DeleteRecords:
		c.expect(c.frame)
	case c.cluster.syncer != nil && changesState[k]:
		only := c.frame
		only.asIs = true
		c.expect(only)
	}
	return nil
}

// whole reads the rest of a frame, so that ready holds all of it.
func (c *conn) whole() error {
	frame := make([]byte, len(c.ready)+c.left)
	copy(frame, c.ready)
	if _, err := io.ReadFull(c.Conn, frame[len(c.ready):]); err != nil {
		return err
	}
	c.ready, c.left = frame, 0
	return nil
}

// take keeps a request for the controller and gives kfake one in its place that
// it answers to anybody and in its turn: answers must come in the order of the
// requests, and only kfake knows which of them it has answered.
func (c *conn) take() error {
	if err := c.whole(); err != nil {
		return err
	}
	taken := c.frame
	taken.frame = c.ready
	c.expect(taken)
	c.ready = kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), taken.correlation)
	return nil
}

// read reads all of the request, and decodes it.
func (c *conn) read() (kmsg.Request, error) {
	if err := c.whole(); err != nil {
		return nil, err
	}
	return decodeRequest(c.ready[headSize:], int16(c.frame.key), c.frame.version)
}

// overhear learns who logs in. Requests of a kind that we cannot read are left
// to kfake, which closes the connection.
func (c *conn) overhear() error {
	req, err := c.read()
	if err != nil {
		return err
	}
	seen := c.frame
	switch req := req.(type) {
	case *kmsg.SASLHandshakeRequest:
		seen.mechanism = req.Mechanism
	case *kmsg.SASLAuthenticateRequest:
		switch user, ok := scramUser(req.SASLAuthBytes); {
		case ok:
			c.logging = user
		case bytes.HasPrefix(req.SASLAuthBytes, []byte("c=")):
			seen.user = c.logging
		}
	}
	c.expect(seen)
	return nil
}

// everybody asks for all users where a request names none: Kafka takes an empty
// list as it takes null, and Java's AdminClient sends the one where kfake wants
// the other.
func (c *conn) everybody() error {
	req, err := c.read()
	if err != nil {
		return err
	}
	if req, ok := req.(*kmsg.DescribeUserSCRAMCredentialsRequest); ok && len(req.Users) == 0 {
		req.Users = nil
		c.ready = kmsg.NewRequestFormatter().AppendRequest(nil, req, c.frame.correlation)
	}
	return nil
}

// askedEpochs keeps what a client asks about leader epochs: the answer alone does not
// tell.
func (c *conn) askedEpochs() error {
	req, err := c.read()
	if err != nil {
		return err
	}
	seen := c.frame
	seen.epochs, _ = req.(*kmsg.OffsetForLeaderEpochRequest)
	c.expect(seen)
	return nil
}

// scramUser is the name in a SCRAM client-first-message (RFC 5802).
func scramUser(message []byte) (string, bool) {
	parts := strings.Split(string(message), ",")
	if len(parts) < 4 || parts[0] != "n" {
		return "", false
	}
	name, ok := strings.CutPrefix(parts[2], "n=")
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(name), ok
}

// along follows a produce request into kfake's buffer, which kfake fills from
// front to back, and stamps it in place once it is complete.
func (c *conn) along(part []byte) error {
	if len(part) > 0 {
		have := len(c.body)
		switch {
		case have == 0:
			c.body = part
		case have+len(part) <= cap(c.body) && &c.body[:have+1][have] == &part[0]:
			c.body = c.body[:have+len(part)]
		default:
			return errors.New("a produce request is not read into one buffer")
		}
	}
	if c.left > 0 {
		return nil
	}
	body := c.body
	c.body = nil
	now := time.Now().UnixMilli()
	stamped, answered, err := c.cluster.stamps.Load().request(body, c.frame.version, now)
	if err != nil {
		return err
	}
	// Who asks for no answer, and for nothing else at this connection, would have
	// us keep every request for ever.
	if answered && (stamped || c.cluster.syncer != nil) {
		c.frame.at = now
		c.expect(c.frame)
	}
	return nil
}

func (c *conn) expect(s sighting) {
	c.mu.Lock()
	c.expects = append(c.expects, s)
	c.mu.Unlock()
}

// expected finds and forgets the request that an answer belongs to. Requests
// before it got no answer (produce with acks 0 has none) and are forgotten too.
func (c *conn) expected(correlation int32) (sighting, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.expects {
		if s.correlation == correlation {
			c.expects = append(c.expects[:0], c.expects[i+1:]...)
			return s, true
		}
	}
	return sighting{}, false
}

func (c *conn) Write(answer []byte) (int, error) {
	if len(answer) >= 8 {
		if s, ok := c.expected(int32(binary.BigEndian.Uint32(answer[4:]))); ok {
			mended, err := answer, error(nil)
			if !s.asIs {
				mended, err = c.mend(s, answer)
			}
			if err == nil && c.cluster.syncer != nil && changesState[s.key] {
				err = c.cluster.syncer.changed()
			}
			if err != nil {
				c.cluster.log.Warn("broker cannot mend an answer", "node", c.node.id,
					"request", kmsg.NameForKey(int16(s.key)), "err", err)
				return 0, err
			}
			if _, err := c.Conn.Write(mended); err != nil {
				return 0, err
			}
			return len(answer), nil
		}
	}
	return c.Conn.Write(answer)
}

// mend is the answer that Kafka would have given. Each case names who needs it.
func (c *conn) mend(s sighting, answer []byte) ([]byte, error) {
	switch s.key {
	case kmsg.Fetch: // batches in place, nothing moves
		return answer, c.cluster.stamps.Load().answer(answer, s.version)
	case kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs:
		return answer, c.cluster.changed()
	case kmsg.DeleteRecords:
		return answer, c.cluster.written()
	case kmsg.ApiVersions:
		// To a version that it does not know, Kafka and kfake answer in version 0
		// that they do not; the client asks again.
		if len(answer) >= 10 && int16(binary.BigEndian.Uint16(answer[8:])) == kerr.UnsupportedVersion.Code {
			return answer, nil
		}
	}
	if s.frame != nil {
		var err error
		if answer, err = c.forward(s.frame); err != nil {
			return nil, err
		}
	}
	decoded, err := decodeAnswer(answer, int16(s.key), s.version)
	if err != nil {
		return nil, err
	}
	switch a := decoded.(type) {
	case *kmsg.ApiVersionsResponse: // kcat of Debian, by librdkafka 2.0
		for i := range a.ApiKeys {
			if key := &a.ApiKeys[i]; offeredFromZero[kmsg.Key(key.ApiKey)] {
				key.MinVersion = 0
			}
		}
	case *kmsg.ProduceResponse: // producers that report the append time
		c.cluster.stamps.Load().acknowledge(a, s.at)
		if c.cluster.syncer != nil {
			c.cluster.syncer.produced(a, func(id [16]byte) string { return (*c.cluster.names.Load())[id] })
		}
	case *kmsg.MetadataResponse: // all: the controller is hidden
		a.ControllerID = c.cluster.controller()
		if err := c.cluster.notice(a); err != nil {
			return nil, err
		}
	case *kmsg.DescribeConfigsResponse: // our own simulator, which asks before it loads
		inheritMessageBytes(a, c.cluster.cfg.Settings[brokerMessageBytes])
	case *kmsg.DescribeClusterResponse: // Java AdminClient
		a.ControllerID = c.cluster.controller()
	case *kmsg.SASLHandshakeResponse: // aiokafka reads the list on success too
		a.SupportedMechanisms = []string{mechanism}
		if s.mechanism != mechanism && a.ErrorCode == 0 {
			a.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		}
	case *kmsg.SASLAuthenticateResponse:
		if s.user != "" && a.ErrorCode == 0 {
			c.mu.Lock()
			c.user = s.user
			c.mu.Unlock()
		}
	case *kmsg.CreateTopicsResponse: // Java AdminClient has no source -1, and wants a list
		for i := range a.Topics {
			if a.Topics[i].Configs == nil {
				a.Topics[i].Configs = []kmsg.CreateTopicsResponseTopicConfig{}
			}
			for j := range a.Topics[i].Configs {
				a.Topics[i].Configs[j].Source = int8(kmsg.ConfigSourceDynamicTopicConfig)
			}
		}
		if err := c.cluster.changed(); err != nil {
			return nil, err
		}
	case *kmsg.DeleteTopicsResponse, *kmsg.CreatePartitionsResponse:
		if err := c.cluster.changed(); err != nil {
			return nil, err
		}
	case *kmsg.AlterUserSCRAMCredentialsResponse:
		if err := secureFiles(c.cluster.cfg.DataDir); err != nil {
			return nil, err
		}
	case *kmsg.OffsetForLeaderEpochResponse: // our own ingester, whose brokers were killed
		c.cluster.endsOfEpochs(s.epochs, a)
	case *kmsg.DescribeLogDirsResponse: // consoles that show the disk of each broker
		c.cluster.disks(a, c.node.id)
	case *kmsg.DescribeClientQuotasResponse: // Java AdminClient wants a list
		if a.Entries == nil && a.ErrorCode == 0 {
			a.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
		}
	}
	return encodeAnswer(decoded, s.correlation), nil
}

// forward has the controller answer a request.
func (c *conn) forward(frame []byte) ([]byte, error) {
	c.mu.Lock()
	l, user := c.link, c.user
	c.mu.Unlock()
	if l == nil {
		var err error
		if l, err = c.cluster.dial(user, c.RemoteAddr()); err != nil {
			return nil, err
		}
		c.mu.Lock()
		c.link = l
		done := c.done
		c.mu.Unlock()
		if done {
			l.Close()
		}
	}
	return l.exchange(frame)
}

// Close is called by kfake. It closes the connection on a failed login without
// a word, at which clients try again and again; Kafka tells them.
func (c *conn) Close() error {
	c.mu.Lock()
	var refused *sighting
	if n := len(c.expects); n > 0 && c.expects[n-1].key == kmsg.SASLAuthenticate && !c.done {
		refused = &c.expects[n-1]
	}
	c.mu.Unlock()
	if refused == nil || c.cluster.closing.Load() {
		return c.cut()
	}
	// Not here: kfake waits.
	last := *refused
	time.AfterFunc(refusalDelay, func() {
		why := "Authentication failed during authentication due to invalid credentials with SASL mechanism " + mechanism
		a := kmsg.NewPtrSASLAuthenticateResponse()
		a.Version = last.version
		a.ErrorCode = kerr.SaslAuthenticationFailed.Code
		a.ErrorMessage = &why
		c.SetWriteDeadline(time.Now().Add(time.Second)) // a client that does not read holds nothing for long
		c.Conn.Write(encodeAnswer(a, last.correlation))
		c.cut()
	})
	return nil
}

// refusalDelay is how long a refused login waits for its answer, so that passwords
// cannot be tried in quick succession, nor a client that tries again for ever take all
// there is: Kafka's connection.failed.authentication.delay.ms, by default.
const refusalDelay = 100 * time.Millisecond

// cut ends the connection at once.
func (c *conn) cut() error {
	c.mu.Lock()
	was, l := c.done, c.link
	c.done = true
	c.mu.Unlock()
	if was {
		return nil
	}
	if l != nil {
		l.Close()
	}
	c.node.forget(c)
	return c.Conn.Close()
}

// decodeRequest reads a request from behind its correlation id. Byte fields of
// the result point into b.
func decodeRequest(b []byte, key, version int16) (kmsg.Request, error) {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	r := kbin.Reader{Src: b}
	r.NullableString() // client id
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := req.ReadFrom(r.Src); err != nil {
		return nil, fmt.Errorf("%s v%d: %w", kmsg.NameForKey(key), version, err)
	}
	return req, nil
}
