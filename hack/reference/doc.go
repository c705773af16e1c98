// Command reference writes the reference of the command line from the commands
// themselves: docs/reference, a Markdown file for each verb, and the keys of the
// dashboard in docs/tui.md beside it; or with -man a folder of man pages.
//
//	go run ./hack/reference
//	go run ./hack/reference -man DIRECTORY
//
// What it writes depends on the commands alone: no date, no version, nothing of the
// environment. It removes from docs/reference what no verb is behind any more, and
// touches nothing else.
package main
