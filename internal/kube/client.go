package kube

import (
	"errors"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Client is a cluster to work with.
type Client struct {
	Clientset kubernetes.Interface
	Dynamic   dynamic.Interface

	kubeconfig []byte
	config     *rest.Config
	discovery  discovery.CachedDiscoveryInterface
	mapper     meta.ResettableRESTMapper
}

// New makes a client of a kubeconfig. Nothing is asked of the cluster yet.
func New(kubeconfig []byte) (*Client, error) {
	if len(kubeconfig) == 0 {
		return nil, errors.New("kube: an empty kubeconfig")
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	// One lab, one cluster of its own: the library's bound of 5 requests a second
	// protects servers that many share.
	config.QPS, config.Burst = 100, 200
	config.WarningHandler = rest.NoWarnings{} // of APIs that grow old: not for who uses a lab
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	cached := memory.NewMemCacheClient(clientset.Discovery())
	return &Client{
		Clientset: clientset, Dynamic: dyn, kubeconfig: kubeconfig, config: config, discovery: cached,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached),
	}, nil
}

// Config is the client's configuration; a copy, for clients of other kinds.
func (c *Client) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Getter is a client as Helm and Kubernetes' own command-line libraries want to be
// given one (k8s.io/cli-runtime/pkg/genericclioptions.RESTClientGetter).
type Getter struct {
	client    *Client
	namespace string
}

// Getter gives the client for what lives in one namespace.
func (c *Client) Getter(namespace string) Getter { return Getter{c, namespace} }

// ToRESTConfig gives a copy of the client's configuration.
func (g Getter) ToRESTConfig() (*rest.Config, error) { return g.client.Config(), nil }

// ToDiscoveryClient gives the client's own, with what it has found so far.
func (g Getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.client.discovery, nil
}

// ToRESTMapper gives the client's own.
func (g Getter) ToRESTMapper() (meta.RESTMapper, error) { return g.client.mapper, nil }

// ToRawKubeConfigLoader gives the kubeconfig with the namespace.
func (g Getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	raw, err := clientcmd.Load(g.client.kubeconfig)
	if err != nil {
		raw = clientcmdapi.NewConfig() // New read it before
	}
	overrides := &clientcmd.ConfigOverrides{}
	overrides.Context.Namespace = g.namespace
	return clientcmd.NewDefaultClientConfig(*raw, overrides)
}
