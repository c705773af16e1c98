// Package program is what alertlab runs in a pod: the same parts of the data plane
// that an embedded lab runs in its own process, each for itself, with its settings
// from the command line and its secrets from the environment, as a pod has them.
//
// A program runs until its context ends, and answers at its health address: /health
// while the process lives, /ready with 200 when it does what it is for, else with
// 503 and the reason. It knows nothing of Kubernetes, of labs and of profiles.
package program
