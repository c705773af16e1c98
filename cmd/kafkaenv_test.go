package cmd_test

import (
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/alertlab/alertlab/lab/state"
)

// kafkaEnv LAB USER sets the variables by which a program that knows no lab logs in
// to the lab's Kafka, as `alertlab env` prints them.
func kafkaEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: kafkaenv LAB USER")
	}
	dir := state.At(ts.Getenv("ALERTLAB_STATE_DIR"), args[0])
	card, err := dir.Endpoints()
	ts.Check(err)
	creds, err := dir.Credentials()
	ts.Check(err)
	for key, value := range map[string]string{
		"KAFKA_BOOTSTRAP_SERVERS": card.Kafka.Bootstrap,
		"KAFKA_SECURITY_PROTOCOL": card.Kafka.Security,
		"KAFKA_SASL_MECHANISM":    card.Kafka.Mechanism,
		"KAFKA_USERNAME":          args[1],
		"KAFKA_PASSWORD":          creds.Kafka[args[1]],
		"SSL_CA_FILE":             card.Kafka.CAFile,
		"SCHEMA_REGISTRY_URL":     card.Registry.URL,
	} {
		ts.Setenv(key, value)
		// Also for what the script starts in the background.
		env := ts.Value(environKey{}).(*testscript.Env)
		env.Vars = append(env.Vars, key+"=")
	}
}

// followAs NAME PROGRAM ARG... is follow for a program of another name.
func followAs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: followas NAME PROGRAM ARG...")
	}
	begin(ts, args[0], args[1:])
}
