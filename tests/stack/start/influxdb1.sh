#!/usr/bin/env bash
# influxdb1.sh DATA PORT [MAX_BODY]: in the foreground, asking for a login. influxdb1-setup.sh makes the user and the database.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="$1" port="$2"
if [[ -n "${3:-}" ]]; then export INFLUXDB_HTTP_MAX_BODY_SIZE="$3"; fi
bin="$(installed influxdb1)/bin/influxd"

mkdir -p "$data"
export INFLUXDB_REPORTING_DISABLED=true INFLUXDB_MONITOR_STORE_ENABLED=false INFLUXDB_LOGGING_LEVEL=warn
export INFLUXDB_META_DIR="$data/meta" INFLUXDB_DATA_DIR="$data/data" INFLUXDB_DATA_WAL_DIR="$data/wal"
export INFLUXDB_HTTP_BIND_ADDRESS="127.0.0.1:$port" INFLUXDB_BIND_ADDRESS="127.0.0.1:0"
export INFLUXDB_HTTP_AUTH_ENABLED=true INFLUXDB_HTTP_LOG_ENABLED=false
exec "$bin" -config /dev/null
