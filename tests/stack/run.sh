#!/usr/bin/env bash
# tests/stack/run.sh COMMAND…: starts the servers once, runs COMMAND with their addresses in the environment, stops
# them, and exits with COMMAND's exit code.
#
# TIDEGATE_STACK names the servers to start (default: "kafka victoria-metrics prometheus"); there are also influxdb1,
# influxdb2, mimir, cortex and questdb. COMMAND sees TIDEGATE_TEST_KAFKA (host:port) and the URLs of the others, such as
# TIDEGATE_TEST_VICTORIA_METRICS, each only when that server is up.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
stack="${TIDEGATE_STACK-kafka victoria-metrics prometheus}"
[[ $# -gt 0 ]] || { echo "usage: tests/stack/run.sh COMMAND…" >&2; exit 2; }

data="$(mktemp -d "${TMPDIR:-/tmp}/tidegate-stack-XXXXXX")"
declare -A pid=()

stop() {
  trap '' INT TERM
  local name
  for name in "${!pid[@]}"; do kill "${pid[$name]}" 2>/dev/null || true; done
  for _ in {1..100}; do   # 10 s, then by force
    local alive=""
    for name in "${!pid[@]}"; do if kill -0 "${pid[$name]}" 2>/dev/null; then alive=yes; fi; done
    [[ -n "$alive" ]] || break
    sleep 0.1
  done
  for name in "${!pid[@]}"; do
    kill -KILL "${pid[$name]}" 2>/dev/null || true
    wait "${pid[$name]}" 2>/dev/null || true
  done
  rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A port that nobody listens on, below the range from which the kernel gives out ports of outgoing connections.
taken=" "
free_port() {
  local candidate
  while :; do
    candidate=$((10240 + RANDOM % 20000))
    if [[ "$taken" != *" $candidate "* ]] && ! (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; then
      port=$candidate
      taken+="$port "
      return
    fi
  done
}

start() {
  local name="$1"; shift
  "$here/start/$name.sh" "$data/$name" "$@" >"$data/$name.log" 2>&1 </dev/null &
  pid[$name]=$!
}

# ready NAME COMMAND…: waits until COMMAND succeeds.
ready() {
  local name="$1" deadline=$((SECONDS + 180)); shift
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "${pid[$name]}" 2>/dev/null || ((SECONDS > deadline)); then
      echo "tests/stack/run.sh: $name did not become ready; the end of its log:" >&2
      tail -n 30 "$data/$name.log" >&2
      exit 1
    fi
    sleep 0.1
  done
}
# The broker opens its port only when it can serve.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# answers PORT PATH [STATUS]: HTTP 200, or STATUS.
answers() (
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
  read -r -t 5 status <&3 && [[ "$status" == HTTP/*" ${3:-200} "* ]]
)

declare -A at=()
for name in $stack; do
  free_port; at[$name]=$port
  case "$name" in
    kafka) free_port; start kafka "${at[kafka]}" "$port" ;;
    mimir)
      free_port; grpc=$port
      free_port; start mimir "${at[mimir]}" "$grpc" "$port" ;;
    cortex) free_port; start cortex "${at[cortex]}" "$port" ;;
    victoria-metrics | prometheus | influxdb1 | influxdb2 | questdb) start "$name" "${at[$name]}" ;;
    *)
      echo "tests/stack/run.sh: TIDEGATE_STACK names '$name'; there are: kafka victoria-metrics prometheus influxdb1 influxdb2 mimir cortex questdb" >&2
      exit 2 ;;
  esac
done
for name in $stack; do
  url="http://127.0.0.1:${at[$name]}"
  case "$name" in
    kafka)
      ready kafka listens "${at[kafka]}"
      export TIDEGATE_TEST_KAFKA="127.0.0.1:${at[kafka]}" ;;
    victoria-metrics) ready "$name" answers "${at[$name]}" /health ;;
    prometheus) ready "$name" answers "${at[$name]}" /-/ready ;;
    influxdb1)
      ready "$name" answers "${at[$name]}" /ping 204
      "$here/start/influxdb1-setup.sh" "$url" ;;
    influxdb2)
      ready "$name" answers "${at[$name]}" /health
      "$here/start/influxdb2-setup.sh" "$url" ;;
    mimir | cortex) ready "$name" answers "${at[$name]}" /ready ;;
    questdb) ready "$name" answers "${at[$name]}" /ping 204 ;;
  esac
  if [[ "$name" != kafka ]]; then
    variable="${name^^}"
    export "TIDEGATE_TEST_${variable//-/_}=$url"
  fi
done

# In the background, because bash would run a trap only after a command in the foreground has ended.
"$@" <&0 &
command=$!
cut_short() { kill -TERM "$command" 2>/dev/null || true; wait "$command" || true; exit "$1"; }
trap 'cut_short 130' INT
trap 'cut_short 143' TERM
code=0
wait "$command" || code=$?
exit "$code"
