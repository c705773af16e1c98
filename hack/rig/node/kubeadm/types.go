package kubeadm

// The types below hold the fields that are set here, under kubeadm's names.

const (
	kubeadmV1Beta4   = "kubeadm.k8s.io/v1beta4"
	kubeletV1Beta1   = "kubelet.config.k8s.io/v1beta1"
	kubeProxyV1Alpha = "kubeproxy.config.k8s.io/v1alpha1"
)

type typeMeta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// Arg is one argument of a component.
type Arg struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Taint keeps pods without its toleration off the node.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

type bootstrapToken struct {
	Token  string   `json:"token"`
	TTL    string   `json:"ttl"` // "0s" never expires
	Usages []string `json:"usages"`
	Groups []string `json:"groups"`
}

type apiEndpoint struct {
	AdvertiseAddress string `json:"advertiseAddress"`
	BindPort         int    `json:"bindPort"`
}

type registration struct {
	Name                  string   `json:"name"`
	CRISocket             string   `json:"criSocket"`
	Taints                []Taint  `json:"taints"` // empty, not null: null is kubeadm's default taint
	IgnorePreflightErrors []string `json:"ignorePreflightErrors"`
	ImagePullPolicy       string   `json:"imagePullPolicy"`
}

type initConfiguration struct {
	typeMeta
	BootstrapTokens  []bootstrapToken `json:"bootstrapTokens"`
	CertificateKey   string           `json:"certificateKey"`
	LocalAPIEndpoint apiEndpoint      `json:"localAPIEndpoint"`
	NodeRegistration registration     `json:"nodeRegistration"`
	SkipPhases       []string         `json:"skipPhases"`
}

type networking struct {
	PodSubnet     string `json:"podSubnet"`
	ServiceSubnet string `json:"serviceSubnet"`
	DNSDomain     string `json:"dnsDomain,omitempty"`
}

type apiServer struct {
	CertSANs  []string `json:"certSANs"`
	ExtraArgs []Arg    `json:"extraArgs,omitempty"`
}

type component struct {
	ExtraArgs []Arg `json:"extraArgs,omitempty"`
}

type etcd struct {
	Local component `json:"local"`
}

type dns struct {
	Disabled bool `json:"disabled"`
}

type clusterConfiguration struct {
	typeMeta
	KubernetesVersion    string     `json:"kubernetesVersion"`
	ClusterName          string     `json:"clusterName"`
	ControlPlaneEndpoint string     `json:"controlPlaneEndpoint"`
	Networking           networking `json:"networking"`
	DNS                  dns        `json:"dns"`
	APIServer            apiServer  `json:"apiServer"`
	ControllerManager    component  `json:"controllerManager"`
	Scheduler            component  `json:"scheduler"`
	Etcd                 etcd       `json:"etcd"`
}

type kubeletConfiguration struct {
	typeMeta
	FailSwapOn                  bool              `json:"failSwapOn"`
	ImageGCHighThresholdPercent int               `json:"imageGCHighThresholdPercent"`
	EvictionHard                map[string]string `json:"evictionHard"`
	ClusterDNS                  []string          `json:"clusterDNS"`
}

type conntrack struct {
	MaxPerCore int `json:"maxPerCore"` // 0 leaves the host's limit alone
	Min        int `json:"min"`
}

type kubeProxyConfiguration struct {
	typeMeta
	Mode      string    `json:"mode"`
	Conntrack conntrack `json:"conntrack"`
}

type discovery struct {
	BootstrapToken bootstrapDiscovery `json:"bootstrapToken"`
}

type bootstrapDiscovery struct {
	APIServerEndpoint        string `json:"apiServerEndpoint"`
	Token                    string `json:"token"`
	UnsafeSkipCAVerification bool   `json:"unsafeSkipCAVerification"`
}

type joinControlPlane struct {
	CertificateKey   string      `json:"certificateKey"`
	LocalAPIEndpoint apiEndpoint `json:"localAPIEndpoint"`
}

type joinConfiguration struct {
	typeMeta
	Discovery        discovery         `json:"discovery"`
	ControlPlane     *joinControlPlane `json:"controlPlane,omitempty"`
	NodeRegistration registration      `json:"nodeRegistration"`
	SkipPhases       []string          `json:"skipPhases"`
}
