#!/usr/bin/env bash
# kafka-password.sh BOOTSTRAP USER PASSWORD: gives a user of SCRAM-SHA-256 another password.
source "$(dirname "${BASH_SOURCE[0]}")/kafka-common.sh"
exec "${java[@]}" -Xmx128m kafka.admin.ConfigCommand --bootstrap-server "$1" --alter --entity-type users \
  --entity-name "$2" --add-config "SCRAM-SHA-256=[password=$3]"
