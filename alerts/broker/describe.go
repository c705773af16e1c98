package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// The largest record batch, in bytes, by its name among a topic's settings and among
// the brokers'.
const (
	topicMessageBytes  = "max.message.bytes"
	brokerMessageBytes = "message.max.bytes"
)

// inheritMessageBytes gives topics that set no limit of their own the brokers' limit.
// kfake enforces that one and shows Apache Kafka's default; where all settings are
// asked for, it shows the brokers' beside it under the brokers' name, which is newer
// than configured, the limit that the brokers started with, "" for none.
func inheritMessageBytes(answer *kmsg.DescribeConfigsResponse, configured string) {
	for i := range answer.Resources {
		r := &answer.Resources[i]
		if r.ResourceType != kmsg.ConfigResourceTypeTopic {
			continue
		}
		limit := configured
		for _, config := range r.Configs {
			if config.Name == brokerMessageBytes && config.Value != nil {
				limit = *config.Value
			}
		}
		for j := range r.Configs {
			config := &r.Configs[j]
			if limit != "" && config.Name == topicMessageBytes && config.Source == kmsg.ConfigSourceDefaultConfig {
				config.Value, config.Source, config.IsDefault = &limit, kmsg.ConfigSourceStaticBrokerConfig, false
			}
		}
	}
}
