#!/bin/sh
# Installs the pinned aider into a virtual environment of its own: $MIDWATCH_CACHE/agents/aider.
# Every package that it needs is pinned by its own metadata. Nothing is done when it is there.
#
# The interpreter is the system's where it is new enough: every sandbox sees that one. Without
# the venv module's pip (Debian's python3-venv) any pip of this machine fills the environment.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${MIDWATCH_CACHE:-${HOME:?HOME or MIDWATCH_CACHE must be set}/.cache/midwatch}/agents
version=$(sed -n 's/^aider-chat==//p' "$here/aider.txt")

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null
}
python=""
for candidate in /usr/bin/python3 python3 python3.12 python3.11 python3.10; do
    if fits "$candidate"; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ]; then
    echo "aider needs Python 3.10 to 3.12, and none is here" >&2
    exit 1
fi
# Its path is in every script of an environment: another interpreter is another environment.
key=$({ cat "$here/aider.txt" && readlink -f "$python"; } | sha256sum | cut -c 1-16)
place=$cache/aider-$key
link() {
    ln -sfn "aider-$key" "$cache/aider"
    for old in "$cache"/aider-????????????????; do
        [ "$old" = "$place" ] || rm -rf "$old"
    done
}
if [ -f "$place/complete" ]; then
    link
    exit 0
fi

echo "installing aider $version into $place" >&2
mkdir -p "$cache"
# An environment cannot be moved, so it is made where it stays, by one at a time.
exec 9>"$cache/.aider.lock"
flock 9
if [ ! -f "$place/complete" ]; then
    rm -rf "$place"
    trap 'rm -rf "$place"' EXIT
    trap 'exit 130' INT TERM HUP
    fill() {
        "$@" --quiet --disable-pip-version-check --no-input --only-binary=:all: --prefer-binary \
            --requirement "$here/aider.txt" </dev/null >&2
    }
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --python "$python" "$place" >&2
        uv pip install --quiet --python "$place/bin/python" --only-binary=:all: \
            --requirement "$here/aider.txt" >&2
    elif "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv "$place" >&2
        fill "$place/bin/python" -m pip install
    else
        # pip 22.3 and later fill an environment that has none.
        "$python" -m venv --without-pip "$place" >&2
        for pip in "$python -m pip" "python3 -m pip" pip3 pip; do
            $pip --version >/dev/null 2>&1 && break
        done
        # shellcheck disable=SC2086 # a command and its words
        fill $pip --python "$place/bin/python" install
    fi
    told=$("$place/bin/python" -c 'import aider; print(aider.__version__)' </dev/null) || told=nothing
    if [ "$told" != "$version" ]; then
        echo "aider should be $version, and says: $told" >&2
        exit 1
    fi
    : >"$place/complete"
    trap - EXIT
fi
link
