#!/usr/bin/env bash
# bench/flame.sh: draws where the CPU time of a run goes, as target/report/flame-OUTPUT.svg. `make flame` calls it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

output="${OUTPUT:-line_protocol}" target="${TARGET:-target}"
stacks="$(mktemp)"
trap 'rm -f "$stacks"' EXIT
mkdir -p "$target/report"
"$target/release/examples/bench" flame "$output" "$stacks"
perf script --input "$stacks" 2>/dev/null | inferno-collapse-perf --quiet \
  | inferno-flamegraph --minwidth 0.2 --title "JSON 280 B to ${output//_/ }" >"$target/report/flame-$output.svg"
echo "$target/report/flame-$output.svg"
