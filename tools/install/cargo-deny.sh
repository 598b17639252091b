#!/bin/sh
# Prints where cargo-deny is, at the version that deny.toml was written for; builds it into the
# cache, outside of this checkout, when it is not there yet. It takes some minutes, once.
set -eu

version=0.20.2
root=${MIDWATCH_CACHE:-$HOME/.cache/midwatch}/tools/cargo-deny-$version

if [ ! -x "$root/bin/cargo-deny" ]; then
    echo "building cargo-deny $version into $root" >&2
    # Beside the checkout's own settings and build output, which are for another program; unoptimised,
    # which takes a quarter of the time and is quick enough.
    (cd / && env -u CARGO_TARGET_DIR cargo install --quiet --debug --locked --root "$root" \
        "cargo-deny@$version") >&2
fi
echo "$root/bin/cargo-deny"
