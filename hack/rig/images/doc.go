// Package images turns recipes and built parts into container images, without
// any engine: an OCI image layout that holds all of them, and the archive that
// brings the node image into a Docker engine.
//
// Every image has a key, the hash of its recipe, of the keys of its parts and of
// the version of this code. An image whose key stands in the layout's index is
// there and complete, since an entry is written after everything it names; so
// a run that has nothing to do reads a few small files only. Layers have keys as
// well, kept in the history of the images, so that a changed program does not
// compress a whole Debian root again.
//
// It reads parts and never builds or changes one, writes below the cache folder
// only, and knows nothing of clusters. Whoever calls it holds the cache's lock.
package images
