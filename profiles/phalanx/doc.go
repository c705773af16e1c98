// Package phalanx makes profiles out of the values files with which Phalanx, the
// observatory's deployment, describes an environment: those of the application
// alert-stream-broker, and those of sasquatch with its alert subcharts.
//
// It takes over what it knows and lists what it left; it reads no charts, so a
// value that a file leaves to its chart's default is not known to it.
package phalanx
