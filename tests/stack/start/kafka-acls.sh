#!/usr/bin/env bash
# kafka-acls.sh ARGUMENTS…: Kafka's own command of this name.
source "$(dirname "${BASH_SOURCE[0]}")/kafka-common.sh"
exec "${java[@]}" -Xmx128m org.apache.kafka.tools.AclCommand "$@"
