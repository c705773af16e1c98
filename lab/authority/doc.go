// Package authority is a lab's own certificate authority: it is made once, kept in
// a folder, and signs the certificates under which the lab's servers are known. On
// Kubernetes cert-manager does the same.
//
// It knows names and addresses, no components. Everybody may import it, so it
// imports nothing of this project.
package authority
