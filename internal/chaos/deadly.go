package chaos

import (
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/alertlab/alertlab/lab/run"
)

// CutAt, in the environment of a runner, says where it is cut short, in words:
//
//	during STEP [DELAY]   so long after it began the step, e.g. 1.5s
//	before STEP           right before it writes down that the step is done
//	after STEP            right after that
//
// CutHow says how: "kill", which is what stands for none, ends the runner at once;
// "interrupt" is Ctrl-C at the command that started it.
const (
	CutAt  = "CHAOS_CUT_AT"
	CutHow = "CHAOS_CUT_HOW"
)

// Recorder stands between a walk and its journal, in programs that are cut short by
// CutAt; without it, it is the journal itself. It is for cmd.Hooks.
func Recorder(journal run.Recorder) run.Recorder {
	words := strings.Fields(os.Getenv(CutAt))
	if len(words) < 2 {
		return journal
	}
	r := &recorder{Recorder: journal, when: words[0], step: words[1]}
	if len(words) > 2 {
		var err error
		if r.delay, err = time.ParseDuration(words[2]); err != nil {
			panic(CutAt + ": " + err.Error())
		}
	}
	return r
}

type recorder struct {
	run.Recorder
	when, step string
	delay      time.Duration
}

func (r *recorder) Begin(e run.Entry) error {
	if err := r.Recorder.Begin(e); err != nil {
		return err
	}
	if e.Step == r.step && r.when == "during" {
		if r.delay == 0 {
			cut()
		}
		time.AfterFunc(r.delay, cut)
	}
	return nil
}

func (r *recorder) Append(e run.Entry) error {
	if e.Step == r.step && r.when == "before" {
		cut()
	}
	err := r.Recorder.Append(e)
	if e.Step == r.step && r.when == "after" {
		cut()
	}
	return err
}

func cut() {
	if os.Getenv(CutHow) == "interrupt" {
		_ = syscall.Kill(os.Getppid(), syscall.SIGINT) // one that is gone needs none
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal comes
}
