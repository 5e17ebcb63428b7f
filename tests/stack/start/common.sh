# shellcheck shell=bash
# Sourced by the start scripts beside it.
set -euo pipefail
stack="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# The folder of an installed server, or a message that says how to install it.
installed() { "$stack/install.sh" --where "$1"; }
