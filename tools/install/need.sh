#!/bin/sh
# Sees to it that programs are there: need.sh [--optional] PACKAGE PROBE [PACKAGE PROBE]...
# PACKAGE is Debian's name, PROBE a shell command that succeeds where it is installed.
# What is missing is installed by apt when we may; otherwise a sentence says what to do.
# With --optional a missing package is told and the exit code stays 0.
set -u

optional=no
if [ "${1:-}" = --optional ]; then
    optional=yes
    shift
fi

missing=""
probes=""
while [ $# -ge 2 ]; do
    if ! sh -c "$2" >/dev/null 2>&1; then
        missing="$missing $1"
        probes="$probes$2
"
    fi
    shift 2
done
[ -z "$missing" ] && exit 0

give_up() {
    echo "missing:$missing ($1)" >&2
    echo "install by hand: apt-get install --yes --no-install-recommends$missing" >&2
    [ "$optional" = yes ] && exit 0
    exit 1
}

as_root=""
if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || give_up "not root, and sudo would ask for a password"
    as_root="sudo -n"
fi
command -v apt-get >/dev/null 2>&1 || give_up "this is no Debian: the names are Debian's"

echo "installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # $as_root and $missing are lists of words
{ $as_root apt-get update --quiet=2 &&
    $as_root apt-get install --quiet=2 --yes --no-install-recommends $missing; } </dev/null >&2 ||
    give_up "apt-get failed"

# A package that is installed may still not be the one with the program.
failed=$(printf '%s' "$probes" | while IFS= read -r probe; do
    sh -c "$probe" >/dev/null 2>&1 || echo "$probe"
done)
[ -z "$failed" ] || give_up "still failing after the installation: $failed"
