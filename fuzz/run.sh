#!/usr/bin/env bash
# Builds every fuzz target and runs each for its share of the time, beginning with the seeds in the repository and with
# what earlier runs on this machine have found.
#
#   fuzz/run.sh SECONDS [TARGET…]     all targets, or the named ones
#
# The build and what is found stay in ${TIDEGATE_CACHE:-~/.cache/tidegate}/fuzz: nothing of it is in the checkout. An
# input that breaks something is printed with its file; it becomes a seed, under a name that says what broke.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds="${1:?fuzz/run.sh SECONDS [TARGET…]}"
shift
cache="${TIDEGATE_CACHE:-${HOME:?HOME is not set; set TIDEGATE_CACHE to a folder}/.cache/tidegate}/fuzz"
# No sanitizer: there is no unsafe code to look after, and the stable compiler has none.
options=(--sanitizer none --codegen-units 16 --target-dir "$cache/target")

# The product's own versions of everything.
cp ../Cargo.lock Cargo.lock
cargo fuzz build "${options[@]}"
programs="$cache/target/$(rustc --print host-tuple)/release"

mapfile -t targets < <(if [[ $# -gt 0 ]]; then printf '%s\n' "$@"; else cargo fuzz list; fi)
share=$((seconds / ${#targets[@]}))
[[ $share -gt 0 ]] || share=1
broken=()
for target in "${targets[@]}"; do
  found="$cache/corpus/$target"
  mkdir -p "$found" "$cache/broken"
  log="$cache/$target.log"
  if "$programs/$target" "$found" "seeds/$target" \
    -max_total_time="$share" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$cache/broken/$target-" >"$log" 2>&1
  then
    runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    printf 'fuzz: %-14s %s s, %s inputs, nothing broken\n' "$target" "$share" "$runs"
  else
    tail -n 60 "$log" >&2
    printf 'fuzz: %-14s BROKEN; the input is in %s (all of the log: %s)\n' "$target" "$cache/broken" "$log" >&2
    broken+=("$target")
  fi
done
[[ ${#broken[@]} == 0 ]]
