package k3s

import (
	"fmt"
	"strings"

	"github.com/alertlab/alertlab/lab/fault"
)

// flag says what becomes of one flag.
type flag struct {
	bare bool // stands alone; "--flag=false" takes it back
	set  func(o *Options, value string) error
}

// value makes a flag that stores its value as it is.
func value(where func(*Options) *string) flag {
	return flag{set: func(o *Options, v string) error { *where(o) = v; return nil }}
}

// args makes a flag that adds "name=value" for a component. k3s takes the
// name with and without dashes.
func args(where func(*Options) *[]Pair) flag {
	return flag{set: func(o *Options, v string) error {
		key, val, ok := strings.Cut(strings.TrimLeft(v, "-"), "=")
		if key == "" {
			return fmt.Errorf("%q names no argument", v)
		}
		if !ok {
			val = "true" // "--kubelet-arg=feature" is a switch that is on
		}
		list := where(o)
		*list = append(*list, Pair{key, val})
		return nil
	}}
}

// list makes a flag that adds each of several values, separated by commas.
func list(add func(o *Options, v string)) flag {
	return flag{set: func(o *Options, v string) error {
		for _, one := range strings.Split(v, ",") {
			if one = strings.TrimSpace(one); one != "" {
				add(o, one)
			}
		}
		return nil
	}}
}

// flags are those of k3s that have an effect.
func flags() map[string]flag {
	token := value(func(o *Options) *string { return &o.Token })
	server := value(func(o *Options) *string { return &o.URL })
	kubeconfig := value(func(o *Options) *string { return &o.KubeconfigOutput })
	disable := list(func(o *Options, v string) { o.Disable[v] = true })
	return map[string]flag{
		"--cluster-init": {bare: true, set: func(o *Options, v string) error {
			switch v {
			case "", "true":
				o.ClusterInit = true
			case "false":
				o.ClusterInit = false
			default:
				return fmt.Errorf("%q is neither true nor false", v)
			}
			return nil
		}},
		"--token": token, "-t": token,
		"--token-file": value(func(o *Options) *string { return &o.TokenFile }),
		"--server":     server, "-s": server,
		"--node-name":        value(func(o *Options) *string { return &o.NodeName }),
		"--write-kubeconfig": kubeconfig, "-o": kubeconfig,
		"--cluster-cidr":                value(func(o *Options) *string { return &o.ClusterCIDR }),
		"--service-cidr":                value(func(o *Options) *string { return &o.ServiceCIDR }),
		"--cluster-dns":                 value(func(o *Options) *string { return &o.ClusterDNS }),
		"--cluster-domain":              value(func(o *Options) *string { return &o.ClusterDomain }),
		"--node-label":                  {set: addLabel},
		"--node-taint":                  {set: addTaint},
		"--tls-san":                     list(func(o *Options, v string) { o.TLSSANs = append(o.TLSSANs, v) }),
		"--disable":                     disable,
		"--no-deploy":                   disable,
		"--kubelet-arg":                 args(func(o *Options) *[]Pair { return &o.KubeletArgs }),
		"--kube-proxy-arg":              args(func(o *Options) *[]Pair { return &o.KubeProxyArgs }),
		"--kube-apiserver-arg":          args(func(o *Options) *[]Pair { return &o.APIServerArgs }),
		"--kube-controller-manager-arg": args(func(o *Options) *[]Pair { return &o.ControllerManagerArgs }),
		"--kube-scheduler-arg":          args(func(o *Options) *[]Pair { return &o.SchedulerArgs }),
		"--etcd-arg":                    args(func(o *Options) *[]Pair { return &o.EtcdArgs }),
	}
}

// environment gives the variables of k3s that k3d sets, or that its users do,
// and the flag each one stands for. A flag that is given wins.
var environment = []struct{ name, flag string }{
	{"K3S_TOKEN", "--token"},
	{"K3S_TOKEN_FILE", "--token-file"},
	{"K3S_URL", "--server"},
	{"K3S_NODE_NAME", "--node-name"},
	{"K3S_KUBECONFIG_OUTPUT", "--write-kubeconfig"},
}

// Parse reads the words after the program's name: a role, then flags. env
// gives the value of an environment variable, empty for one that is not set.
// Errors are faults of code BadInput.
func Parse(words []string, env func(string) string) (Options, error) {
	o := Options{ClusterCIDR: DefaultClusterCIDR, ServiceCIDR: DefaultServiceCIDR, Disable: map[string]bool{}}
	if len(words) == 0 {
		return o, fault.New(fault.BadInput, "the node was given no role", "the first word is missing", "begin with server or agent")
	}
	switch r := Role(words[0]); r {
	case Server, Agent:
		o.Role = r
	default:
		return o, fault.New(fault.BadInput, fmt.Sprintf("%q is no role of a node", words[0]), "a node is a server or an agent", "begin with server or agent")
	}
	known := flags()
	for _, e := range environment {
		if v := env(e.name); v != "" {
			if err := known[e.flag].set(&o, v); err != nil {
				return o, refuse(e.name, v, err)
			}
		}
	}
	for rest := words[1:]; len(rest) > 0; {
		word := rest[0]
		rest = rest[1:]
		if !strings.HasPrefix(word, "-") {
			return o, fault.New(fault.BadInput, fmt.Sprintf("%q is a word too many", word), "it is neither a flag nor the value of one", "write --flag=VALUE, or --flag VALUE")
		}
		name, v, joined := strings.Cut(word, "=")
		f, ok := known[name]
		switch {
		case !ok:
			if !joined && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
				word += "=" + rest[0]
				rest = rest[1:]
			}
			o.Ignored = append(o.Ignored, word)
			continue
		case !joined && !f.bare:
			if len(rest) == 0 {
				return o, fault.New(fault.BadInput, fmt.Sprintf("%s has no value", name), "it is the last word", "write "+name+"=VALUE")
			}
			v, rest = rest[0], rest[1:]
		}
		if err := f.set(&o, v); err != nil {
			return o, refuse(name, v, err)
		}
	}
	for _, a := range o.KubeProxyArgs {
		o.Ignored = append(o.Ignored, "--kube-proxy-arg="+a.String())
	}
	return o, o.check()
}

func refuse(name, v string, err error) error {
	return fault.Wrap(fault.BadInput, fmt.Sprintf("%s %q cannot be used", name, v), err, "correct the value, and create the node again")
}

func addLabel(o *Options, v string) error {
	for _, one := range strings.Split(v, ",") {
		key, val, ok := strings.Cut(one, "=")
		if !ok || key == "" {
			return fmt.Errorf("%q is not KEY=VALUE", one)
		}
		// The list reaches the kubelet as one line of words.
		if strings.ContainsAny(one, " \t\r\n\"'\\") {
			return fmt.Errorf("%q holds a blank or a quotation mark, which no label may", one)
		}
		o.Labels = append(o.Labels, Pair{key, val})
	}
	return nil
}

func addTaint(o *Options, v string) error {
	for _, one := range strings.Split(v, ",") {
		i := strings.LastIndex(one, ":")
		if i < 1 {
			return fmt.Errorf("%q is not KEY=VALUE:EFFECT", one)
		}
		key, val, _ := strings.Cut(one[:i], "=")
		t := Taint{Key: key, Value: val, Effect: one[i+1:]}
		switch {
		case t.Key == "":
			return fmt.Errorf("%q is not KEY=VALUE:EFFECT", one)
		case t.Effect != "NoSchedule" && t.Effect != "PreferNoSchedule" && t.Effect != "NoExecute":
			return fmt.Errorf("%q is none of NoSchedule, PreferNoSchedule, NoExecute", t.Effect)
		}
		o.Taints = append(o.Taints, t)
	}
	return nil
}
