#!/usr/bin/env bash
# questdb.sh DATA PORT [MAX_BODY]: in the foreground, HTTP only, asking for a login.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data="$1" port="$2" max_body="${3:-}"
jar="$(installed questdb)/questdb.jar"

mkdir -p "$data/conf"
cat >"$data/conf/server.conf" <<CONF
http.bind.to=127.0.0.1:$port
http.user=tidegate
http.password=tidegate-tests
http.min.enabled=false
line.tcp.enabled=false
line.udp.enabled=false
pg.enabled=false
telemetry.enabled=false
metrics.enabled=false
shared.worker.count=2
${max_body:+http.recv.buffer.size=$max_body}
${max_body:+line.http.max.recv.buffer.size=$max_body}
CONF
exec java -Xmx256m -XX:+UseSerialGC -p "$jar" -m io.questdb/io.questdb.ServerMain -d "$data"
