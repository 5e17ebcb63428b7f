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
build="$cache/target"
host="$(rustc --print host-tuple)"
programs="$build/$host/release"

# What cargo-fuzz passes, so that `cargo fuzz run` works as well, but without a sanitizer: there is no unsafe code to
# look after, and the stable compiler has none. No debug information and no tool to install, because all of this is
# built anew on every bare machine.
flags=(
  --cfg fuzzing
  -Cdebug-assertions
  -Ccodegen-units=16
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
  -Cllvm-args=-sanitizer-coverage-stack-depth
  -Cllvm-args=-simplifycfg-branch-fold-threshold=0
)

mkdir -p "$cache"
# The product's own versions of everything.
cp ../Cargo.lock Cargo.lock
# The compiler's last lines are about the programs it gave up; the cause stands somewhere above them, and may be the
# machine's.
if ! RUSTFLAGS="${flags[*]}" cargo build --release --bins --target "$host" --target-dir "$build" 2>&1 |
  tee "$cache/build.log" >&2
then
  echo "fuzz: the build failed (all of its log: $cache/build.log). Room on the disk, and memory in MB:" >&2
  df -h "$cache" >&2
  free -m >&2
  grep -E 'error|undefined|No space|signal|Killed' "$cache/build.log" | cut -c1-300 | head -n 20 >&2
  exit 1
fi

mapfile -t targets < <(if [[ $# -gt 0 ]]; then printf '%s\n' "$@"; else for file in fuzz_targets/*.rs; do basename "$file" .rs; done; fi)
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
