package kubectlwords_test

import (
	"testing"

	_ "k8s.io/kubectl/pkg/cmd/apply" // its init asks for translations
	"k8s.io/kubectl/pkg/util/i18n"

	_ "github.com/alertlab/alertlab/internal/kubectlwords"
)

func TestNothingIsRead(t *testing.T) {
	read := testing.AllocsPerRun(1, func() {
		if err := i18n.LoadTranslationsFunc(); err != nil {
			t.Error(err)
		}
	})
	if read > 0 {
		t.Errorf("loading the translations allocates %v times: they are read", read)
	}
	if got := i18n.T("Apply a configuration"); got != "Apply a configuration" {
		t.Errorf("kubectl says %q", got)
	}
}
