// Package style decides whether a writer gets colours, and which. It never
// asks the terminal anything: a question waits for an answer that some
// terminals never give.
package style
