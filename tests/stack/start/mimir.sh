#!/usr/bin/env bash
# mimir.sh DATA PORT GRPC_PORT GOSSIP_PORT [OPTION…]: all of Mimir in one process, in the foreground. Any tenant may
# write; the tenant `late` may write 30 minutes late.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="$1" port="$2" grpc="$3" gossip="$4"
shift 4
bin="$(installed mimir)/bin/mimir"

mkdir -p "$data"
ring='{kvstore: {store: inmemory}, instance_addr: 127.0.0.1}'
printf 'overrides: {late: {out_of_order_time_window: 30m}}\n' >"$data/overrides.yml"
# Test data carries event times of any year: queries must look for them in the ingester, and blocks must stay in it.
cat >"$data/mimir.yml" <<YAML
target: all
multitenancy_enabled: true
usage_stats: {enabled: false}
activity_tracker: {filepath: $data/metrics-activity.log}
runtime_config: {file: $data/overrides.yml}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: $port
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: $grpc
  log_level: warn
memberlist: {bind_addr: [127.0.0.1], bind_port: $gossip}
common: {storage: {backend: filesystem, filesystem: {dir: $data/common}}}
blocks_storage:
  filesystem: {dir: $data/blocks}
  tsdb: {dir: $data/tsdb, retention_period: 876000h}
  bucket_store: {sync_dir: $data/sync}
alertmanager_storage: {filesystem: {dir: $data/alertmanager}}
ruler_storage: {filesystem: {dir: $data/ruler}}
alertmanager: {data_dir: $data/alertmanager-data, sharding_ring: $ring}
compactor: {data_dir: $data/compactor, sharding_ring: $ring}
distributor: {ring: $ring}
ingester: {ring: {kvstore: {store: inmemory}, instance_addr: 127.0.0.1, replication_factor: 1, min_ready_duration: 0s}}
limits: {query_ingesters_within: 0s}
ruler: {rule_path: $data/rules, ring: $ring}
store_gateway: {sharding_ring: {kvstore: {store: inmemory}, instance_addr: 127.0.0.1, replication_factor: 1}}
frontend: {address: 127.0.0.1}
query_scheduler: {ring: $ring}
YAML
exec "$bin" -config.file="$data/mimir.yml" "$@"
