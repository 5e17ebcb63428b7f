#!/usr/bin/env bash
# docker/generate.sh [FOLDER]: what `tidegate grafana export` makes of the compose file's connectors, into docker/compose.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
to="${1:-docker/compose}"
tidegate="${TIDEGATE_BINARY:-target/debug/tidegate}"
out="$(mktemp -d)"
trap 'rm -rf "$out"' EXIT
"$tidegate" grafana export --datasource influxdb -o "$out" --config docker/compose/tidegate.yaml docker/compose/connectors >/dev/null
mkdir -p "$to/provisioning/alerting"
rm -rf "$to/dashboards" "$to/rules"
cp -r "$out/dashboards" "$out/rules" "$to/"
cp "$out"/alerting/*.yaml "$to/provisioning/alerting/"
