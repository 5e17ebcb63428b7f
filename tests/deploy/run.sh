#!/usr/bin/env bash
# tests/deploy/run.sh [UNITTEST_ARGUMENTS…]: the tests of the chart and of what is made for Grafana. TIDEGATE_STACK as for
# tests/stack/run.sh; the binary is target/debug/tidegate, or TIDEGATE_BINARY. Needs install.sh's group `deploy`.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="$("$here/../stack/install.sh" --where kube-schemas)/venv/bin/python"
cd "$here"
export PYTHONDONTWRITEBYTECODE=yes
if [[ $# == 0 ]]; then set -- test_*.py; fi
TIDEGATE_STACK="${TIDEGATE_STACK-kafka victoria-metrics prometheus influxdb1 influxdb2 mimir}" exec "$here/../stack/run.sh" "$python" -m unittest --verbose "$@"
