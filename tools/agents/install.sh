#!/bin/sh
# Installs the pinned agent CLIs into the cache: $MIDWATCH_CACHE/agents/node_modules/.bin.
# MIDWATCH_CACHE is ~/.cache/midwatch unless set. Nothing is done when they are there already.
#
# Each set of pins has its own folder, named by the hash of the lock, and node_modules is a
# link to it: a run that still uses the set before keeps it, and an installation that was cut
# short leaves nothing that looks finished.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${MIDWATCH_CACHE:-${HOME:?HOME or MIDWATCH_CACHE must be set}/.cache/midwatch}/agents

pin() {
    sed -n "s|^ *\"$1\": \"\([0-9.]*\)\",*\$|\1|p" "$here/package.json"
}
claude=$(pin @anthropic-ai/claude-code)
codex=$(pin @openai/codex)

key=$(cat "$here/package.json" "$here/package-lock.json" | sha256sum | cut -c 1-16)
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
    # A set takes 640 MB: only this one and the one before stay, and no leftovers of a kill.
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

echo "installing claude-code $claude and codex $codex into $cache" >&2
trap 'rm -rf "$cache/$new"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$cache/$new"
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$cache/$new/"
# No package's script runs by itself. Claude Code's one script links its native program into
# place; it is called by name.
(cd "$cache/$new" && npm ci --ignore-scripts --no-progress </dev/null >&2 &&
    node node_modules/@anthropic-ai/claude-code/install.cjs >&2)

check() {
    # A home of its own: --version must not leave files in the user's.
    told=$(HOME="$cache/$new/home" "$cache/$new/node_modules/.bin/$1" --version </dev/null) || told="nothing"
    case " $told " in
    *" $2 "*) ;;
    *)
        echo "$1 should be $2, and says: $told" >&2
        exit 1
        ;;
    esac
}
mkdir "$cache/$new/home"
check claude "$claude"
check codex "$codex"
rm -rf "$cache/$new/home"
: >"$cache/$new/complete"

# Somebody else may have finished the same set first: theirs is as good.
mv -T "$cache/$new" "$cache/$key" 2>/dev/null || [ -f "$cache/$key/complete" ]
link
