// Package cutout reads the pictures that an alert carries, small FITS files in
// bytes, and says how they are to be looked at: their statistics, and the ZScale
// limits between which a display shows them.
//
// It is arithmetic on bytes: it imports nothing of alertlab, opens nothing and
// draws nothing.
package cutout
