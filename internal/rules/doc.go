// Package rules holds the rules of who may import whom, which keep the rooms of
// this project apart. A rule is a function of an import graph, so that it can be
// tried on a planted violation; the test of this package applies them to the
// project itself. Nothing imports this package.
package rules
