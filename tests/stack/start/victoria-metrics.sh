#!/usr/bin/env bash
# victoria-metrics.sh DATA PORT [OPTION…]: in the foreground.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="$1" port="$2"
shift 2
bin="$(installed victoria-metrics)/bin/victoria-metrics"

# Test data carries event times of any year, so nothing may expire. A replayed point must count once:
# 1 ms is the finest deduplication that there is.
exec "$bin" -storageDataPath="$data" -httpListenAddr="127.0.0.1:$port" \
  -retentionPeriod=100y -dedup.minScrapeInterval=1ms \
  -memory.allowedBytes=256MiB -loggerLevel=WARN "$@"
