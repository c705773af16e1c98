// Package argocd is the deployer that lets Argo CD do it: one Application for each
// component, under an application of applications, made and synced through Argo CD's
// own API. A Part carries out what package component describes, the same releases as
// package helm's; the two others are what it needs first, Argo CD itself (Install) and
// the registry of our charts (Registry).
//
// Nothing syncs by itself: sync, prune and rollback are the user's, and `up` brings
// back what is wanted. What became of an Application is read from the cluster and not
// from Argo CD's API, so that one can look while Argo CD is away, and without a login.
package argocd
