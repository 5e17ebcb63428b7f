# shellcheck shell=bash
# Sourced by the start scripts of Kafka: what all brokers of the tests have in common.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
libs="$(installed kafka)/libs"
java=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto
  -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$libs/*")

# common_properties DATA REPLICAS PARTITIONS: internal topics of so many replicas and partitions.
common_properties() {
  local data="$1" replicas="$2" partitions="$3" in_sync=$(($2 > 1 ? 2 : 1))
  cat <<PROPERTIES
process.roles=broker,controller
controller.listener.names=CONTROLLER
log.dirs=$data/log
# A topic is made by the test that wants it, and a misspelt one must not appear by itself.
auto.create.topics.enable=false
# Groups form at once.
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=$replicas
offsets.topic.num.partitions=$partitions
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$in_sync
transaction.state.log.num.partitions=$partitions
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$in_sync
share.coordinator.state.topic.num.partitions=$partitions
# Tests use event times of any year: time-based retention would delete such records at once.
log.retention.ms=-1
# Tests may ask for short sessions, so that a killed worker is noticed quickly.
group.min.session.timeout.ms=1000
PROPERTIES
}

# run_broker DATA HEAP FORMAT_OPTIONS…: becomes the broker of DATA/server.properties. An empty DATA is formatted.
run_broker() {
  local data="$1" heap="$2"
  shift 2
  if [[ ! -f "$data/log/meta.properties" ]]; then
    "${java[@]}" -Xmx128m kafka.tools.StorageTool format --ignore-formatted \
      -t dGlkZWdhdGUtdGVzdHMtMQ -c "$data/server.properties" "$@"
  fi
  exec "${java[@]}" -Xms128m -Xmx"$heap" kafka.Kafka "$data/server.properties"
}
