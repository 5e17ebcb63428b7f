#!/usr/bin/env bash
# influxdb3.sh DATA PORT TOKEN: what stands for an InfluxDB 3, in the foreground (influxdb3.py).
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
exec "$(installed datafusion)/venv/bin/python" "$stack/start/influxdb3.py" "$2" "$3"
