// Package engine finds the Docker engine that the rig works with, or starts one
// of its own, and takes that one away again without a trace.
//
// An engine that is already there is only used: no setting of it is changed. The
// rig's own engine is a dockerd and a containerd in sessions of their own, with
// everything they keep below one folder, so that they live beside another engine
// of the machine:
//
//   - dockerd makes no firewall rules and has a default bridge of a name of its
//     own. Another dockerd's rules, which a starting one would flush, and its
//     docker0 are never touched; instead one chain is hooked into FORWARD. It lets the networks of
//     this engine talk among themselves and rejects what they would send beyond
//     the machine; nothing is masqueraded. Ports are published by docker-proxy.
//   - Its networks come out of one range that no interface and no route of the
//     machine has when it starts.
//   - All of its containers are in one cgroup, by which they are found and ended
//     even when the engine was killed.
//
// What the machine had before is recorded before anything is changed, and put
// back by Stop. Processes are ended only when their program, start time and
// boot are those recorded. The package writes below its folder and, through the
// engine, to the machine's network and cgroups; images and clusters are others'
// business.
package engine
