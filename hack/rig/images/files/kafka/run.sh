#!/bin/bash
# Starts one Apache Kafka node in KRaft mode. Its settings are put together from,
# each over the one before:
#
#   1. the files server.properties and node-<node.id>.properties in
#      KAFKA_SETTINGS (a folder, /mnt/shared/config unless set; both may be
#      missing);
#   2. variables KAFKA_<SETTING>, as the upstream image reads them: lower case,
#      with _ for a dot, __ for an underscore, ___ for a hyphen. Those that
#      Kubernetes adds for a Service named kafka, and those below, are none.
#
# Storage is formatted when log.dirs holds no cluster yet, for the cluster
# CLUSTER_ID, with the further words of KAFKA_FORMAT_ARGS for kafka.tools.StorageTool
# (one a line, for instance --add-scram).
#
#   KAFKA_NODE_ID      the node's id; a StatefulSet has it in the label
#                      apps.kubernetes.io/pod-index
#   KAFKA_LOG_LEVEL    INFO unless set
#   KAFKA_HEAP_OPTS, KAFKA_JVM_PERFORMANCE_OPTS, KAFKA_OPTS, KAFKA_LOG4J_OPTS   words for java
#
# With words, it runs them instead: `run.sh kafka-storage.sh random-uuid`.
set -euo pipefail

home=/opt/kafka
export KAFKA_HEAP_OPTS="${KAFKA_HEAP_OPTS:--Xms256m -Xmx256m}"
if [ $# -gt 0 ]; then exec "$@"; fi

fail() { echo "kafka: $1" >&2; exit 1; }
folder="${KAFKA_SETTINGS:-/mnt/shared/config}"
declare -A setting

read_file() { # file: lines "name=value", # begins a comment
  local line name
  while IFS= read -r line || [ -n "$line" ]; do
    line="${line#"${line%%[![:space:]]*}"}"
    case "$line" in '' | '#'* | '!'*) continue ;; *=*) ;; *) fail "$1: no = in \"$line\"" ;; esac
    name="${line%%=*}"; line="${line#*=}"
    setting["${name%"${name##*[![:space:]]}"}"]="${line#"${line%%[![:space:]]*}"}"
  done < "$1"
}

from_environment() {
  local variable name value
  while IFS= read -r variable; do
    case "$variable" in
      KAFKA_SETTINGS | KAFKA_FORMAT_ARGS | KAFKA_HEAP_OPTS | KAFKA_JVM_PERFORMANCE_OPTS | KAFKA_OPTS | KAFKA_LOG4J_OPTS | KAFKA_LOG_LEVEL) continue ;;
      KAFKA_PORT | KAFKA_PORT_* | KAFKA_SERVICE_HOST | KAFKA_SERVICE_PORT | KAFKA_SERVICE_PORT_*) continue ;;
    esac
    name="${variable#KAFKA_}"; value="${!variable}"
    name="${name//___/-}"; name="${name//__/$'\t'}"; name="${name//_/.}"; name="${name//$'\t'/_}"
    setting["${name,,}"]="$value"
  done < <(compgen -e | grep '^KAFKA_' | sort)
}

[ ! -f "$folder/server.properties" ] || read_file "$folder/server.properties"
id="${KAFKA_NODE_ID:-${setting[node.id]:-}}"
[ -n "$id" ] || fail "the node has no id: set KAFKA_NODE_ID, or node.id in $folder/server.properties"
[ ! -f "$folder/node-$id.properties" ] || read_file "$folder/node-$id.properties"
from_environment
setting[node.id]="$id"
: "${setting[log.dirs]:=/var/lib/kafka/data}"

# The file may hold passwords, and the root of the container may be read-only.
umask 077
properties="${TMPDIR:-/tmp}/server.properties"
for name in "${!setting[@]}"; do printf '%s=%s\n' "$name" "${setting[$name]}"; done | sort > "$properties"

first="${setting[log.dirs]%%,*}"
if [ ! -f "$first/meta.properties" ]; then
  [ -n "${CLUSTER_ID:-}" ] || fail "$first is not formatted: set CLUSTER_ID, the same for all nodes of the cluster"
  words=()
  while IFS= read -r word; do [ -z "$word" ] || words+=("$word"); done <<< "${KAFKA_FORMAT_ARGS:-}"
  "$home/bin/java.sh" kafka.tools.StorageTool format --ignore-formatted --cluster-id "$CLUSTER_ID" --config "$properties" "${words[@]}"
fi
exec "$home/bin/java.sh" kafka.Kafka "$properties"
