#!/usr/bin/env bash
# Gets the data sets that tests replay, which somebody else made: from the npm package vega-datasets, pinned, cached
# outside the checkout.
#
#   tests/data/install.sh           install what is missing (milliseconds when it is there)
#   tests/data/install.sh --have    exit 0 when it is installed, 1 when not
#   tests/data/install.sh --where   print the folder
#
# The cache is ${TIDEGATE_CACHE:-~/.cache/tidegate}; deleting it is always safe. Earthquakes are the USGS feed of a
# week, unemployment is of the US Bureau of Labor Statistics, flights of its Bureau of Transportation Statistics,
# weather of NOAA; each file's source and licence stand in datapackage.json, which is kept beside them.
set -euo pipefail

PACKAGE=vega-datasets
VERSION=3.2.1
SHA256=6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3
FILES=(datapackage.json data/earthquakes.json data/flights-10k.json data/stocks.csv
  data/unemployment-across-industries.json data/weather.csv)

CACHE="${TIDEGATE_CACHE:-${HOME:?HOME is not set; set TIDEGATE_CACHE to a folder}/.cache/tidegate}"
target="$CACHE/data-$PACKAGE-$VERSION"

say() { printf 'data: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

install() {
  command -v npm >/dev/null || die "npm is missing. Mend: apt-get install npm"
  mkdir -p "$CACHE"
  exec 9>"$CACHE/.data-$PACKAGE.lock"
  flock 9
  if [[ -d "$target" ]]; then return; fi
  rm -rf "$CACHE/.building-data-"*   # left by an install that was killed; we hold the lock

  local building log archive
  building="$(mktemp -d "$CACHE/.building-data-XXXXXX")"
  # shellcheck disable=SC2064
  trap "rm -rf '$building'" EXIT
  trap 'exit 130' INT TERM
  log="$CACHE/data-$PACKAGE.log"
  say "$PACKAGE $VERSION: installing into $target (log: $log)"
  (cd "$building" && npm pack --ignore-scripts "$PACKAGE@$VERSION") >"$log" 2>&1 \
    || die "npm pack $PACKAGE@$VERSION failed. Mend: read $log, then run tests/data/install.sh"
  archive="$building/$PACKAGE-$VERSION.tgz"
  echo "$SHA256  $archive" | sha256sum --check --status \
    || die "$PACKAGE-$VERSION.tgz is not the archive that the tests were written for (SHA-256 differs)"
  mkdir "$building/whole"
  tar -xzf "$archive" -C "$building/whole" --strip-components=1 "${FILES[@]/#/package/}"
  chmod -R u=rwX,go=rX "$building/whole"
  mv -T "$building/whole" "$target"
}

case "${1:-}" in
  "") if [[ ! -d "$target" ]]; then install; fi ;;
  --have) [[ -d "$target" ]] ;;
  --where)
    [[ -d "$target" ]] || die "$PACKAGE is not installed. Mend: tests/data/install.sh"
    printf '%s\n' "$target"
    ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
