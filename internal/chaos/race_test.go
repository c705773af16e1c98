//go:build race

package chaos_test

// slow says that the race detector is in the program: hashing passwords, which
// is most of what a smoke run does, takes many times as long.
const slow = true
