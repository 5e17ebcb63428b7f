#!/usr/bin/env bash
# prometheus.sh DATA PORT [OUT_OF_ORDER_WINDOW [WEB_CONFIG]]: in the foreground, scraping nothing, receiving remote write.
# PROMETHEUS: which of those that are installed.
# OUT_OF_ORDER_WINDOW (for example 30m): also takes samples that are older than a series' newest by that much.
# WEB_CONFIG: a file for --web.config.file (TLS, logins).
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="$1" port="$2" window="${3:-}" web="${4:-}"
bin="$(installed "${PROMETHEUS:-prometheus}")/bin/prometheus"

mkdir -p "$data"
{
  echo "scrape_configs: []"
  if [[ -n "$window" ]]; then printf 'storage:\n  tsdb:\n    out_of_order_time_window: %s\n' "$window"; fi
} >"$data/prometheus.yml"

# Test data carries event times of any year, so nothing may expire.
exec "$bin" --config.file="$data/prometheus.yml" --storage.tsdb.path="$data/tsdb" \
  --web.listen-address="127.0.0.1:$port" --web.enable-remote-write-receiver --web.enable-admin-api \
  --storage.tsdb.retention.time=100y --query.lookback-delta=5m --log.level=warn \
  ${web:+--web.config.file="$web"}
