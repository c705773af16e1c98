// Package parts builds what the rig's images are made of, from package
// registries alone: Go programs from their modules, jars from Maven, root
// file systems from Debian packages, and resource definitions generated from
// Go and Java types.
//
// The pins stand in one file, hack/rig/parts.yaml. A built part is kept in a
// Store under a key, which is a hash over everything that decides what the
// part contains, so that a store never gives an outdated part, nor half of one.
//
// It knows no image, no engine and no cluster, and changes nothing outside the
// store but for Debian packages of build tools that the machine lacks, which
// it says when it installs them. Where packages come from is decided by the
// settings of the clients go, mvn and apt on the machine: no registry is named
// here.
package parts
