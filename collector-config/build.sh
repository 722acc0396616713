#!/bin/sh
# Print the path of a Collector that runs the files in this folder; build it first where Go is installed.
# The binary is kept under the hash of builder-config.yaml, so a changed file is a new build and nothing else is.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
builder=go.opentelemetry.io/collector/cmd/builder@v0.155.0
hash=$(git hash-object "$here/builder-config.yaml" | cut -c1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/ai-usage/collector/$hash

if [ ! -x "$folder/otelcol" ]; then
    if command -v go >/dev/null; then
        echo "Building the Collector from builder-config.yaml (minutes, once)" >&2
        mkdir -p "$folder"
        # One build at a time: whoever waited finds the binary.
        if command -v flock >/dev/null; then
            exec 9>"$folder/lock"
            flock 9
            [ ! -x "$folder/otelcol" ] || { echo "$folder/otelcol" && exit; }
        fi
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        # The builder takes no folder on the command line: its files go beside a copy of the configuration.
        awk -v folder="$work/build" '{print} /^dist:/ {print "  output_path: " folder}' \
            "$here/builder-config.yaml" >"$work/builder-config.yaml"
        GOBIN="$work" go install "$builder"
        # -e: only what is compiled has to be there, not also what the modules' own tests import.
        CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -e" "$work/builder" --config "$work/builder-config.yaml" >&2
        # Renamed last: a build cut short never leaves half a binary.
        mv "$work/build/otelcol" "$folder/otelcol.$$"
        mv "$folder/otelcol.$$" "$folder/otelcol"
    elif command -v otelcol-contrib >/dev/null; then
        command -v otelcol-contrib
        exit 0
    else
        echo "No Collector: install Go to build one, or put otelcol-contrib on PATH" >&2
        exit 1
    fi
fi
echo "$folder/otelcol"
