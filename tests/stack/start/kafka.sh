#!/usr/bin/env bash
# kafka.sh DATA PORT CONTROLLER_PORT: one KRaft broker on 127.0.0.1, in the foreground. An empty DATA is formatted.
source "$(dirname "${BASH_SOURCE[0]}")/kafka-common.sh"
data="$1" port="$2" controller="$3"

mkdir -p "$data"
{
  common_properties "$data" 1 4
  cat <<PROPERTIES
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
# After a kill the controller waits for the old session to end before it lets the broker in again (default 9 s).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
PROPERTIES
} >"$data/server.properties"
run_broker "$data" 384m
