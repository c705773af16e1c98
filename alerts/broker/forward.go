package broker

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfake's controller is one broker, chosen when it starts and kept by pointer:
// four requests are answered on its connections only, and once it is removed
// nobody can make a topic or a user again. So that every broker of ours can be
// killed, the controller is a broker that kfake has already dropped from its
// list but that still accepts, through the backdoor. As with KRaft, any broker
// forwards these requests to it, and any living broker is named the controller.
var controllerOnly = map[kmsg.Key]bool{
	kmsg.CreateTopics:              true,
	kmsg.DeleteTopics:              true,
	kmsg.CreatePartitions:          true,
	kmsg.AlterUserSCRAMCredentials: true,
}

// link is a connection to the controller, inside this process, logged in as
// one user so that kfake applies that user's ACLs. It is not safe for use by
// several goroutines.
type link struct {
	net.Conn
	correlation int32
}

// asFrom is a connection that says it comes from elsewhere, for ACLs that name
// a host.
type asFrom struct {
	net.Conn
	remote net.Addr
}

func (c asFrom) RemoteAddr() net.Addr { return c.remote }

// dial opens a link as user. The password is not known here, but the salted
// one is: it is all that SCRAM needs of a client.
func (c *Cluster) dial(user string, from net.Addr) (*link, error) {
	all, err := readCredentials(c.cfg.DataDir)
	if err != nil {
		return nil, err
	}
	secret, ok := all.Scram512[user]
	if !ok {
		return nil, fmt.Errorf("user %q is gone", user)
	}
	near, far := net.Pipe()
	if !c.backdoor.enter(asFrom{far, from}) {
		return nil, ErrClosed
	}
	l := &link{Conn: near}
	if err := l.login(user, secret); err != nil {
		l.Close()
		return nil, fmt.Errorf("logging in to the controller as %q: %w", user, err)
	}
	return l, nil
}

// exchange sends one request frame, its length first, and returns the answer
// frame, its length first.
func (l *link) exchange(frame []byte) ([]byte, error) {
	if _, err := l.Write(frame); err != nil {
		return nil, err
	}
	size := make([]byte, 4)
	if _, err := io.ReadFull(l, size); err != nil {
		return nil, err
	}
	answer := make([]byte, 4+binary.BigEndian.Uint32(size))
	copy(answer, size)
	_, err := io.ReadFull(l, answer[4:])
	return answer, err
}

func (l *link) ask(req kmsg.Request) (kmsg.Response, error) {
	l.correlation++
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("alertlab-broker"))
	answer, err := l.exchange(f.AppendRequest(nil, req, l.correlation))
	if err != nil {
		return nil, err
	}
	return decodeAnswer(answer, req.Key(), req.GetVersion())
}

// login is the client's side of SCRAM-SHA-512 (RFC 5802) without channel
// binding, starting from the salted password.
func (l *link) login(user string, secret credential) error {
	shake := kmsg.NewPtrSASLHandshakeRequest()
	shake.Version = 1
	shake.Mechanism = mechanism
	if _, err := l.ask(shake); err != nil {
		return err
	}
	step := func(b []byte) (string, error) {
		auth := kmsg.NewPtrSASLAuthenticateRequest()
		auth.SASLAuthBytes = b
		answer, err := l.ask(auth)
		if err != nil {
			return "", err
		}
		a := answer.(*kmsg.SASLAuthenticateResponse)
		return string(a.SASLAuthBytes), kerr.ErrorForCode(a.ErrorCode)
	}
	bare := "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user) + ",r=" + rand.Text()
	first, err := step([]byte("n,," + bare))
	if err != nil {
		return err
	}
	nonce, _, ok := strings.Cut(strings.TrimPrefix(first, "r="), ",")
	if !ok {
		return errors.New("unexpected first SCRAM answer")
	}
	final := "c=biws,r=" + nonce
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha512.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	clientKey := mac(secret.SaltedPass, "Client Key")
	storedKey := sha512.Sum512(clientKey)
	proof := mac(storedKey[:], bare+","+first+","+final)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	_, err = step([]byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)))
	return err
}

// decodeAnswer reads an answer frame, its length first. Byte fields of the
// result point into frame.
func decodeAnswer(frame []byte, key, version int16) (kmsg.Response, error) {
	resp := kmsg.ResponseForKey(key)
	resp.SetVersion(version)
	r := kbin.Reader{Src: frame[min(8, len(frame)):]}
	if resp.IsFlexible() && key != int16(kmsg.ApiVersions) {
		kmsg.SkipTags(&r)
	}
	if err := resp.ReadFrom(r.Src); err != nil {
		return nil, fmt.Errorf("answer to %s v%d: %w", kmsg.NameForKey(key), version, err)
	}
	return resp, nil
}

// encodeAnswer is the inverse of decodeAnswer.
func encodeAnswer(resp kmsg.Response, correlation int32) []byte {
	b := make([]byte, 8, 512)
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		b = append(b, 0)
	}
	b = resp.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	binary.BigEndian.PutUint32(b[4:], uint32(correlation))
	return b
}
