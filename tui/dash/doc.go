// Package dash is the frame of the dashboard: title, tabs, the page in view, prompts
// for commands and filters, help, and what is said of a lab that is not there, is
// stopped or does not answer. It knows pages as page.Page only, and learns how the lab
// fares from a function that it is given: it starts, stops and reads nothing itself.
package dash
