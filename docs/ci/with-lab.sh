#!/usr/bin/env bash
# with-lab.sh COMMAND [ARG...] runs a test suite with a lab of its own.
#
# It brings a lab up, proves that it works, exports its addresses and credentials as
# "alertlab env" prints them, and runs the command. However that ends, the lab is
# deleted. The exit code is the command's, or that of the alertlab verb that failed.
#
#   LAB_USER=NAME   the Kafka user of the suite (default: antares)
#   REPORTS=FOLDER  for smoke.xml, and lab.log when something fails (default: reports)
#
# ALERTLAB_LAB, ALERTLAB_PROFILE, ALERTLAB_SIMULATOR_ALERTS and the others mean what
# they mean to alertlab. Without a name the lab gets one of its own, so that several
# suites run side by side on one machine.
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: with-lab.sh COMMAND [ARG...]" >&2; exit 2; }
command -v alertlab > /dev/null || { echo "alertlab is not in the path" >&2; exit 2; }

export ALERTLAB_LAB=${ALERTLAB_LAB:-suite-$$}
export ALERTLAB_SIMULATOR_ALERTS=${ALERTLAB_SIMULATOR_ALERTS:-50}
export ALERTLAB_SIMULATOR_INTERVAL=${ALERTLAB_SIMULATOR_INTERVAL:-5s}
reports=${REPORTS:-reports}
mkdir -p "$reports"

end() {
  code=$?
  trap - EXIT
  if [ "$code" -ne 0 ]; then
    alertlab logs > "$reports/lab.log" 2>&1 || true
  fi
  alertlab down --purge --verify --progress quiet || { [ "$code" -ne 0 ] || code=1; }
  exit "$code"
}
trap end EXIT

alertlab up --progress plain > /dev/null
# Whether visits start on time is a busy runner's affair, not that of the suite.
alertlab smoke --junit "$reports/smoke.xml" --timeout 2m --skip visit-cadence
lab=$(alertlab env --user "${LAB_USER:-antares}")
eval "$lab"
"$@"
