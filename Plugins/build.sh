#!/bin/sh
# Builds the shipped C plugins, and the programs that belong to them, into one folder: Plugins/build.sh OUT
set -eu
if [ $# -ne 1 ]; then
    echo "usage: $0 OUT" >&2
    exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
for plugin in audit-log webhook noop bench; do
    make -s -C "$here/$plugin" OUT="$out"
done
