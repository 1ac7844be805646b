#!/bin/sh
# Builds the plugins that go wrong, against the SDK's header alone: build.sh OUT
#
# OUT gets one folder of plugins for each kind: faults.so, cpp.so, rust.so, go.so, … (the one in Swift is a product of the package). What
# has not changed since the last run is not built again. CC, CXX, RUSTC and GO name other tools. A plugin whose compiler is not on this machine is
# left out; OUT/missing then says so, one language a line, and so does the table of the fault matrix.
set -eu
[ $# -eq 1 ] || { echo "usage: build.sh OUT" >&2; exit 2; }
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
mkdir -p "$1"
out=$(cd "$1" && pwd -P)
mkdir -p "$out/.work"
exec 9> "$out/.work/lock"
flock 9

: "${CC:=cc}" "${CXX:=c++}" "${RUSTC:=rustc}" "${GO:=go}"
include="-I$root/PluginSDK/include -I$root/Sources/CWorkerProtocol/include"
flags="-O1 -Wall -Wextra -Werror -fPIC -shared -pthread -fvisibility=hidden $include"

# Everything that a plugin is made from, in one number.
stamp=$({
    for tool in "$CC" "$CXX" "$RUSTC" "$GO"; do command -v "$tool" || true; done
    find -L "$here" "$here/../c/fixture.h" "$here/../out-of-tree/rust/src" "$root/PluginSDK/include" \
        "$root/Sources/CWorkerProtocol/include" -type f -exec sha256sum {} + | sort
} | sha256sum)
if [ "$(cat "$out/.work/stamp" 2> /dev/null)" = "$stamp" ]; then
    sed 's/^/MISSING toolchain: /' "$out/missing"
    exit 0
fi
rm -f "$out/.work/stamp" "$out"/*.so
: > "$out/missing"

c_plugin() { # name source flags...
    name=$1 source=$2
    shift 2
    # $flags is a list of words.
    # shellcheck disable=SC2086
    "$CC" -std=gnu11 $flags "$@" -o "$out/$name.so" "$here/c/$source.c"
}
for name in neighbour faults liar probe; do c_plugin "$name" "$name"; done
for how in crash hang thread patch patch-all table; do c_plugin "loads-$how" loads "-DLOADS=\"$how\""; done
c_plugin loads-storage loads '-DLOADS="storage"' -DTHREAD_STORAGE
c_plugin loads-symbol loads '-DLOADS="symbol"' -DMISSING_SYMBOL
# A library that is not there at the time of loading.
c_plugin .work/libgone loads '-DLOADS="gone"'
c_plugin loads-library loads '-DLOADS="library"' "-L$out/.work" -Wl,--no-as-needed -lgone
# A whole ELF file for a machine that this is not: e_machine is the half word at byte 18; 2 is SPARC.
cp "$out/faults.so" "$out/loads-machine.so"
printf '\002' | dd of="$out/loads-machine.so" bs=1 seek=18 conv=notrunc status=none
echo 'this is not a shared object' > "$out/loads-text.so"

# shellcheck disable=SC2086
"$CXX" -std=c++17 $flags -o "$out/cpp.so" "$here/cpp/faults.cpp"

if command -v "$RUSTC" > /dev/null; then
    "$RUSTC" --edition 2021 --crate-type cdylib --crate-name villain -O -C panic=abort -o "$out/rust.so" "$here/rust/villain.rs"
else
    echo rust >> "$out/missing"
fi
if command -v "$GO" > /dev/null; then
    (
        cd "$here/go"
        GOFLAGS=-mod=mod GOPROXY=off GOCACHE="$out/.work/go" GO111MODULE=on CGO_ENABLED=1 CC="$CC" CGO_CFLAGS="-O1 $include" \
            "$GO" build -buildmode=c-shared -o "$out/go.so" .
    )
    rm -f "$out/go.h"
else
    echo go >> "$out/missing"
fi
sed 's/^/MISSING toolchain: /' "$out/missing"
echo "$stamp" > "$out/.work/stamp"
