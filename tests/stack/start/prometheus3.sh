#!/usr/bin/env bash
# prometheus3.sh DATA PORT [OUT_OF_ORDER_WINDOW [WEB_CONFIG]]: as prometheus.sh, of version 3.
PROMETHEUS=prometheus3 exec "$(dirname "${BASH_SOURCE[0]}")/prometheus.sh" "$@"
