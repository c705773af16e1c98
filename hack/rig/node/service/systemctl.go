package service

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Systemctl does what kubeadm v1.35 and kind v0.33 ask of systemctl, by the
// manager behind the socket, and returns the exit code that systemd would:
// 0 done or active, 3 not active, 4 no such unit, 1 anything that failed.
// Verbs that concern unit files (daemon-reload, enable, ...) have nothing to
// do here and succeed.
func Systemctl(ctx context.Context, socket string, words []string, out, errs io.Writer) int {
	var plain []string
	for _, w := range words {
		if !strings.HasPrefix(w, "-") {
			plain = append(plain, w)
		}
	}
	if len(plain) == 0 {
		fmt.Fprintln(errs, "systemctl: no verb given; this node knows start, stop, restart, is-active, status")
		return 1
	}
	code := 0
	for _, name := range plain[1:] {
		if c := systemctlOne(ctx, socket, plain[0], strings.TrimSuffix(name, ".service"), out, errs); c > code {
			code = c
		}
	}
	return code
}

func systemctlOne(ctx context.Context, socket, verb, name string, out, errs io.Writer) int {
	ask := verb
	switch verb {
	case verbStart, verbStop, verbRestart, verbActive:
	case "status":
		ask = verbActive
	case "reload-or-restart", "try-restart":
		ask = verbRestart
	default:
		return 0
	}
	answer, err := Ask(ctx, socket, ask, name)
	if err != nil {
		fmt.Fprintln(errs, "systemctl:", err)
		return 1
	}
	switch answer {
	case "ok":
		return 0
	case "unknown":
		fmt.Fprintf(errs, "Unit %s.service could not be found.\n", name)
		return 4
	case "active", "inactive":
		if verb == "status" {
			fmt.Fprintf(out, "%s.service\n     Loaded: loaded\n     Active: %s\n", name, answer)
		} else {
			fmt.Fprintln(out, answer)
		}
		if answer == "active" {
			return 0
		}
		return 3
	}
	fmt.Fprintln(errs, "systemctl:", answer)
	return 1
}
