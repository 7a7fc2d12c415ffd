#!/usr/bin/env bash
# Builds the installable artefacts of one platform into dist/, for any CI: one job per line of `packaging/build.sh list`.
#
#   packaging/build.sh list            the platforms, where each can be built, and with what
#   packaging/build.sh wheel [TARGET]  a Python wheel: dist/ventros-*.whl
#   packaging/build.sh addon [TARGET]  the native half of the npm package: dist/native/ventros.*.node
#   packaging/build.sh npm             the npm package around all of dist/native: dist/ventros-*.tgz
#
# One wheel per platform serves every CPython from 3.11 on, one addon every Node from 20 on. Without TARGET it is this machine's.
# On Linux a TARGET other than this machine's, and a wheel for older C libraries than its own, need `zig` (pip install ziglang).
set -euo pipefail
cd "$(dirname "$0")/.."

# target                      built on  wheel's platform  addon
matrix() {
  cat <<'END'
x86_64-unknown-linux-gnu      linux     manylinux_2_28    linux-x64-gnu
aarch64-unknown-linux-gnu     linux     manylinux_2_28    linux-arm64-gnu
x86_64-unknown-linux-musl     linux     musllinux_1_2     linux-x64-musl
aarch64-unknown-linux-musl    linux     musllinux_1_2     linux-arm64-musl
x86_64-apple-darwin           macos     -                 darwin-x64
aarch64-apple-darwin          macos     -                 darwin-arm64
x86_64-pc-windows-msvc        windows   -                 win32-x64
aarch64-pc-windows-msvc       windows   -                 win32-arm64
END
}

column() { # TARGET NUMBER
  matrix | awk -v target="$1" -v column="$2" '$1 == target { print $column; found = 1 } END { exit !found }' ||
    { echo "unknown target $1; see: packaging/build.sh list" >&2; exit 2; }
}

host() { rustc -vV | sed -n 's/^host: //p'; }

maturin() { if [ -x .venv/bin/maturin ]; then .venv/bin/maturin "$@"; else command maturin "$@"; fi; }

wheel() {
  local flags=(--release --manifest-path bindings/python/Cargo.toml --out dist)
  if [ $# -gt 0 ]; then
    local platform
    platform=$(column "$1" 3)
    rustup target add "$1"
    flags+=(--target "$1")
    [ "$platform" = - ] || flags+=(--zig --compatibility "$platform")
  fi
  maturin build "${flags[@]}"
}

addon() {
  local target=${1:-$(host)} name folder build=build
  name=$(column "$target" 4)
  folder=${CARGO_TARGET_DIR:-target}/$target/release
  if [ "$target" != "$(host)" ]; then
    rustup target add "$target"
    # The addon of musl must find Node's symbols when it is loaded, so its C library cannot be inside of it.
    case $target in *-musl) export RUSTFLAGS="-C target-feature=-crt-static" ;; esac
    case $target in *-linux-*) build=zigbuild ;; esac
  fi
  # Symbols take ten times the room of the rest.
  CARGO_PROFILE_RELEASE_STRIP=symbols cargo "$build" --release --package ventros-node --target "$target"
  mkdir -p dist/native
  for library in "$folder"/libventros_node.so "$folder"/libventros_node.dylib "$folder"/ventros_node.dll; do
    if [ -f "$library" ]; then cp "$library" "dist/native/ventros.$name.node"; fi
  done
}

npm_package() {
  [ -d dist/native ] || { echo "no addons in dist/native: run packaging/build.sh addon first" >&2; exit 2; }
  (cd bindings/node && npm install --silent --no-save && npm run --silent build -- --without-native)
  cp dist/native/*.node bindings/node/dist/native/
  # What was built just now is packed: `prepack` would build it again, for this machine alone.
  (cd bindings/node && npm pack --silent --ignore-scripts --pack-destination ../../dist)
}

case ${1:-} in
  list) matrix ;;
  wheel) shift; wheel "$@" ;;
  addon) shift; addon "$@" ;;
  npm) npm_package ;;
  *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
