package archive

import (
	"fmt"
	"strconv"
)

// prefixLength is how many characters of an alert id name its folder
// (alert_database_ingester v4; v3 had no such folder).
const prefixLength = 6

// AlertKey is the key of an alert as it is written: gzip of the wire bytes.
func AlertKey(id int64) string { return alertStem(id) + ".avro.gz" }

// alertStem is AlertKey without its extension.
func alertStem(id int64) string {
	text := strconv.FormatInt(id, 10)
	prefix := text
	if len(prefix) > prefixLength {
		prefix = prefix[:prefixLength]
	}
	return "v2/alerts/" + prefix + "/" + text
}

// AlertKeys lists every key under which an alert may lie, newest layout first:
// v2 of alert_database_ingester v4 and v1 of its versions 2.1 to 3.4, each with
// gzip and, as some sites had it switched off, without.
func AlertKeys(id int64) []string {
	v2, v1 := alertStem(id), "v1/alerts/"+strconv.FormatInt(id, 10)
	return []string{v2 + ".avro.gz", v2 + ".avro", v1 + ".avro.gz", v1 + ".avro"}
}

// SchemaKey is the key of a schema, its registry id in decimal.
func SchemaKey(id int64) string { return "v2/schemas/" + strconv.FormatInt(id, 10) + ".json" }

// SchemaKeys lists every key under which a schema may lie, newest layout first.
func SchemaKeys(id int64) []string {
	return []string{SchemaKey(id), "v1/schemas/" + strconv.FormatInt(id, 10) + ".json"}
}

// DeadLetterPrefix is where messages lie that could not be stored as alerts.
const DeadLetterPrefix = "v2/deadletters/"

// DeadLetterKey is the key of a dead letter without its extension: .bin is the
// message's value, .json a DeadLetter.
func DeadLetterKey(topic string, partition int32, offset int64) string {
	return fmt.Sprintf("%s%s/%d/%d", DeadLetterPrefix, topic, partition, offset)
}
