#!/usr/bin/env bash
# Builds the native libraries of the AAR for each kind of phone; never built here: it takes the NDK (r27 or later) and cargo-ndk.
#
#     ANDROID_NDK_HOME=... ffi/kotlin/android/build-native.sh
set -euo pipefail
cd "$(dirname "$0")/../../.."

fail() {
  echo "build-native: $*" >&2
  exit 1
}
[ -d "${ANDROID_NDK_HOME:-}" ] || fail "ANDROID_NDK_HOME names no NDK"
cargo ndk --version >/dev/null 2>&1 || fail "cargo-ndk is missing: cargo install cargo-ndk --locked"
if command -v rustup >/dev/null; then
  rustup target add aarch64-linux-android armv7-linux-androideabi x86_64-linux-android
fi

built=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=$built/ffi/android/jniLibs
rm -rf "$out"

# Phones with pages of 16 KB (Android 15) do not load a library that is aligned to less; Google Play asks for it.
# Addresses that the loader fills in are packed: a megabyte less. Phones since Android 6 read this form, the newer RELR only from 9 on.
export RUSTFLAGS="${RUSTFLAGS:-} -Clink-arg=-Wl,-z,max-page-size=16384 -Clink-arg=-Wl,--pack-dyn-relocs=android"
# After a change of what it says begin in an empty folder: OpenSSL's build script does not see it.
. ffi/small
export RUSTFLAGS="$RUSTFLAGS $small_link"
# As a cdylib alone: beside the Rust library that the tests take Cargo leaves LTO out.
cargo ndk --platform 26 --target arm64-v8a --target armeabi-v7a --target x86_64 --output-dir "$out" \
  rustc --locked --profile phone -p beatbook-ffi --lib --crate-type cdylib --target-dir "$built/android"

readelf=$(find "$ANDROID_NDK_HOME/toolchains/llvm/prebuilt" -name llvm-readelf | head -1)
for library in "$out"/*/libbeatbook_ffi.so; do
  [ -f "$library" ] || fail "nothing came out in $out"
  # Only 64-bit phones have such pages; the last column of LOAD is the alignment.
  case $library in */armeabi-v7a/*) continue ;; esac
  "$readelf" -lW "$library" | awk '$1 == "LOAD" && $NF != "0x4000" { bad = 1 } END { exit bad }' || fail "$library is not aligned to 16 KB"
done
ls -l "$out"/*/*.so
