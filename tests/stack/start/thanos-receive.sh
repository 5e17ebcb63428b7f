#!/usr/bin/env bash
# thanos-receive.sh DATA PORT HTTP_PORT GRPC_PORT CAPNPROTO_PORT [OUT_OF_ORDER_WINDOW [LIMIT]]: Thanos Receive alone, in the foreground.
# PORT takes remote write; the others are for its health and for thanos-query.sh.
# OUT_OF_ORDER_WINDOW (for example 30m): also takes samples that are older than a series' newest by that much.
# LIMIT: takes requests of so many bytes at most.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="$1" port="$2" http="$3" grpc="$4" capnproto="$5" window="${6:-}" limit="${7:-}"
bin="$(installed thanos)/bin/thanos"

mkdir -p "$data"
limits="write: {default: {request: {size_bytes_limit: ${limit:-0}}}}"
# Test data carries event times of any year, so nothing may expire.
exec "$bin" receive --tsdb.path="$data/tsdb" --tsdb.retention=876000h --label='receive_replica="0"' \
  --remote-write.address="127.0.0.1:$port" --http-address="127.0.0.1:$http" --grpc-address="127.0.0.1:$grpc" \
  --receive.local-endpoint="127.0.0.1:$grpc" --receive.capnproto-address="127.0.0.1:$capnproto" --receive.limits-config="$limits" --log.level=warn \
  --tsdb.out-of-order.time-window="${window:-0s}"
