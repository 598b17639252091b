#!/bin/sh
# Installs the pinned agent CLIs into the cache: $MIDWATCH_CACHE/agents/node_modules/.bin.
# MIDWATCH_CACHE is ~/.cache/midwatch unless set. Nothing is done when they are there already.
#
#   install.sh         those that the demo drives: dependencies of package.json
#   install.sh --all   those of the tests, too: its devDependencies
#
# Each set of pins has its own folder, named by the hash of the lock, and node_modules is a
# link to it: a run that still uses the set before keeps it, and an installation that was cut
# short leaves nothing that looks finished.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${MIDWATCH_CACHE:-${HOME:?HOME or MIDWATCH_CACHE must be set}/.cache/midwatch}/agents
set=some
[ "${1:-}" = --all ] && set=all

pin() {
    sed -n "s|^ *\"$1\": \"\([0-9.]*\)\",*\$|\1|p" "$here/package.json"
}

key_of() {
    { cat "$here/package.json" "$here/package-lock.json" && echo "$1"; } | sha256sum | cut -c 1-16
}
key=$(key_of "$set")
all=$(key_of all)
# All holds some.
[ -f "$cache/$all/complete" ] && key=$all
link() {
    [ "$(readlink "$cache/node_modules" 2>/dev/null)" = "$key/node_modules" ] && return
    # A folder of another origin would swallow the link.
    if [ -d "$cache/node_modules" ] && [ ! -L "$cache/node_modules" ]; then
        mv "$cache/node_modules" "$cache/$new.old"
    fi
    before=$(readlink "$cache/node_modules" 2>/dev/null) || before=""
    ln -s "$key/node_modules" "$cache/$new.link"
    mv -T "$cache/$new.link" "$cache/node_modules"
    rm -rf "$cache/$new.old"
    # A set takes 640 MB or 1.2 GB: only this one and the one before stay, and no leftovers of
    # a kill.
    for old in "$cache"/????????????????; do
        case $old in "$cache/$key" | "$cache/${before%/node_modules}") ;; *) rm -rf "$old" ;; esac
    done
    find "$cache" -maxdepth 1 -name '.new.*' -mmin +60 -exec rm -rf {} +
}
new=.new.$$
mkdir -p "$cache"
if [ -f "$cache/$key/complete" ]; then
    link
    exit 0
fi

echo "installing the pinned agent CLIs ($set) into $cache" >&2
trap 'rm -rf "$cache/$new"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$cache/$new"
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$cache/$new/"
omit=""
[ "$set" = all ] || omit=--omit=dev
# No package's script runs by itself. Those that link a native program into place are called
# by name.
(cd "$cache/$new" && npm ci --ignore-scripts --no-progress $omit </dev/null >&2 &&
    node node_modules/@anthropic-ai/claude-code/install.cjs >&2)

check() {
    # A home of its own: --version must not leave files in the user's.
    told=$(HOME="$cache/$new/home" "$cache/$new/node_modules/.bin/$1" --version </dev/null) || told="nothing"
    case " $(echo "$told" | tr -s '[:space:]' ' ') " in
    *" $2 "*) ;;
    *)
        echo "$1 should be $2, and says: $told" >&2
        exit 1
        ;;
    esac
}
mkdir "$cache/$new/home"
check claude "$(pin @anthropic-ai/claude-code)"
check codex "$(pin @openai/codex)"
if [ "$set" = all ]; then
    (cd "$cache/$new" && node node_modules/opencode-ai/postinstall.mjs >&2)
    # It has linked one of these to its own name; 177 MB each.
    rm -rf "$cache/$new"/node_modules/opencode-linux-*
    check opencode "$(pin opencode-ai)"
    check gemini "$(pin @google/gemini-cli)"
    check qwen "$(pin @qwen-code/qwen-code)"
fi
rm -rf "$cache/${new:?}/home"
: >"$cache/$new/complete"

# Somebody else may have finished the same set first: theirs is as good.
mv -T "$cache/$new" "$cache/$key" 2>/dev/null || [ -f "$cache/$key/complete" ]
link
