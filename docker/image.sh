#!/usr/bin/env bash
# docker/image.sh [FOLDER [ARCH]]: builds docker/Dockerfile where there is neither a container daemon nor an image registry:
# with buildah, on bases made of Debian's packages in place of those that the Dockerfile names, and the Rust that is
# installed. Prints the image's layers, and leaves it in FOLDER (target/image): `rootfs` and `config.json` as it would be run
# from, and `oci`, the image. ARCH is amd64 or arm64 (this machine's). For the other one it is compiled across, by the same
# Rust, which needs `rustup target add` for that. Needs root, and tests/stack/install.sh image-bases.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out="$(realpath -m "${1:-target/image}")"
arch="${2:-$(dpkg --print-architecture)}"
bases="$(tests/stack/install.sh --where image-bases)"
version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
image="localhost/tidegate/tidegate:$version-$arch"
revision="$(git rev-parse HEAD 2>/dev/null || echo unknown)"

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
# A store of its own, so that nothing of this gets among anybody's images.
store="$bases/store"
buildah() { command buildah --root "$store" --runroot "$store/run" "$@"; }

# base NAME FOLDER [CONFIG…]: an image of the folder, once.
base() {
  local name="localhost/tidegate/$1" folder="$2" container
  shift 2
  if buildah images --quiet "$name" >/dev/null 2>&1; then return; fi
  container="$(buildah from scratch)"
  cp -a "$folder/." "$(buildah mount "$container")/"
  if [[ $# -gt 0 ]]; then buildah config "$@" "$container"; fi
  buildah commit --quiet "$container" "$name" >/dev/null
  buildah rm "$container" >/dev/null
}
base rust "$bases/rust" --env CARGO_HOME=/usr/local/cargo \
  --env PATH=/usr/local/cargo/bin:/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
base "cc-$arch" "$bases/cc-$arch" --arch "$arch"

# No --platform: buildah 1.28 then finds no local image. That of the base becomes the image's.
buildah bud --layers --pull=never --format oci --file docker/Dockerfile --ignorefile docker/Dockerfile.dockerignore \
  --build-arg TARGETARCH="$arch" \
  --build-arg RUST=localhost/tidegate/rust --build-arg BASE=localhost/tidegate/cc-"$arch" \
  --build-arg VERSION="$version" --build-arg REVISION="$revision" \
  --volume "$(rustc --print sysroot):/usr/local/rust:ro" --volume /etc/ssl/certs:/etc/ssl/certs:ro \
  --tag "$image" .

rm -rf "$out"
mkdir -p "$out/rootfs"
container="$(buildah from --pull=never "$image")"
cp -a "$(buildah mount "$container")/." "$out/rootfs/"
buildah rm "$container" >/dev/null
buildah push --quiet "$image" "oci:$out/oci:$version"

python3 - "$out" <<'PYTHON'
import json, pathlib, sys

out = pathlib.Path(sys.argv[1])

def blob(of):
    return (out / "oci/blobs" / of["digest"].replace(":", "/")).read_text()

def megabytes(size):
    return f"{size / 1e6:6.1f} MB"

manifest = json.loads(blob(json.loads((out / "oci/index.json").read_text())["manifests"][0]))
(out / "config.json").write_text(blob(manifest["config"]))
for layer, what in zip(manifest["layers"], ("the base", "the binary"), strict=True):
    print(megabytes(layer["size"]), "compressed:", what)
files = [file.lstat().st_size for file in (out / "rootfs").rglob("*") if file.is_file() and not file.is_symlink()]
print(megabytes(sum(files)), "unpacked, of which the binary", megabytes((out / "rootfs/usr/local/bin/tidegate").stat().st_size))
PYTHON
