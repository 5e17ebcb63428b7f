#!/bin/sh
# Of the Dockerfile, on a Debian with Rust, as root. ARCH is amd64 or arm64; default: this machine's.
#   docker/build.sh tools [ARCH]    installs compilers and libraries
#   docker/build.sh binary [ARCH]   builds /tidegate, with the list of its crates inside
set -eu

here="$(dpkg --print-architecture)"
arch="${2:-$here}"
case "$arch" in
  amd64) gnu=x86_64-linux-gnu ;;
  arm64) gnu=aarch64-linux-gnu ;;
  *) echo "docker/build.sh: no recipe for the architecture $arch" >&2; exit 2 ;;
esac
rust="${gnu%%-*}-unknown-linux-gnu"

# For Rust's own build, for C by the cc crate, and for librdkafka's configure.
if [ "$arch" != "$here" ]; then
  export CC="$gnu-gcc" CXX="$gnu-g++" AR="$gnu-ar" RANLIB="$gnu-ranlib" HOST_CC=gcc
  export PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_LIBDIR="/usr/lib/$gnu/pkgconfig:/usr/share/pkgconfig"
  export "CARGO_TARGET_$(echo "$rust" | tr 'a-z-' 'A-Z_')_LINKER=$gnu-gcc"
fi
# Kernels for arm64 have pages of up to 64 KiB, and jemalloc does not start on larger pages than it was built for.
if [ "$arch" = arm64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi

case "${1:-}" in
  tools)
    cross=""
    if [ "$arch" != "$here" ]; then
      dpkg --add-architecture "$arch"
      cross="g++-$(echo "$gnu" | tr _ -)"
      if command -v rustup >/dev/null; then rustup target add "$rust"; fi
    fi
    apt-get -qq update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends g++ make pkg-config "libssl-dev:$arch" $cross >/dev/null
    rm -rf /var/lib/apt/lists/*
    env -u CC -u CXX -u AR -u RANLIB cargo install --locked --quiet --version 0.7.7 cargo-auditable
    ;;
  binary)
    cargo auditable build --locked --release --bin tidegate --target "$rust"
    "$gnu-strip" -o /tidegate "target/$rust/release/tidegate"
    ;;
  *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
