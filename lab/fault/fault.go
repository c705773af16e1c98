package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Code is the exit code of the process.
type Code int

// The exit codes, as documented in the README.
const (
	OK          Code = 0   // everything asked for was done
	StepFailed  Code = 1   // a step of the plan, or an operation, failed
	BadInput    Code = 2   // a flag, a profile or a file cannot be used as given
	NoLab       Code = 3   // the lab is not there, or does not run
	SmokeFailed Code = 4   // the lab is there, and a smoke check failed
	Interrupted Code = 130 // Ctrl-C (128 + SIGINT)
)

// Fault is an error with its remedy.
type Fault struct {
	What string // what happened, e.g. `the lab "default" does not run`
	Why  string // the reason, as exactly as it is known
	Next string // the command to type next, or what to change
	Code Code   // exit code; zero counts as StepFailed
	Err  error  // the cause, for errors.Is and errors.As; may be nil
}

// Error gives what and why on one line; Next is left to the renderer.
func (f *Fault) Error() string {
	if f.Why == "" {
		return f.What
	}
	return f.What + ": " + f.Why
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// New makes a fault whose reason is text.
func New(code Code, what, why, next string) *Fault {
	return &Fault{What: what, Why: why, Next: next, Code: code}
}

// Wrap makes a fault whose reason is err. It returns nil for a nil err, and
// an error that already is a fault keeps its own reason and remedy.
func Wrap(code Code, what string, err error, next string) error {
	if err == nil {
		return nil
	}
	var f *Fault
	if errors.As(err, &f) {
		return err
	}
	return &Fault{What: what, Why: err.Error(), Next: next, Code: code, Err: err}
}

// CodeOf gives the exit code of an error: that of the outermost fault in it,
// Interrupted for a cancelled context, else StepFailed.
func CodeOf(err error) Code {
	var f *Fault
	switch {
	case err == nil:
		return OK
	case errors.As(err, &f):
		if f.Code == 0 {
			return StepFailed
		}
		return f.Code
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return StepFailed
}

// Text prints an error as a user meets it: the first line says what and why,
// the second what to type. Errors that are not faults get their own text.
func Text(err error) string {
	var f *Fault
	if !errors.As(err, &f) {
		return "error: " + err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s", f.Error())
	if f.Next != "" {
		fmt.Fprintf(&b, "\n next: %s", strings.ReplaceAll(f.Next, "\n", "\n       "))
	}
	return b.String()
}
