#!/usr/bin/env bash
# Packs the core for iPhones, their simulator and Macs into BeatbookCore.xcframework; never built here: it takes a Mac with Xcode and Rust.
#
#     ffi/swift/xcframework.sh    puts it into target/ffi/swift, which then is the package that an app adds
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
  echo "xcframework: $*" >&2
  exit 1
}
[ "$(uname -s)" = Darwin ] || fail "only a Mac has what this takes"
xcodebuild -version >/dev/null 2>&1 || fail "Xcode is missing"

targets=(aarch64-apple-ios aarch64-apple-ios-sim aarch64-apple-darwin)
if command -v rustup >/dev/null; then
  rustup target add "${targets[@]}"
fi

# As Package.swift has them.
export IPHONEOS_DEPLOYMENT_TARGET=15.0 MACOSX_DEPLOYMENT_TARGET=12.0
# After a change of what it says begin in an empty folder: OpenSSL's build script does not see it.
. ffi/small
mkdir -p "${CARGO_TARGET_DIR:-target}"
built=$(cd "${CARGO_TARGET_DIR:-target}" && pwd -P)
for target in "${targets[@]}"; do
  # A static library: an app then has one file less to sign, and keeps of this one only what it calls. What else it wants is printed.
  cargo rustc --locked --profile phone -p beatbook-ffi --lib --crate-type staticlib --target "$target" --target-dir "$built/apple" \
    -- --print native-static-libs
done
library() { echo "$built/apple/$1/phone/libbeatbook_ffi.a"; }

# The bindings are of the same build as the library.
ffi/package swift "$(library aarch64-apple-darwin)"
package=$built/ffi/swift
rm -rf "$package/lib" "$package/BeatbookCore.xcframework" "$built/apple/headers"

# In a folder of the module's own name: the headers of all frameworks of an app end up beside each other.
headers=$built/apple/headers/BeatbookCoreFFI
mkdir -p "$headers"
cp "$package/sources/BeatbookCoreFFI.h" "$headers/"
printf 'module BeatbookCoreFFI {\n    header "BeatbookCoreFFI.h"\n    export *\n}\n' >"$headers/module.modulemap"

arguments=()
for target in "${targets[@]}"; do
  arguments+=(-library "$(library "$target")" -headers "$built/apple/headers")
done
xcodebuild -create-xcframework "${arguments[@]}" -output "$package/BeatbookCore.xcframework"
du -sh "$package/BeatbookCore.xcframework"
