#!/usr/bin/env bash
# influxdb2.sh DATA PORT: in the foreground. Once it answers, influxdb2-setup.sh makes the organisation and the bucket.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="$1" port="$2"
bin="$(installed influxdb2)/bin/influxd"

mkdir -p "$data"
exec "$bin" --bolt-path="$data/influxd.bolt" --sqlite-path="$data/influxd.sqlite" --engine-path="$data/engine" \
  --http-bind-address="127.0.0.1:$port" --reporting-disabled --log-level=warn
