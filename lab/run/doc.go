// Package run carries a plan out: it walks the steps, those that do not need
// each other side by side, reports events, and writes a journal.
//
// It takes no decisions. What to do stands in the plan; how stands in the parts
// that are handed in by key. It knows no component and no provider.
//
// A cut walk is resumed by looking again and planning again: the journal says
// with which input each part was last applied and which outputs it gave, so
// that what was finished comes out of the next plan as kept, or as ensured
// where it cannot be looked at yet.
package run
