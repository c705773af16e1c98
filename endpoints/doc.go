// Package endpoints is the connection card of a lab: every address, user and
// optional handle that a client needs, and the only thing that smoke checks and
// clients get. The same card describes an embedded lab, a lab on Kubernetes
// and a real deployment.
//
// It is a leaf: it imports nothing of ours. Passwords are kept apart, in
// Credentials, which is never printed as a whole.
package endpoints
