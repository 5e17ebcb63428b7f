#!/usr/bin/env bash
# kafka-cluster.sh DATA NODE PORT CONTROLLER_PORT1 CONTROLLER_PORT2 CONTROLLER_PORT3: one of three KRaft brokers, NODE
# being 1, 2 or 3, in the foreground. An empty DATA is formatted.
source "$(dirname "${BASH_SOURCE[0]}")/kafka-common.sh"
data="$1" node="$2" port="$3"
controllers=("${@:4:3}")

mkdir -p "$data"
{
  # One partition of committed offsets: its leader is the coordinator of every group.
  common_properties "$data" 3 1
  cat <<PROPERTIES
node.id=$node
controller.quorum.voters=1@127.0.0.1:${controllers[0]},2@127.0.0.1:${controllers[1]},3@127.0.0.1:${controllers[2]}
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:${controllers[node - 1]}
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
default.replication.factor=3
min.insync.replicas=2
# A broker that is killed or frozen loses its partitions soon (default 9 s), but not by a moment without processor.
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=1000
replica.lag.time.max.ms=5000
controller.quorum.election.timeout.ms=2000
controller.quorum.fetch.timeout.ms=4000
# Small: three of them share the machine with the test.
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=4194304
PROPERTIES
} >"$data/server.properties"
run_broker "$data" 256m
