package fit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// object is what is read of an object of Kubernetes, of those that make pods.
type object struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       struct {
		Replicas *int `yaml:"replicas"`
		// Of workloads the whole pod, of Strimzi's pools what is laid over it.
		Template struct {
			Metadata metadata `yaml:"metadata"`
			Spec     podSpec  `yaml:"spec"`
			Pod      podSpec  `yaml:"pod"`
		} `yaml:"template"`
		VolumeClaimTemplates []struct {
			Spec struct {
				StorageClassName string `yaml:"storageClassName"`
			} `yaml:"spec"`
		} `yaml:"volumeClaimTemplates"`
		// Strimzi's pools.
		Resources resources `yaml:"resources"`
		Storage   struct {
			Volumes []struct {
				Class string `yaml:"class"`
			} `yaml:"volumes"`
		} `yaml:"storage"`
		// Strimzi's Kafka.
		EntityOperator *struct {
			TopicOperator struct {
				Resources resources `yaml:"resources"`
			} `yaml:"topicOperator"`
			UserOperator struct {
				Resources resources `yaml:"resources"`
			} `yaml:"userOperator"`
		} `yaml:"entityOperator"`
		KafkaExporter *struct {
			Resources resources `yaml:"resources"`
		} `yaml:"kafkaExporter"`
		// A registry of strimzi-registry-operator.
		CPURequest    string `yaml:"cpuRequest"`
		MemoryRequest string `yaml:"memoryRequest"`
	} `yaml:"spec"`
}

type metadata struct {
	Name        string            `yaml:"name"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// mostReplicas is the annotation of a workload that is scaled by a program: how many pods
// it may have, all of which have to find room.
const mostReplicas = "alertlab.dev/most-replicas"

type resources struct {
	Requests struct {
		CPU    string `yaml:"cpu"`
		Memory string `yaml:"memory"`
	} `yaml:"requests"`
}

type podSpec struct {
	Containers []struct {
		Resources resources `yaml:"resources"`
	} `yaml:"containers"`
	InitContainers []struct {
		Resources resources `yaml:"resources"`
	} `yaml:"initContainers"`
	Tolerations []struct {
		Key    string `yaml:"key"`
		Value  string `yaml:"value"`
		Effect string `yaml:"effect"`
	} `yaml:"tolerations"`
	Affinity struct {
		PodAntiAffinity struct {
			Required []struct {
				LabelSelector struct {
					MatchLabels map[string]string `yaml:"matchLabels"`
				} `yaml:"labelSelector"`
				TopologyKey string `yaml:"topologyKey"`
			} `yaml:"requiredDuringSchedulingIgnoredDuringExecution"`
		} `yaml:"podAntiAffinity"`
	} `yaml:"affinity"`
}

// Read gives the pods that the objects of a manifest make, those of operators among
// them: of a KafkaNodePool its brokers, of Kafka the entity operator and the exporter.
// Kinds that make none are passed over. The error names the object.
func Read(component, manifest string) (pods []Pod, classes []string, err error) {
	documents := yaml.NewDecoder(bytes.NewBufferString(manifest))
	for {
		var o object
		err := documents.Decode(&o)
		if errors.Is(err, io.EOF) {
			return pods, classes, nil
		}
		var wrong *yaml.TypeError
		if errors.As(err, &wrong) {
			continue // of another shape: it makes no pods that are known here
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", component, err)
		}
		if o.Kind == "StorageClass" {
			classes = append(classes, o.Metadata.Name)
			continue
		}
		made, err := o.pods(component)
		if err != nil {
			return nil, nil, fmt.Errorf("%s, %s %s: %w", component, o.Kind, o.Metadata.Name, err)
		}
		pods = append(pods, made...)
	}
}

func (o object) pods(component string) ([]Pod, error) {
	replicas := 1
	if o.Spec.Replicas != nil {
		replicas = *o.Spec.Replicas
	} else if most, err := strconv.Atoi(o.Metadata.Annotations[mostReplicas]); err == nil {
		replicas = most
	}
	name := o.Metadata.Name
	switch o.Kind {
	case "Deployment", "StatefulSet", "Job":
		t := o.Spec.Template
		p := t.Spec.pod(Pod{Component: component, Labels: t.Metadata.Labels})
		var err error
		if p.CPU, p.Memory, err = t.Spec.requests(); err != nil {
			return nil, err
		}
		for _, c := range o.Spec.VolumeClaimTemplates {
			p.Classes = append(p.Classes, c.Spec.StorageClassName)
		}
		return repeat(p, name, replicas), nil
	case "KafkaNodePool":
		cluster := o.Metadata.Labels["strimzi.io/cluster"]
		labels := map[string]string{"strimzi.io/cluster": cluster, "strimzi.io/pool-name": name}
		p := o.Spec.Template.Pod.pod(Pod{Component: component, Labels: labels})
		var err error
		if p.CPU, p.Memory, err = o.Spec.Resources.amounts(); err != nil {
			return nil, err
		}
		for _, v := range o.Spec.Storage.Volumes {
			p.Classes = append(p.Classes, v.Class)
		}
		return repeat(p, cluster+"-"+name, replicas), nil
	case "Kafka":
		var out []Pod
		labels := map[string]string{"strimzi.io/cluster": name}
		if e := o.Spec.EntityOperator; e != nil {
			p := Pod{Name: name + "-entity-operator", Component: component, Labels: labels}
			for _, r := range []resources{e.TopicOperator.Resources, e.UserOperator.Resources} {
				cpu, memory, err := r.amounts()
				if err != nil {
					return nil, err
				}
				p.CPU, p.Memory = p.CPU+cpu, p.Memory+memory
			}
			out = append(out, p)
		}
		if e := o.Spec.KafkaExporter; e != nil {
			cpu, memory, err := e.Resources.amounts()
			if err != nil {
				return nil, err
			}
			out = append(out, Pod{Name: name + "-kafka-exporter", Component: component, Labels: labels, CPU: cpu, Memory: memory})
		}
		return out, nil
	case "StrimziSchemaRegistry":
		p := Pod{Component: component, Labels: map[string]string{"app": name}}
		var err error
		if p.CPU, p.Memory, err = amounts(o.Spec.CPURequest, o.Spec.MemoryRequest); err != nil {
			return nil, err
		}
		return repeat(p, name, replicas), nil
	}
	return nil, nil
}

// repeat makes n equal pods, with names of their own.
func repeat(p Pod, name string, n int) []Pod {
	var out []Pod
	for i := range n {
		p.Name = name
		if n > 1 {
			p.Name += "-" + strconv.Itoa(i)
		}
		out = append(out, p)
	}
	return out
}

// Workload makes n equal pods of words: what a chart makes that cannot be read.
func Workload(component, name string, n int, cpu, memory string) ([]Pod, error) {
	p := Pod{Component: component}
	var err error
	if p.CPU, p.Memory, err = amounts(cpu, memory); err != nil {
		return nil, fmt.Errorf("%s, %s: %w", component, name, err)
	}
	return repeat(p, name, n), nil
}

func (s podSpec) pod(p Pod) Pod {
	for _, t := range s.Tolerations {
		p.Tolerations = append(p.Tolerations, Taint{t.Key, t.Value, t.Effect})
	}
	for _, term := range s.Affinity.PodAntiAffinity.Required {
		if strings.HasSuffix(term.TopologyKey, "hostname") {
			p.Apart = append(p.Apart, term.LabelSelector.MatchLabels)
		}
	}
	return p
}

// requests are those of a pod: of its containers together, or of its hungriest init
// container, whichever is more.
func (s podSpec) requests() (cpu, memory int64, err error) {
	for _, c := range s.Containers {
		a, b, err := c.Resources.amounts()
		if err != nil {
			return 0, 0, err
		}
		cpu, memory = cpu+a, memory+b
	}
	for _, c := range s.InitContainers {
		a, b, err := c.Resources.amounts()
		if err != nil {
			return 0, 0, err
		}
		cpu, memory = max(cpu, a), max(memory, b)
	}
	return cpu, memory, nil
}

func (r resources) amounts() (cpu, memory int64, err error) {
	return amounts(r.Requests.CPU, r.Requests.Memory)
}

func amounts(cpu, memory string) (c, m int64, err error) {
	if cpu != "" {
		if c, err = ParseCPU(cpu); err != nil {
			return 0, 0, err
		}
	}
	if memory != "" {
		m, err = ParseBytes(memory)
	}
	return c, m, err
}
