#!/usr/bin/env bash
# thanos-query.sh DATA PORT GRPC_PORT RECEIVE_GRPC_PORT: Thanos Query over one Receive, in the foreground.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
port="$2" grpc="$3" receive="$4"
bin="$(installed thanos)/bin/thanos"

# Of a Receive that doesn't answer it must say so, rather than that there is nothing.
exec "$bin" query --http-address="127.0.0.1:$port" --grpc-address="127.0.0.1:$grpc" \
  --endpoint-strict="127.0.0.1:$receive" --no-query.partial-response --log.level=warn
