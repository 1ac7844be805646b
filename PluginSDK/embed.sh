#!/bin/sh
# Writes the SDK and the project templates into Sources/ProjectTemplate/EmbeddedSDK.swift, from where `capelet new` takes them.
#
#   embed.sh            writes the file
#   embed.sh --check    exits 1 if the file is stale
set -eu
export LC_ALL=C
cd "$(dirname "$0")"
output=../Sources/ProjectTemplate/EmbeddedSDK.swift

# One element of the array: the path and the text of a file. Raw literals, so that texts are readable here; four # are more than any text
# has.
element() { # path file
    if grep -q '"""####' "$2" || grep -q "$(printf '\r')" "$2"; then
        echo "embed.sh: $2 cannot be embedded: it has a carriage return or \"\"\"####" >&2
        exit 1
    fi
    printf '        EmbeddedFile(\n            path: "%s",\n            contents: ####"""\n' "$1"
    cat "$2"
    printf '\n"""####),\n'
}

# All files below a folder. -L: Sources/CCapelet/include is a link here and a folder in a copy.
array() { # name folder comment path...
    name=$1 folder=$2 comment=$3
    shift 3
    printf '    /// %s\n    static let %s: [EmbeddedFile] = [\n' "$comment" "$name"
    (cd "$folder" && find -L "$@" -type f ! -name '.*' ! -name '*~' ! -path '*/.build/*') | sed 's|^\./||' | sort |
        while IFS= read -r path; do element "$path" "$folder/$path"; done
    printf '    ]\n'
}

generate() {
    cat <<'END'
// Made by PluginSDK/embed.sh from PluginSDK: do not change it here.
// swift-format-ignore-file

/// A file of the SDK or of a template.
struct EmbeddedFile {
    /// Relative to the SDK or the template.
    let path: String
    /// The whole text.
    let contents: String
}

/// The plugin SDK and the templates of `capelet new`.
enum EmbeddedSDK {
END
    array sdk . 'The Swift SDK: its manifest and sources.' Package.swift Sources
    array swiftTemplate Templates/swift 'A project in Swift.' .
    array cTemplate Templates/c 'A project in C.' .
    printf '}\n'
}

temporary=$(mktemp)
trap 'rm -f "$temporary"' EXIT
generate > "$temporary"
case "${1:-}" in
--check)
    if ! cmp -s "$temporary" "$output"; then
        echo "EmbeddedSDK.swift is stale: run PluginSDK/embed.sh" >&2
        exit 1
    fi
    ;;
"")
    mkdir -p "$(dirname "$output")"
    cat "$temporary" > "$output"
    ;;
*)
    echo "usage: embed.sh [--check]" >&2
    exit 2
    ;;
esac
