// Package charts holds minimal Helm charts of the upstream components that the rig
// runs and whose own charts it cannot pull, and packages them for the bundle.
//
// The charts are written for this project. They take the value keys of upstream's
// charts, a subset, and refuse all others (values.schema.json), so that values which
// the rig accepts mean the same to upstream's chart. README.md says what each leaves
// out. Custom resource definitions are not here: they are generated from the
// components' Go types and put into a chart when it is packaged.
//
// The package knows files only: no cluster, no network, no engine.
package charts
