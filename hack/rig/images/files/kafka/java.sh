#!/bin/bash
# Runs a class of Apache Kafka: java.sh CLASS WORDS... . Under the name of one of
# upstream's tools, such as kafka-configs.sh, it runs that tool.
set -euo pipefail

name="${0##*/}"
case "$name" in
  java.sh) class="${1:?java.sh CLASS WORDS...}"; shift ;;
  kafka-configs.sh) export KAFKA_LOG_LEVEL="${KAFKA_LOG_LEVEL:-WARN}"; class=kafka.admin.ConfigCommand ;;
  kafka-storage.sh) class=kafka.tools.StorageTool ;;
  *) echo "$name is not one of the tools that this image has" >&2; exit 2 ;;
esac
# One processor is all that a node of a test has: the serial collector needs no threads of its own.
read -ra words <<< "${KAFKA_HEAP_OPTS:-} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1} ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties} ${KAFKA_OPTS:-}"
exec java "${words[@]}" -Djava.awt.headless=true -cp '/opt/kafka/libs/*' "$class" "$@"
