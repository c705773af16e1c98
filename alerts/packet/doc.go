// Package packet is the alert packet: its published schemas, its bytes on the
// wire and in files, and synthetic visits full of them.
//
//   - Schemas: the fourteen versions of the lsst-alert-packet schema, built
//     from an embedded table of their fields (schemas.csv) on first use, as
//     Avro parsing canonical form, which is what a schema registry holds.
//   - Wire: Confluent wire format, the five-byte header before every datum.
//   - Encoding: one Avro datum to and from a map, always with a given writer
//     schema, and cheap projections: Head, the identifier and the time, and Glance,
//     what a list shows.
//   - Containers: Avro object container files, read and written as raw datum
//     bytes, so that nothing is re-encoded on its way to a topic.
//   - Visits: made-up but self-consistent alerts of one visit in any schema.
//
// The package is bytes in, bytes out: it opens no file or socket, logs
// nothing, imports nothing else of alertlab, and keeps no state beyond the
// lazily built schemas.
package packet
