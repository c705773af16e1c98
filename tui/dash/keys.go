package dash

import "github.com/charmbracelet/bubbles/key"

// keyMap are the keys of the frame, which hold on every page.
type keyMap struct {
	back, leave, quit, help, command, filter, next, previous, up, watch, mouse, suspend key.Binding
}

func bind(help, text string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, text))
}

// keys is what the frame listens to; help and documents are made of it.
func keys() keyMap {
	return keyMap{
		back:     bind("q", "back; at the top of a page: quit", "q"),
		leave:    bind("esc", "back; ends a filter", "esc"),
		quit:     bind("ctrl-c", "quit; the lab goes on", "ctrl+c"),
		help:     bind("?", "this help", "?"),
		command:  bind(":", "a page by its name, up, watch, quit; tab completes", ":"),
		filter:   bind("/", "show only rows that hold a text", "/"),
		next:     bind("tab", "the next page", "tab", "]"),
		previous: bind("shift-tab", "the page before", "shift+tab", "["),
		up:       bind("u", "bring a lab up that is not there or stopped", "u"),
		watch:    bind("w", "watch the bring-up or change that goes on", "w"),
		mouse:    bind("ctrl-o", "let go of the mouse, so that text can be selected; take it again", "ctrl+o"),
		suspend:  bind("ctrl-z", "into the background of the shell", "ctrl+z"),
	}
}

// Keys are the frame's keys, for the help and the documents.
func Keys() []key.Binding {
	k := keys()
	return []key.Binding{bind("1 … 9", "a page by its number", "1"), k.next, k.previous, k.command, k.filter, k.leave, k.back, k.up, k.watch, k.mouse, k.suspend, k.help, k.quit}
}
