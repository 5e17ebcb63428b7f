#!/usr/bin/env bash
# cortex.sh DATA PORT GRPC_PORT [OPTION…]: all of Cortex in one process, in the foreground. Any tenant may write; the
# tenant `late` may write 30 minutes late.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="$1" port="$2" grpc="$3"
shift 3
bin="$(installed cortex)/bin/cortex"

mkdir -p "$data/rules" "$data/alerts"
store='kvstore: {store: inmemory}'
ring="{$store, instance_addr: 127.0.0.1}"
printf 'overrides: {late: {out_of_order_time_window: 30m}}\n' >"$data/overrides.yml"
# Test data carries event times of any year: blocks must stay in the ingester, where queries find them.
cat >"$data/cortex.yml" <<YAML
target: all
auth_enabled: true
runtime_config: {file: $data/overrides.yml}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: $port
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: $grpc
  log_level: warn
distributor: {shard_by_all_labels: true, ring: $ring}
ingester:
  lifecycler:
    address: 127.0.0.1
    min_ready_duration: 0s
    final_sleep: 0s
    join_after: 0s
    ring: {$store, replication_factor: 1}
blocks_storage:
  backend: filesystem
  filesystem: {dir: $data/blocks}
  tsdb: {dir: $data/tsdb, retention_period: 876000h}
  bucket_store: {sync_dir: $data/sync}
querier: {active_query_tracker_dir: $data/queries}
compactor: {data_dir: $data/compactor, sharding_ring: {$store}}
ruler: {rule_path: $data/rules-of-now, ring: {$store}}
ruler_storage: {backend: local, local: {directory: $data/rules}}
alertmanager: {cluster: {listen_address: ""}, data_dir: $data/alertmanager, external_url: "http://127.0.0.1:$port/alertmanager"}
alertmanager_storage: {backend: local, local: {path: $data/alerts}}
YAML
exec "$bin" -config.file="$data/cortex.yml" "$@"
