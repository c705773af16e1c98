package kube

import (
	"errors"
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Merge puts the cluster of a kubeconfig into another one, which may be empty, with its
// user and context under one name. What has that name there is replaced, everything else
// is kept; the current context changes only if there is none. The result is a kubeconfig
// as kubectl writes it, without the comments of the first. The errors are of texts that
// are no kubeconfigs.
func Merge(into, cluster []byte, name string) ([]byte, error) {
	all, err := clientcmd.Load(into)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig to merge into: %w", err)
	}
	one, err := clientcmd.Load(cluster)
	if err != nil {
		return nil, fmt.Errorf("the lab's kubeconfig: %w", err)
	}
	from := one.Contexts[one.CurrentContext]
	if from == nil || one.Clusters[from.Cluster] == nil || one.AuthInfos[from.AuthInfo] == nil {
		return nil, errors.New("the lab's kubeconfig has no current context with a cluster and a user")
	}
	all.Clusters[name], all.AuthInfos[name] = one.Clusters[from.Cluster], one.AuthInfos[from.AuthInfo]
	context := api.NewContext()
	context.Cluster, context.AuthInfo, context.Namespace = name, name, from.Namespace
	all.Contexts[name] = context
	if all.CurrentContext == "" {
		all.CurrentContext = name
	}
	return clientcmd.Write(*all)
}

// Unmerge takes out again what Merge put in under a name. Without anything of that name
// found is false; rest is nil when nothing else is left.
func Unmerge(from []byte, name string) (rest []byte, found bool, err error) {
	all, err := clientcmd.Load(from)
	if err != nil {
		return nil, false, fmt.Errorf("the kubeconfig: %w", err)
	}
	if all.Clusters[name] == nil && all.AuthInfos[name] == nil && all.Contexts[name] == nil {
		return from, false, nil
	}
	delete(all.Clusters, name)
	delete(all.AuthInfos, name)
	delete(all.Contexts, name)
	if all.CurrentContext == name {
		all.CurrentContext = ""
	}
	if len(all.Clusters)+len(all.AuthInfos)+len(all.Contexts) == 0 {
		return nil, true, nil
	}
	rest, err = clientcmd.Write(*all)
	return rest, true, err
}
