package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/render"
)

func (a *app) topic() *cobra.Command {
	c := &cobra.Command{
		Use:   "topic",
		Short: "Add, remove and list the topics of a living lab",
		Long: `topic adds topics to a lab that runs. They are written down in the lab as wanted, on
top of its profile, and then made: up keeps them until the lab is deleted. What is in
topics is shown by "alertlab console topics".`,
		Example: `  alertlab topic add lsst-alerts-v12.0 --partitions 45
  alertlab topic list`,
	}
	c.AddCommand(a.topicAdd(), a.topicRemove(), a.topicList())
	return c
}

func (a *app) topicAdd() *cobra.Command {
	t := profiles.Topic{}
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a topic",
		Long: `add makes a topic. Settings are Apache Kafka's own, with their own units:
retention.ms in milliseconds, retention.bytes in bytes of each partition.`,
		Example: `  alertlab topic add lsst-alerts-v12.0 --partitions 45
  alertlab topic add short --partitions 3 --config retention.ms=60000 --config retention.bytes=16777216`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().Int32Var(&t.Partitions, "partitions", 1, "number of partitions")
	c.Flags().Int16Var(&t.Replicas, "replicas", 1, "copies of each partition")
	settings := c.Flags().StringArray("config", nil, "KEY=VALUE of Kafka; again for each")
	how := editFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		t.Name = args[0]
		var err error
		if t.Config, err = topicConfig(t.Name, *settings); err != nil {
			return err
		}
		return a.said(a.edit(c, how, addTopic(t)), "%s", topicAdded(t))
	}
	return c
}

// topicConfig reads settings that are written as KEY=VALUE.
func topicConfig(topic string, settings []string) (map[string]string, error) {
	var config map[string]string
	for _, setting := range settings {
		key, value, ok := strings.Cut(setting, "=")
		if !ok || key == "" {
			return nil, fault.New(fault.BadInput, fmt.Sprintf("--config %q cannot be read", setting), "it must be written as KEY=VALUE", "alertlab topic add "+topic+" --config retention.ms=60000")
		}
		if config == nil {
			config = map[string]string{}
		}
		config[key] = value
	}
	return config, nil
}

// addTopic is the edit that adds a topic.
func addTopic(t profiles.Topic) func(*edit) error {
	return func(e *edit) error {
		if have, ok := e.Profile.Kafka.Topic(t.Name); ok {
			if have.Partitions == t.Partitions && have.Replicas == t.Replicas && maps.Equal(have.Config, t.Config) {
				return nil
			}
			return fault.New(fault.BadInput, "there is a topic "+t.Name+" already", fmt.Sprintf("it has %s, %s%s", counted(int(have.Partitions), "partition", "partitions"), counted(int(have.Replicas), "copy", "copies"), settingsText(have.Config)),
				"alertlab topic list")
		}
		e.Overlay.Topics = append(e.Overlay.Topics, t)
		return nil
	}
}

func topicAdded(t profiles.Topic) string {
	return fmt.Sprintf("topic %s is there, with %s; alertlab user grant NAME --topic %s lets a user read it", t.Name, counted(int(t.Partitions), "partition", "partitions"), t.Name)
}

func (a *app) topicRemove() *cobra.Command {
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Delete a topic that was added, with every record in it",
		Long: `remove deletes a topic that was added to the lab. Its records are lost, so that it
needs --allow-destroy. A topic of the profile is removed in the profile, then by up
with --allow-destroy.`,
		Example: `  alertlab topic remove short --allow-destroy`,
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			desc, err := a.describedLab()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, t := range desc.Overlay.Topics {
				names = append(names, t.Name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	how := editFlags(c).withDestroy(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		err := a.edit(c, how, func(e *edit) error {
			if _, ok := e.Source.Kafka.Topic(args[0]); ok {
				return fault.New(fault.BadInput, "topic "+args[0]+" is not one that was added", "the profile "+e.Source.Name+" has it",
					"take it out of a copy of the profile, then: alertlab up --profile FILE --allow-destroy")
			}
			if !e.Overlay.Drop("topic/" + args[0]) {
				return fault.New(fault.BadInput, fmt.Sprintf("there is no topic %q that was added", args[0]), "only those that were added to the lab can be removed", "alertlab topic list")
			}
			return nil
		})
		return a.said(err, "topic %s is gone", args[0])
	}
	return c
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func settingsText(config map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&b, ", %s=%s", key, config[key])
	}
	return b.String()
}

// topicLine is one topic in a list.
type topicLine struct {
	profiles.Topic
	From string `json:"from"` // profile, or changed on the lab: added
}

func (a *app) topicList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the topics that are wanted, and whether they were added",
		Long: `list prints the topics that the profile has and those that were added, with what is
set for them, as wanted: an embedded lab may keep less of a large profile's topics
(alertlab profile show --scaled). What is there now is shown by
"alertlab console topics".`,
		Example: `  alertlab topic list
  alertlab topic list -o json | jq -r '.[].name'`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(c, "table", "json")
	c.RunE = func(*cobra.Command, []string) error {
		source, applied, err := a.wantedProfile()
		if err != nil {
			return err
		}
		var lines []topicLine
		for _, t := range applied.Kafka.Topics {
			line := topicLine{Topic: t, From: "added"}
			if _, ok := source.Kafka.Topic(t.Name); ok {
				line.From = "profile"
			}
			lines = append(lines, line)
		}
		if *output == "json" {
			return a.printJSON(lines)
		}
		table := render.NewTable(a.out, "TOPIC", "PARTITIONS", "COPIES", "FROM", "SETTINGS")
		for _, l := range lines {
			table.Row(l.Name, l.Partitions, l.Replicas, l.From, first(strings.TrimPrefix(settingsText(l.Config), ", "), "-"))
		}
		return table.Flush()
	}
	return c
}
