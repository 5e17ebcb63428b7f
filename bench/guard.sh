#!/usr/bin/env bash
# bench/guard.sh: counts the instructions that the standard message takes in each stage, and fails when one takes over
# a tenth more than bench/instructions.json says. `bench/guard.sh --record` writes that file anew.
#
# Callgrind counts them, so other load on the machine makes no difference. Each stage is run over few and over many
# messages: the difference is without the start of the program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

record=bench/instructions.json
few=2000 many=12000
program="${CARGO_TARGET_DIR:-target}/release/examples/bench"
die() { echo "guard: $*" >&2; exit 1; }

command -v valgrind >/dev/null || die "valgrind is missing, so nothing was checked. Mend: tests/stack/install.sh valgrind"
[[ -x "$program" ]] || die "there is no $program. Mend: make guard, which builds it"

# instructions STAGE MESSAGES: of the whole program.
instructions() {
  local log
  log="$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" stages "$1" "$2" 2>&1 >/dev/null)" \
    || die "valgrind failed: $log"
  sed -n 's/^==[0-9]*== Collected : \([0-9]*\)$/\1/p' <<<"$log"
}

# Up to and with the stage, for one message.
through() { echo $((($(instructions "$1" $many) - $(instructions "$1" $few)) / (many - few))); }

decode="$(through decode)"
map="$(through map)"
lines="$(through line_protocol)"
samples="$(through remote_write)"
# What `map` takes is for points that are made; of a known series none is, so mapping and encoding are one.
declare -A now=(
  [decode]="$decode" [map]=$((map - decode))
  [map_and_encode_line_protocol]=$((lines - decode)) [map_and_encode_remote_write]=$((samples - decode))
)
stages=(decode map map_and_encode_line_protocol map_and_encode_remote_write)

if [[ "${1:-}" == --record ]]; then
  {
    echo '{'
    for stage in "${stages[@]}"; do
      comma=,
      [[ "$stage" != "${stages[-1]}" ]] || comma=
      echo "  \"$stage\": ${now[$stage]}$comma"
    done
    echo '}'
  } >"$record"
  cat "$record"
  exit
fi

code=0
for stage in "${stages[@]}"; do
  before="$(sed -n "s/^ *\"$stage\": \([0-9]*\),*$/\1/p" "$record")"
  [[ -n "$before" ]] || die "$record has no $stage. Mend: bench/guard.sh --record"
  echo "$stage: ${now[$stage]} instructions a message, $before on record"
  if ((now[$stage] * 10 > before * 11)); then
    echo "guard: $stage takes over a tenth more instructions. Mend it, or record why: bench/guard.sh --record" >&2
    code=1
  elif ((now[$stage] * 10 < before * 9)); then
    echo "$stage is over a tenth quicker: bench/guard.sh --record keeps it so"
  fi
done
exit $code
