package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The scripts of the Kafka image, with a java that says what it was called with.
func TestKafkaScripts(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	dir := t.TempDir()
	for _, name := range []string{"run.sh", "java.sh"} {
		data, err := ownFile("kafka/" + name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "bin", name), 0o755, strings.ReplaceAll(string(data), "/opt/kafka", dir))
	}
	if err := os.Symlink("java.sh", filepath.Join(dir, "bin/kafka-configs.sh")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("java.sh", filepath.Join(dir, "bin/kafka-none.sh")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "path/java"), 0o755, "#!/bin/bash\nfor w in \"$@\"; do printf '%s|' \"$w\"; done; echo\n")
	write(t, filepath.Join(dir, "settings/server.properties"), 0o644, "# all nodes\n  process.roles = broker\nlog.dirs="+dir+"/data\nlisteners=\nnode.id=9")
	write(t, filepath.Join(dir, "settings/node-3.properties"), 0o644, "advertised.listeners=SASL_SSL://10.0.0.3:9094\n")
	write(t, filepath.Join(dir, "formatted/meta.properties"), 0o644, "version=1\n")
	java := "-Xms256m|-Xmx256m|-XX:+UseSerialGC|-XX:TieredStopAtLevel=1|-Dlog4j2.configurationFile=" + dir + "/config/log4j2.properties|-Djava.awt.headless=true|-cp|" + dir + "/libs/*|"
	for _, c := range []struct {
		name  string
		words []string
		env   []string
		out   string
		file  string // the properties
		code  int
	}{
		{"first start", []string{"run.sh"}, []string{"KAFKA_NODE_ID=3", "CLUSTER_ID=c", "KAFKA_FORMAT_ARGS=--add-scram\nSCRAM-SHA-512=[name=a,password=b c]",
			"KAFKA_SSL_CLIENT_AUTH=required", "KAFKA_A__B___C=1=2", "KAFKA_PORT=tcp://10.0.0.1:9092", "KAFKA_SERVICE_HOST=10.0.0.1"},
			java + "kafka.tools.StorageTool|format|--ignore-formatted|--cluster-id|c|--config|TMP/server.properties|--add-scram|SCRAM-SHA-512=[name=a,password=b c]|\n" +
				java + "kafka.Kafka|TMP/server.properties|\n",
			"a_b-c=1=2\nadvertised.listeners=SASL_SSL://10.0.0.3:9094\nlisteners=\nlog.dirs=" + dir + "/data\nnode.id=3\nprocess.roles=broker\nssl.client.auth=required\n", 0},
		{"later start", []string{"run.sh"}, []string{"KAFKA_LOG_DIRS=" + dir + "/formatted", "KAFKA_HEAP_OPTS=-Xmx1g"},
			strings.Replace(java, "-Xms256m|-Xmx256m", "-Xmx1g", 1) + "kafka.Kafka|TMP/server.properties|\n",
			"listeners=\nlog.dirs=" + dir + "/formatted\nnode.id=9\nprocess.roles=broker\n", 0},
		{"without a cluster", []string{"run.sh"}, nil, "kafka: " + dir + "/data is not formatted: set CLUSTER_ID, the same for all nodes of the cluster\n", "", 1},
		{"without an id", []string{"run.sh"}, []string{"KAFKA_SETTINGS=" + dir + "/none"}, "kafka: the node has no id: set KAFKA_NODE_ID, or node.id in " + dir + "/none/server.properties\n", "", 1},
		{"a tool", []string{"run.sh", dir + "/bin/kafka-configs.sh", "--describe"}, nil, java + "kafka.admin.ConfigCommand|--describe|\n", "", 0},
		{"an unknown tool", []string{"kafka-none.sh"}, nil, "kafka-none.sh is not one of the tools that this image has\n", "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmp := t.TempDir()
			cmd := exec.CommandContext(t.Context(), bash, append([]string{filepath.Join(dir, "bin", c.words[0])}, c.words[1:]...)...)
			cmd.Env = append([]string{"PATH=" + filepath.Join(dir, "path") + ":" + os.Getenv("PATH"), "TMPDIR=" + tmp, "KAFKA_SETTINGS=" + filepath.Join(dir, "settings")}, c.env...)
			out, _ := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() != c.code {
				t.Errorf("exit code %d, want %d", cmd.ProcessState.ExitCode(), c.code)
			}
			same(t, "output", string(out), strings.ReplaceAll(c.out, "TMP", tmp))
			if c.file == "" {
				return
			}
			file := filepath.Join(tmp, "server.properties")
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "properties", string(got), c.file)
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the properties can be read by others: %v %v", info.Mode(), err)
			}
		})
	}
}
