#!/usr/bin/env bash
# influxdb1-setup.sh URL: makes the user and the database of a new InfluxDB 1. tests/stack/influxdb.rs names the same ones.
set -euo pipefail
query() { curl -sS --fail-with-body "$@" "$url/query" >/dev/null; }
url="$1"
query --data-urlencode "q=CREATE USER tidegate WITH PASSWORD 'tidegate-tests' WITH ALL PRIVILEGES"
query -u tidegate:tidegate-tests --data-urlencode "q=CREATE DATABASE tests"
