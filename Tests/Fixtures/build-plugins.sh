#!/bin/sh
# Builds the plugins of out-of-tree/, and one from each template of `capelet new`, against the SDK alone.
#
#   build-plugins.sh OUT
#
# OUT gets swift-plain.so, swift-foundation.so, swift-static.so, template-swift.so, template-c.so, c.so, cpp.so and rust.so. What has not
# changed since the last run is not built again. Each is tried out with one event before it is put there (out-of-tree/probe.c). SWIFT, CC,
# CXX and CARGO name other tools. Without cargo, rust.so is left out, with a line that says so.
set -eu
[ $# -eq 1 ] || { echo "usage: build-plugins.sh OUT" >&2; exit 2; }
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd -P)
sdk=$(cd "$here/../../PluginSDK" && pwd -P)
mkdir -p "$1"
out=$(cd "$1" && pwd -P)
work=$out/.work
mkdir -p "$work"
exec 9> "$work/lock"
flock 9

: "${SWIFT:=swift}" "${CC:=cc}" "${CXX:=c++}" "${CARGO:=cargo}"

# Two levels of copies, so that nothing can reach back into the tree. Only what differs is touched: build systems go by times.
copy() { # from to
    mkdir -p "$2"
    (cd "$1" && find -L . -type f ! -path '*/.build/*' ! -path './target/*' ! -name Package.resolved) | while IFS= read -r file; do
        cmp -s "$1/$file" "$2/$file" || { mkdir -p "$(dirname "$2/$file")"; cat "$1/$file" > "$2/$file"; }
    done
}

# A template with its placeholders filled in, as Sources/ProjectTemplate does it.
fill() { # template to name Name
    (cd "$1" && find . -type f) | while IFS= read -r file; do
        target=$2/$(echo "$file" | sed "s/__name__/$3/g; s/__Name__/$4/g")
        mkdir -p "$(dirname "$target")"
        sed "s/__name__/$3/g; s/__Name__/$4/g" "$1/$file" > "$target.new"
        cmp -s "$target.new" "$target" && rm "$target.new" || mv "$target.new" "$target"
    done
}

# Whether NAME.so was built from just these files; else notes that it is being built.
is_fresh() { # name tool path...
    name=$1
    stamp=$work/$name.stamp
    tool=$2
    shift 2
    {
        command -v "$tool" || true
        find -L "$@" -type f ! -path '*/.build/*' ! -path '*/target/*' -exec sha256sum {} + | sort
        cat "$0"
    } | sha256sum > "$stamp.new"
    if [ -f "$out/$name.so" ] && cmp -s "$stamp.new" "$stamp"; then
        rm "$stamp.new"
        return 0
    fi
    echo "building $name.so"
    return 1
}

# Tries a plugin out, then puts it in place: by a new file, since a host may have the old one mapped.
done_with() { # name built
    "$work/probe" "$2" || { echo "build-plugins.sh: $1 was built, but does not work" >&2; exit 1; }
    cp "$2" "$out/$name.so.new"
    mv "$out/$name.so.new" "$out/$name.so"
    mv "$work/$name.stamp.new" "$work/$name.stamp"
}

run() { # folder command...
    folder=$1
    shift
    if ! (cd "$folder" && "$@" > "$folder/build.log" 2>&1); then
        echo "build-plugins.sh: $name failed:" >&2
        tail -n 60 "$folder/build.log" >&2
        exit 1
    fi
}

copy "$sdk/Sources" "$work/capelet-sdk/Sources"
cmp -s "$sdk/Package.swift" "$work/capelet-sdk/Package.swift" || cp "$sdk/Package.swift" "$work/capelet-sdk/Package.swift"
headers=$work/capelet-sdk/Sources/CCapelet/include

if [ ! -x "$work/probe" ] || [ "$here/out-of-tree/probe.c" -nt "$work/probe" ] || [ "$headers/capelet.h" -nt "$work/probe" ]; then
    name=probe
    run "$work" "$CC" -std=c11 -Wall -Wextra -Werror -O1 -I "$headers" -o "$work/probe" "$here/out-of-tree/probe.c" -ldl -lpthread
fi

# Debug information is left out, which halves the time to build.
swift_plugin() { # name folder product flags...
    name=$1 folder=$2 product=$3
    shift 3
    is_fresh "$name" "$SWIFT" "$folder/Package.swift" "$folder/Sources" "$work/capelet-sdk" && return 0
    run "$folder" "$SWIFT" build -c release -Xswiftc -gnone "$@"
    done_with "$name" "$folder/.build/release/lib$product.so"
}

for name in c cpp rust swift-plain swift-foundation swift-static; do copy "$here/out-of-tree/$name" "$work/$name"; done
fill "$sdk/Templates/c" "$work/template-c" template-c TemplateC
fill "$sdk/Templates/swift" "$work/template-swift" template-swift TemplateSwift
copy "$work/capelet-sdk/Sources" "$work/template-swift/capelet-sdk/Sources"
cmp -s "$sdk/Package.swift" "$work/template-swift/capelet-sdk/Package.swift" ||
    cp "$sdk/Package.swift" "$work/template-swift/capelet-sdk/Package.swift"
cmp -s "$headers/capelet.h" "$work/template-c/capelet.h" || cp "$headers/capelet.h" "$work/template-c/capelet.h"

if ! is_fresh c "$CC" "$work/c/echo.c" "$headers"; then
    run "$work/c" "$CC" -std=c11 -Wall -Wextra -Werror -O2 -fPIC -fvisibility=hidden -shared -I "$headers" -o echo.so echo.c
    done_with c "$work/c/echo.so"
fi
if ! is_fresh cpp "$CXX" "$work/cpp/echo.cpp" "$headers"; then
    run "$work/cpp" "$CXX" -std=c++17 -Wall -Wextra -Werror -O2 -fPIC -fvisibility=hidden -shared -I "$headers" -o echo.so echo.cpp
    done_with cpp "$work/cpp/echo.so"
fi
if ! is_fresh template-c "$CC" "$work/template-c/template-c.c" "$work/template-c/Makefile" "$work/template-c/capelet.h"; then
    run "$work/template-c" make CC="$CC"
    done_with template-c "$work/template-c/template-c.so"
fi
if ! command -v "$CARGO" > /dev/null; then
    echo "SKIPPED rust.so: there is no cargo on this machine"
elif ! is_fresh rust "$CARGO" "$work/rust/src" "$work/rust/Cargo.toml"; then
    run "$work/rust" "$CARGO" build --release --offline --quiet
    done_with rust "$work/rust/target/release/libecho.so"
fi
swift_plugin swift-plain "$work/swift-plain" swift-plain
swift_plugin swift-foundation "$work/swift-foundation" swift-foundation
swift_plugin swift-static "$work/swift-static" swift-static -Xswiftc -static-stdlib
swift_plugin template-swift "$work/template-swift" template-swift
