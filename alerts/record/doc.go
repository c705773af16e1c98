// Package record is a decoded alert as a person looks at it: a tree of its fields
// in the order of their schema, with units and what the fields mean; the light
// curve that it carries; its place on the sky; its cutouts.
//
// It is values in, values out, for views and verbs alike: it imports nothing of
// alertlab but the reading of cutouts and schemas, decodes no bytes and draws nothing.
package record
