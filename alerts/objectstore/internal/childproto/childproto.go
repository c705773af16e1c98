// Package childproto is what the parent and the object store's child process
// say to each other over the child's standard input and output.
//
// The parent writes one Config as a JSON line to the child's standard input and
// then keeps that pipe open for as long as it lives: its end is the one signal
// that also arrives after kill -9. The child answers with one Message as a JSON
// line on its standard output; other lines there are log text.
package childproto

// Config travels over a pipe rather than in arguments or the environment,
// because both of those can be read by other processes of the host.
type Config struct {
	// Root is the absolute path of the folder that the child owns.
	Root string `json:"root"`
	// Address is host:port to listen at; port 0 means any free one.
	Address string `json:"address"`
	// AccessKey and SecretKey are the only credentials that are accepted.
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
	Region    string `json:"region"`
}

// Message is the child's one answer: Ready with its real Address, or Failed
// with the reason.
type Message struct {
	// Alertlab marks the line, so that log text which happens to be JSON is
	// not taken for the answer. It is always Mark.
	Alertlab string `json:"alertlab"`
	Ready    bool   `json:"ready"`
	// Address is the host:port at which the child answers.
	Address string `json:"address,omitempty"`
	// Metadata says where object metadata is kept: xattr or sidecar.
	Metadata string `json:"metadata,omitempty"`
	Failed   string `json:"failed,omitempty"`
}

// Mark is the value of Message.Alertlab.
const Mark = "object-store"
