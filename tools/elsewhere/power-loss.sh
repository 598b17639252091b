#!/usr/bin/env bash
# What was accepted is still there after the power went. The state folder stands on an ext4 image
# that is shut down, without a flush, right after a task was accepted; then the server is killed,
# the image is mounted again and every task accepted so far has to be known.
#   sudo tools/elsewhere/power-loss.sh [ROUNDS]        needs root and a loop device
# Two files are the control: one written and not synced must be gone after most cuts, one synced
# must be there after all.
# Not tested by this: a drive that acknowledges a flush it has not done.
# MIDWATCH=PATH tests that program instead of building one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
rounds=${1:-20}

stop() {
    echo "$1"
    exit 1
}
[ "$(id -u)" = 0 ] || stop "NOT RUN: needs root to mount an image"

if [ -z "${MIDWATCH:-}" ]; then
    cargo build --quiet --locked --manifest-path "$top/Cargo.toml" --package midwatch-app
    MIDWATCH=$(cargo metadata --manifest-path "$top/Cargo.toml" --format-version 1 --no-deps |
        python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/debug/midwatch
fi

scratch=$(mktemp -d)
mount=$scratch/mount
# A copy of the program under a path of its own, so that exactly our processes can be found.
midwatch=$scratch/midwatch
cp "$MIDWATCH" "$midwatch"
chmod 755 "$scratch" "$midwatch"

ours() {
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/exe" 2>/dev/null)" = "$midwatch" ] && echo "${process#/proc/}"
    done
    return 0
}

kill_ours() {
    local pids
    for _ in $(seq 100); do
        pids=$(ours)
        [ -z "$pids" ] && return 0
        # shellcheck disable=SC2086 # a list of pids
        kill -9 $pids 2>/dev/null || true
        sleep 0.1
    done
    echo "could not kill: $pids" >&2
    return 1
}

# Unmounted here is not yet gone: what is left of a sandbox may hold it for a moment in a place of
# its own, and the same image would be mounted again as it was cut.
unmount() {
    for _ in $(seq 600); do
        ! mountpoint --quiet "$mount" || umount "$mount" 2>/dev/null || true
        [ -z "$(losetup --associated "$scratch/image")" ] && return 0
        sleep 0.1
    done
    echo "somebody still holds $mount" >&2
    return 1
}

cleanup() {
    kill_ours || true
    mountpoint --quiet "$mount" && umount --lazy "$mount"
    rm -rf "$scratch"
}
trap cleanup EXIT

mkdir "$mount"
truncate --size 1G "$scratch/image"
mkfs.ext4 -q "$scratch/image"
mount -o loop "$scratch/image" "$mount"

git init --quiet "$scratch/repository"
git -C "$scratch/repository" -c user.name=sample -c user.email=sample@localhost \
    commit --quiet --allow-empty -m "Nothing"
echo "one line" >"$scratch/repository/file"
git -C "$scratch/repository" add file
git -C "$scratch/repository" -c user.name=sample -c user.email=sample@localhost commit --quiet -m "A file"

export MIDWATCH_HOME=$mount/state
# Nobody answers there: the tasks only have to be accepted, not to succeed.
export ANTHROPIC_API_KEY=no-key ANTHROPIC_BASE_URL=http://127.0.0.1:9

flushed=0
for round in $(seq "$rounds"); do
    echo synced >"$mount/kept-$round"
    sync --file-system "$mount/kept-$round"

    name=$(cd "$scratch/repository" &&
        "$midwatch" run "round $round" --name "loss-$round" --agent claude-code --check true --detach </dev/null)
    python3 "$here/cut.py" "$mount" "$mount/lost-$round"
    [ "$name" = "loss-$round" ] || stop "FAILED: round $round was accepted as '$name'"

    kill_ours
    unmount
    mount -o loop "$scratch/image" "$mount"

    [ -s "$mount/kept-$round" ] || stop "FAILED control: a synced file is gone"
    # The kernel lets a flush of the whole file system end that is under way, and the server makes some.
    [ ! -s "$mount/lost-$round" ] || flushed=$((flushed + 1))

    for earlier in $(seq "$round"); do
        (cd "$scratch/repository" && "$midwatch" get "loss-$earlier" --output json >/dev/null) ||
            stop "FAILED: task loss-$earlier is gone after round $round"
    done
    kill_ours
done
[ $((flushed * 2)) -lt "$rounds" ] || stop "FAILED control: nothing was cut off in $flushed of $rounds rounds"
echo "passed: $rounds cuts, $flushed of them during a flush of everything; no accepted task lost"
