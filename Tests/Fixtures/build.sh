#!/bin/sh
# Compiles the C fixtures: build.sh OUTPUT_FOLDER. The tests call it; it can also be run by hand.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
root="$here/../.."
flags="-std=c11 -O1 -g0 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -pthread -I$root/PluginSDK/include -I$root/Sources/CWorkerProtocol/include"
mkdir -p "$out"
cc $flags -o "$out/worker.so" "$here/c/worker_lambdas.c"
cc $flags -o "$out/libplain.so" "$here/c/plain_functions.c"
for odd in plain constructor-crashes constructor-exits constructor-hangs thread-at-load newer duplicate no-handle bad-name short-lambda \
    short-plugin null-lambda null-plugin empty old impostor; do
    cc $flags -DODD="\"$odd\"" -o "$out/$odd.so" "$here/c/odd_plugins.c"
done
cc $flags -DODD='"plain"' -DNO_ENTRY -Wno-unused -o "$out/no-entry.so" "$here/c/odd_plugins.c"
printf '%01000d' 0 >"$out/text.so"
