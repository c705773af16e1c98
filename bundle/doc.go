// Package bundle is one file that holds every container image and Helm chart a
// stack needs, for a site without internet: written by streaming, verified
// while it is read, loaded into Kubernetes nodes or pushed to a site's registry.
//
// It imports nothing of this project, starts no programs and reaches no network
// unless a registry is given to it.
//
// # Format
//
// A bundle is an uncompressed tar archive (POSIX ustar) of an OCI image layout
// (OCI image specification 1.0). Its entries, in this order and no others:
//
//	oci-layout              JSON, at most 512 bytes; names the digest and size of index.json
//	index.json              OCI image index: an entry for each image and each chart
//	blobs/sha256/<hex>      the manifests, in the order of the index
//	blobs/sha256/<hex>      for each manifest in turn its config, then its layers
//	1024 zero bytes         the end of the archive
//
// A blob is written once, where it first occurs. Every header has mode 0644,
// owner 0:0 and modification time 0, so that the same content gives the same
// bytes. Because digests and sizes are known before the first byte is written,
// the index lies first, and the index and the manifests say where each blob
// lies: a reader needs the head of the file only, and every byte behind it is
// determined: a digest, a header that follows from the index, or a zero. The
// digest in oci-layout covers index.json, and so the whole content; it names the
// bundle (see Bundle.Digest). Limits: a blob holds less than 8 GiB (what a ustar
// header can say), index.json and each manifest at most 4 MiB.
//
// Annotations of the index: dev.alertlab.bundle.format (now "1"), .stack,
// .profile, .platform, .created-by, and org.opencontainers.image.created if a
// time was given. An entry has org.opencontainers.image.ref.name with its full
// reference; images also have io.containerd.image.name and their platform;
// charts have the artifact type application/vnd.cncf.helm.config.v1+json and the
// reference NAME:VERSION.
//
// Any reader of OCI image layouts can read a bundle. One exception: containerd
// tries to unpack charts as images and then says that the import has failed, so
// that nodes get the images alone, by Bundle.Import or Bundle.WriteImages.
//
// # References
//
// An image is called by its full reference, as containerd writes it:
// docker.io/library/redis:8.0 for redis:8.0. See Normalize. A reference without
// tag and digest is refused, since what it means changes.
//
// In a site's registry the registry of origin becomes part of the path, so that
// no two images can meet in one repository, and so that a node's mirror
// configuration needs a prefix only: see Registry.Image and Registry.Chart.
package bundle
