package cmd

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/alerts/drafts"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/profiles/phalanx"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
	"github.com/alertlab/alertlab/smoke"
)

// remedy gives the next command for a typed error, "" when none is known. It is
// the one table of remedies: packages below say what happened, not what to type.
func remedy(err error) (next string, code fault.Code) {
	var (
		imported  *phalanx.Error
		problems  *profiles.Problems
		unknown   *profiles.UnknownError
		overlay   *profiles.OverlayError
		listen    *broker.ListenError
		dataDir   *broker.DataDirError
		mismatch  *admin.TopicMismatch
		conflict  *registry.ConflictError
		draft     *drafts.Problems
		regTopic  *registry.TopicError
		tooLarge  *simulator.RecordTooLargeError
		notEmpty  *simulator.NotEmptyError
		container *packet.ContainerError
		check     *smoke.UnknownCheckError
		status    *archive.StatusError
		converted *packet.ConvertError
		source    *simulator.SourceError
		private   *authority.FileError
		advertise *loopback.AdvertiseError
		pool      *metallb.PoolError
	)
	switch {
	case errors.As(err, &imported):
		return "correct a copy of the file, or begin with one that is like it: alertlab profile show usdfdev > mine.yaml", fault.BadInput
	case errors.As(err, &problems) && problems.File == "environment":
		return "unset or correct the variable; alertlab up --help lists them", fault.BadInput
	case errors.As(err, &problems) && problems.File == "environment and flags":
		return "correct the variable or --set; alertlab up --help lists both", fault.BadInput
	case errors.As(err, &problems):
		return "correct the file, then: alertlab profile validate " + problems.File, fault.BadInput
	case errors.As(err, &overlay):
		return "alertlab overlay drop " + strings.Join(overlay.Entries(), " ") + "   # then again", fault.BadInput
	case errors.Is(err, runner.ErrChanged):
		return "alertlab plan   # shows what the lab is now; then again", fault.StepFailed
	case errors.As(err, &unknown):
		return "alertlab profile list", fault.BadInput
	case errors.As(err, &check):
		return "alertlab smoke --list", fault.BadInput
	case errors.Is(err, packet.ErrNotContainer), errors.As(err, &container):
		return "name an Avro object container file, e.g. one made by: alertlab simulator generate visit.avro", fault.BadInput
	case errors.As(err, &converted), errors.As(err, &source), errors.Is(err, simulator.ErrEmptySource):
		return "name a file of alerts, e.g. one made by: alertlab simulator generate visit.avro", fault.BadInput
	case errors.As(err, &listen):
		return "stop what uses the address, or bring up another lab: alertlab up --lab NAME", fault.StepFailed
	case errors.As(err, &dataDir):
		return "alertlab logs kafka   # alertlab down --purge deletes the lab with its data", fault.StepFailed
	case errors.As(err, &advertise):
		return "alertlab up --advertise ADDRESS   # or ADDRESS:PORT, the first of the ports; " + onLoopback + " takes it back", fault.BadInput
	case errors.As(err, &pool):
		return "alertlab up --address-pool FIRST-LAST   # another range; " + ownPool + " chooses one; --set kafka.listener.type=nodeport needs none", fault.BadInput
	case errors.As(err, &private):
		return "put the file back, or have a new authority made, which clients must then trust: rm " + private.File + " && alertlab up", fault.StepFailed
	case errors.As(err, &mismatch):
		return "partitions cannot be changed in place: alertlab down --purge, then alertlab up", fault.StepFailed
	case errors.As(err, &conflict):
		return "alertlab down --purge, then alertlab up   # begins with an empty registry", fault.StepFailed
	case errors.As(err, &draft):
		return "correct the files, then: alertlab schema add DIR", fault.BadInput
	case errors.As(err, &regTopic):
		return "see to the topic and to the user's rights on it; alertlab registry serve --help lists them", fault.StepFailed
	case errors.As(err, &tooLarge):
		return "raise message.max.bytes in the profile, or make smaller packets: alertlab simulator generate --packet-size", fault.StepFailed
	case errors.As(err, &notEmpty):
		return "delete what it holds and load anew: alertlab simulator create FILE --replace", fault.StepFailed
	case errors.As(err, &status):
		return "alertlab logs alert-database-server", fault.StepFailed
	case errors.Is(err, archive.ErrNotFound):
		return "alertlab status   # shows the id that was archived last", fault.StepFailed
	case errors.Is(err, state.ErrLocked):
		return "alertlab status   # another process owns the lab", fault.StepFailed
	case errors.Is(err, runner.ErrNotRunning):
		return "alertlab up", fault.NoLab
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "alertlab env   # prints the lab's credentials", fault.StepFailed
	case errors.Is(err, syscall.ENOSPC):
		return "free disk space, then: alertlab up", fault.StepFailed
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return "name a directory that you may write to: export ALERTLAB_STATE_DIR=DIRECTORY", fault.BadInput
	}
	return "", 0
}

// remedied turns any error into one that a user can act on. A cancelled context
// is an interruption, whatever it was wrapped in.
func remedied(err error) error {
	var f *fault.Fault
	if err == nil || errors.As(err, &f) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return &fault.Fault{What: "interrupted", Code: fault.Interrupted, Err: err}
	}
	next, code := remedy(err)
	if code == 0 {
		code = fault.StepFailed
	}
	return &fault.Fault{What: err.Error(), Next: next, Code: code, Err: err}
}
