#!/usr/bin/env bash
# influxdb2-setup.sh URL: makes the user, organisation, bucket and token of a new InfluxDB 2.
# tests/stack/influxdb.rs names the same ones.
set -euo pipefail
curl -sS --fail-with-body -X POST "$1/api/v2/setup" -H 'Content-Type: application/json' -d '{
  "username": "tidegate", "password": "tidegate-tests",
  "org": "tidegate", "bucket": "tests", "token": "tidegate-tests-token", "retentionPeriodSeconds": 0
}' >/dev/null
