// Package node is the first program of a node of the rig: a container that is
// a Kubernetes machine, made by kubeadm, under k3d, kind, or neither. One image
// serves all three; the words that the container is started with decide.
//
//	(none)                 kind's contract: services up, then kind runs kubeadm itself
//	server|agent FLAGS     k3s's words, as k3d says them (also after the word k3s)
//	plain server|agent FLAGS  the same, in a cluster that neither k3d nor kind makes
//	noop                   k3d's tools node: wait
//	kubectl|ctr|crictl ARGS   that program
//	--version
//
// Under the names k3s, systemctl and journalctl the program is those.
//
// # What the image holds
//
//	/usr/local/bin/node                        this program; the entrypoint behind tini
//	/usr/local/bin/{kubeadm,kubelet,kubectl,crictl}
//	/usr/local/bin/{systemctl,journalctl}, /bin/k3s   links to node
//	/bin/sh                                    a link to bash: k3d's entrypoint traps SIGTERM by that name
//	/k3d-tools                                 for a tools node of this image
//	/rig/bin/runc                              the runc wrapper, used only without CAP_SYS_RESOURCE
//	/rig/images/{common,server}.tar            image archives; names.txt, the references in them
//	/kind/version                              the version of Kubernetes
//	/usr/sbin/{iptables,ip6tables}{,-save,-restore}  links to xtables-nft-multi
//	/output, /tmp, .kube in the home of root    empty folders
//
// and Debian's containerd, runc, CNI plugins, iptables, iproute2, mount, tini
// and coreutils. Volumes, because an overlay cannot lie on an overlay:
// /var/lib/{containerd,kubelet,etcd,cni,rancher/k3s} and /var/log. Environment:
// CONTAINERD_NAMESPACE=k8s.io, because k3d imports images without naming one.
//
// # A plain node
//
// docker create --privileged --hostname NAME --network NET --tmpfs /run
// -v /lib/modules:/lib/modules:ro -e K3S_TOKEN=SECRET IMAGE plain server FLAGS;
// agents (and further servers) get -e K3S_URL=https://SERVER:6443 as well. The
// lines `k3s is up and running` (server) and `Successfully registered node
// NAME` (agent) say on each start that it is ready; before a failure's end,
// with exit code 1, a line has level=fatal. The kubeconfig is
// /etc/rancher/k3s/k3s.yaml on servers, for 127.0.0.1:6443.
//
// # What it may not touch
//
// Everything happens inside the container. The packet filter is changed only
// in a network namespace that is surely the node's own (package network);
// kernel settings of the host are left as they are. A node that finds too few
// inotify instances left on the host says so and ends.
//
// # What is left out
//
// Registries in /etc/rancher/k3s/registries.yaml, removal of what a deleted
// manifest installed, traefik, servicelb and metrics-server. Servers after
// the first reach the cluster by the first one's name: agents do as well, so a
// cluster of several servers keeps its data without the first, but its agents
// do not report until it is back. When several servers get other addresses
// over a restart, their etcd does not find its members again.
//
// Control groups of version 2 are prepared as kind does it; that path is
// covered by a unit test only.
package node
