// Package runner is the background process that owns a lab: it observes, plans
// and walks, it holds what runs inside it (for the embedded provider that is
// the whole system), and it tells followers what happens.
//
// A follower is a command line that shows a walk and returns when it is over.
// Cancelling a follower cancels the walk; a follower that merely disappears (a
// closed terminal) changes nothing. They speak HTTP over a socket that only the
// lab's user can open; events come as one JSON object a line.
//
// The package knows no component and no provider; it is handed a Lab.
package runner
