// Package simulator plays alerts into a topic the way the telescope would:
// one visit every 37 s.
//
// It does two things, as the reference rubin-alert-sim does. Create loads a
// reservoir topic once, each record carrying the time of its alert relative to
// the first one in the header alertsim-time-offset. A Player then copies the
// reservoir into the topic that the community reads, again and again, on a
// fixed grid of start times.
//
// # The reservoir
//
// The reservoir is a topic of one partition, so that the order of the source
// is the order of the topic. It has no end marker: its records are the
// reference's own format and a reference player can play it. What makes a
// load whole is its Manifest, which the caller stores when Create has
// returned; a load that was cut short has no manifest, and Verify tells a
// reservoir that is no longer what its manifest says.
//
// # Replacing what is being played
//
// Create with Replace deletes all records first, then loads. A player at work
// never mixes old and new in one visit, because it fixes the offsets of a
// visit when it begins:
//
//   - A visit under way keeps what it has read; if it needs a record that is
//     gone, it ends early with a *ReservoirChangedError.
//   - A visit whose start falls inside the load plays the records that were
//     there at that moment, which are the first ones of the new content, or
//     reports ErrEmptyReservoir. Pause the player for the time of the load where
//     that matters.
//   - The next visit after the load plays the new content, all of it.
//
// The same holds if the topic is deleted and created again, which is how the
// reference replaces it.
//
// # Bounds
//
// The package knows Kafka, alert packets and nothing else: no labs, no
// profiles, no Kubernetes. It creates no topics and grants nothing. A creator
// needs Write, Describe and (to replace) Delete on the reservoir; a player
// needs Read on the reservoir and Write on the destination. DescribeConfigs on
// the topic written to lets both learn its max.message.bytes; without it they
// assume Kafka's default.
package simulator
