#!/bin/sh
# Builds the program of the version before this one into the cache: the tests of upgrades run its
# servers and runners beside ours. Which version that is stands in previous.rev.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
revision=$(cat "$here/previous.rev")
folder=${MIDWATCH_CACHE:-$HOME/.cache/midwatch}/previous/$revision
test -x "$folder/midwatch" && exit 0

if ! git -C "$root" cat-file -e "$revision^{commit}" 2>/dev/null; then
    echo "this clone does not hold commit $revision: the tests of upgrades will not run" >&2
    exit 0
fi
source=$folder/source
rm -rf "$source"
mkdir -p "$source"
git -C "$root" archive "$revision" | tar -x -C "$source"
echo "building the version before this one, once" >&2
# In a target folder of its own: cargo tells packages of one name apart by their place in the
# workspace, and that is the same in both.
(cd "$source" && CARGO_TARGET_DIR=$source/target CARGO_INCREMENTAL=0 \
    cargo build --quiet --locked --package midwatch-app)
cp "$source/target/debug/midwatch" "$folder/midwatch.new"
rm -rf "$source"
mv "$folder/midwatch.new" "$folder/midwatch"
