package existing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
)

// Source names a cluster: a context of a kubeconfig.
type Source struct {
	Context string
	File    string // empty: $KUBECONFIG, else ~/.kube/config
}

// Contexts lists the contexts of a kubeconfig, sorted.
func (s Source) Contexts() ([]string, error) {
	raw, err := s.load()
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(raw.Contexts)), nil
}

func (s Source) load() (*clientcmdapi.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if s.File != "" {
		rules = &clientcmd.ClientConfigLoadingRules{ExplicitPath: s.File}
	}
	raw, err := rules.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Wrap(fault.BadInput, "the kubeconfig cannot be read", err, "name one that is there: alertlab up --provider existing --kubeconfig FILE --context NAME")
	}
	return raw, fault.Wrap(fault.BadInput, "the kubeconfig cannot be read", err, "correct the file, or name another one: --kubeconfig FILE")
}

// Kubeconfig gives a kubeconfig of the one context, complete in itself.
func (s Source) Kubeconfig() ([]byte, error) {
	raw, err := s.load()
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(raw.Contexts))
	there := "it has no context"
	if len(names) > 0 {
		there = "it has " + strings.Join(names, ", ")
	}
	where := "the kubeconfig"
	if s.File != "" {
		where = s.File
	}
	if s.Context == "" {
		return nil, fault.New(fault.BadInput, "which cluster is meant is not said", where+": "+there, "alertlab up --provider existing --context NAME")
	}
	if raw.Contexts[s.Context] == nil {
		return nil, fault.New(fault.BadInput, fmt.Sprintf("there is no context %q", s.Context), where+": "+there, "alertlab up --provider existing --context NAME   # or another file: --kubeconfig FILE")
	}
	raw.CurrentContext = s.Context
	if err := clientcmdapi.MinifyConfig(raw); err != nil {
		return nil, fault.Wrap(fault.BadInput, "the context "+s.Context+" is not whole", err, "correct the kubeconfig")
	}
	if err := clientcmdapi.FlattenConfig(raw); err != nil {
		return nil, fault.Wrap(fault.BadInput, "a file that the context "+s.Context+" names cannot be read", err, "correct the kubeconfig")
	}
	return clientcmd.Write(*raw)
}

// Reach says why the cluster of a kubeconfig cannot be used: it does not answer, or does
// not know this user, or not give leave to look at a namespace. It is nil when it can.
func Reach(ctx context.Context, kubeconfig []byte, name, namespace string) error {
	client, err := kube.New(kubeconfig)
	if err != nil {
		return err
	}
	return reach(ctx, client, name, namespace)
}

func reach(ctx context.Context, client *kube.Client, name, namespace string) error {
	if _, err := answers(ctx, client, name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if _, err := client.Clientset.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

// silent says that a cluster does not answer.
func silent(context string, err error) error {
	return fault.Wrap(fault.StepFailed, "the cluster of context "+context+" does not answer", err,
		"see to it that this works: kubectl --context "+context+" version   # or name another one: --context NAME")
}
