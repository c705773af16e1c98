// Package drafts reads an alert schema version that is not released: a folder of
// .avsc files as in alert_packet, one for each record, such as
//
//	lsst.v12_0.alert.avsc
//	lsst.v12_0.diaSource.avsc
//
// It finds everything that is wrong with them, with file and line, puts them
// together into the one schema that a registry holds, and says how that differs
// from another version.
//
// It reads files and writes none, and it knows no registry.
package drafts
