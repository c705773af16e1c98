// Package support writes one archive for a bug report: files that the caller
// collects, each of them searched for the lab's secrets before it is written.
//
// It knows no lab, no component and no format of a file. Whatever cannot be had is
// left out, with its reason, and never an error: an archive is wanted most when
// little works.
package support
