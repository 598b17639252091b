#!/usr/bin/env bash
# On Ubuntu 23.10 and later an ordinary program may make a user namespace and then has no rights
# in it. Two things have to hold there, as an ordinary user:
#   1. with the restriction on and no profile for bubblewrap, runs are refused (exit code 6), and
#      the message names what is missing;
#   2. with a profile that allows bubblewrap user namespaces, the demo ends verified.
# Needs sudo, to load and remove that profile. Ends with passed, FAILED or NOT RUN.
# MIDWATCH=PATH tests that program instead of building one.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
switch=/proc/sys/kernel/apparmor_restrict_unprivileged_userns

not_run() {
    echo "NOT RUN: $1"
    exit 1
}
[ -r "$switch" ] || not_run "this kernel has no such restriction"
[ "$(cat "$switch")" = 1 ] || not_run "the restriction is off; sudo sysctl kernel.apparmor_restrict_unprivileged_userns=1"
[ "$(id -u)" != 0 ] || not_run "has to be an ordinary user"
command -v apparmor_parser >/dev/null || not_run "no apparmor_parser"

"$top/tools/install/demo-deps.sh"
if [ -z "${MIDWATCH:-}" ]; then
    cargo build --quiet --locked --manifest-path "$top/Cargo.toml" --package midwatch-app
    MIDWATCH=$(cargo metadata --manifest-path "$top/Cargo.toml" --format-version 1 --no-deps |
        python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/debug/midwatch
fi

scratch=$(mktemp -d)
profile=$scratch/profile
loaded=no
cleanup() {
    [ "$loaded" = yes ] && sudo apparmor_parser --remove "$profile"
    rm -rf "$scratch"
}
trap cleanup EXIT
export MIDWATCH_HOME=$scratch/state

if bwrap --unshare-user --ro-bind / / true 2>/dev/null; then
    echo "NOT RUN (1): this machine has a profile for bubblewrap already"
else
    code=0
    "$MIDWATCH" demo </dev/null >"$scratch/refused" 2>&1 || code=$?
    if [ "$code" != 6 ] || ! grep -qiE 'user namespace|apparmor' "$scratch/refused"; then
        echo "FAILED (1): exit code $code instead of 6, or the message does not name it:"
        cat "$scratch/refused"
        exit 1
    fi
    echo "passed (1): refused, and it says why"
    cat >"$profile" <<'PROFILE'
abi <abi/4.0>,
include <tunables/global>
profile midwatch-bubblewrap-trial /usr/bin/bwrap flags=(unconfined) {
  userns,
}
PROFILE
    sudo apparmor_parser --replace "$profile"
    loaded=yes
fi

if "$MIDWATCH" demo </dev/null; then
    echo "passed (2): verified under AppArmor's restriction"
else
    echo "FAILED (2): the demo does not end verified"
    exit 1
fi
