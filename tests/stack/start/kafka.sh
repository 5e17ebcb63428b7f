#!/usr/bin/env bash
# kafka.sh DATA PORT CONTROLLER_PORT: one KRaft broker on 127.0.0.1, in the foreground. An empty DATA is formatted.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="$1" port="$2" controller="$3"
libs="$(installed kafka)/libs"

mkdir -p "$data"
cat >"$data/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$data/log
# A topic is made by the test that wants it, and a misspelt one must not appear by itself.
auto.create.topics.enable=false
# One broker: nothing to replicate to, and groups form at once.
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
# Tests use event times of any year: time-based retention would delete such records at once.
log.retention.ms=-1
# Tests may ask for short sessions, so that a killed worker is noticed quickly.
group.min.session.timeout.ms=1000
# After a kill the controller waits for the old session to end before it lets the broker in again (default 9 s).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
PROPERTIES

java=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto
  -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$libs/*")
if [[ ! -f "$data/log/meta.properties" ]]; then
  "${java[@]}" -Xmx128m kafka.tools.StorageTool format --ignore-formatted \
    -t dGlkZWdhdGUtdGVzdHMtMQ -c "$data/server.properties"
fi
exec "${java[@]}" -Xms128m -Xmx384m kafka.Kafka "$data/server.properties"
