package runc

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Call is what an invocation of runc asks for, as far as the edits need it.
type Call struct {
	File      string // the file to edit, relative to the directory of the call; empty: none
	Exec      bool   // the file is a process, not a config
	Log       string // where runc is to log; empty: its standard error
	LogFormat string // "json" or "text"; empty: runc's default, text
}

// The flags of runc 1.1 to 1.3 and whether they take a value: its command line
// is that of github.com/urfave/cli version 1. The name of a flag may come after
// one hyphen or two.
var (
	globalFlags = map[string]bool{
		"debug": false, "log": true, "log-format": true, "root": true, "criu": true,
		"systemd-cgroup": false, "rootless": true, "help": false, "h": false, "version": false, "v": false,
	}
	createFlags = map[string]bool{ // of create and of run
		"bundle": true, "b": true, "console-socket": true, "pidfd-socket": true, "pid-file": true,
		"no-pivot": false, "no-new-keyring": false, "preserve-fds": true, "detach": false, "d": false,
		"keep": false, "no-subreaper": false, "help": false, "h": false,
	}
	execFlags = map[string]bool{
		"console-socket": true, "pidfd-socket": true, "cwd": true, "env": true, "e": true, "tty": false, "t": false,
		"user": true, "u": true, "additional-gids": true, "g": true, "process": true, "p": true,
		"detach": false, "d": false, "pid-file": true, "process-label": true, "apparmor": true,
		"no-new-privs": false, "cap": true, "c": true, "preserve-fds": true, "cgroup": true,
		"ignore-paused": false, "help": false, "h": false,
	}
)

// Read finds out of the arguments of runc (without the program's name) which
// file they name. A flag that no runc known here has is an error: what stands
// behind it could be its value or the command.
func Read(args []string) (Call, error) {
	global, rest, err := flags(args, globalFlags, false)
	if err != nil {
		return Call{}, err
	}
	call := Call{Log: global["log"], LogFormat: global["log-format"]}
	if len(rest) == 0 {
		return call, nil
	}
	switch rest[0] {
	case "create", "run":
		own, _, err := flags(rest[1:], createFlags, true)
		if err != nil {
			return call, err
		}
		call.File = filepath.Join(alias(own, "bundle", "b"), "config.json")
	case "exec":
		own, _, err := flags(rest[1:], execFlags, false)
		if err != nil {
			return call, err
		}
		// Without a file runc takes the process of the container's own
		// config.json, which was edited when the container was made.
		call.File, call.Exec = alias(own, "process", "p"), true
	}
	return call, nil
}

func alias(own map[string]string, name, short string) string {
	if v, ok := own[name]; ok {
		return v
	}
	return own[short]
}

// flags reads flags up to the first word that is none, or, when they may stand
// between the words too, all of them up to "--". Of several the last holds.
func flags(args []string, known map[string]bool, anywhere bool) (values map[string]string, rest []string, err error) {
	values = map[string]string{}
	for len(args) > 0 {
		word := args[0]
		switch {
		case word == "--":
			return values, append(rest, args[1:]...), nil
		case len(word) < 2 || word[0] != '-': // a lone hyphen is a word
			if !anywhere {
				return values, args, nil
			}
			rest, args = append(rest, word), args[1:]
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
		takes, ok := known[name]
		if !ok {
			return nil, nil, fmt.Errorf("%s is no flag of runc known here", word)
		}
		args = args[1:]
		if takes && !given {
			if len(args) == 0 {
				return nil, nil, fmt.Errorf("%s has no value", word)
			}
			value, args = args[0], args[1:]
		}
		if takes {
			values[name] = value
		}
	}
	return values, slices.Clip(rest), nil
}
