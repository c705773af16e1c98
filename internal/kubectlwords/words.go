// Package kubectlwords keeps kubectl's commands, which Argo CD's client reaches, from
// reading their translations when a program starts: 12 ms of each start, for texts
// that nobody is shown. Importing it is enough, wherever it is imported: Go
// initializes a package as soon as all that it imports are, in the order of their
// paths, and this one needs nothing but the package that holds the translations.
package kubectlwords

import "k8s.io/kubectl/pkg/util/i18n"

func init() {
	// An error says that somebody was earlier: then they were read, and time is all
	// that is lost.
	_ = i18n.SetLoadTranslationsFunc(func() error { return nil })
}
