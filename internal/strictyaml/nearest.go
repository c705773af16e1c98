package strictyaml

import (
	"strings"
)

// Nearest gives the candidate that word was most likely meant to be, or ""
// when none is close: at most one edit (insert, delete, replace, swap of two
// neighbours) for every three characters, whatever the case. The first of
// several equally near candidates wins.
func Nearest(word string, candidates []string) string {
	// No name here is that long, and the effort grows with the square.
	const longest = 80
	if len(word) > longest {
		return ""
	}
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if len(c) > longest {
			continue
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}

// distance counts the edits between a and b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	older, old, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range old {
		old[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(old[j]+cost, old[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
		older, old, row = old, row, older
	}
	return old[len(y)]
}

// didYouMean gives the end of a sentence that offers the nearest of candidates,
// or lists them when none is near.
func didYouMean(word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return "did you mean " + Quote(near) + "?"
	}
	return "known here: " + strings.Join(candidates, ", ")
}
