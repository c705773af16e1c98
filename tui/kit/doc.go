// Package kit is what pages of the dashboard are drawn with: looks, tables that
// scroll and are filtered, panes of text, and reading something again and again
// while a page is in view. It knows no page, and nothing of a lab.
//
// Everything that comes from a lab passes phrase.Line before it is drawn: a text of
// somebody else's must not move the cursor.
package kit
