#!/usr/bin/env bash
# Limits in cgroup version 2, for an ordinary user with a delegated group and for root: the kernel
# has to hold them, and each has to end the sandbox with its own reason.
#   tools/elsewhere/cgroup-v2.sh          as an ordinary user: in a scope that systemd delegates
#   sudo tools/elsewhere/cgroup-v2.sh     as root
# The control is the same program with no limit: it has to end by itself.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)

not_run() {
    echo "NOT RUN: $1"
    exit 1
}
[ "$(stat --file-system --format %T /sys/fs/cgroup)" = cgroup2fs ] ||
    not_run "/sys/fs/cgroup is not version 2"
for controller in memory pids; do
    grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers ||
        not_run "version 2 has no $controller controller here"
done

cargo build --quiet --locked --manifest-path "$top/Cargo.toml" --package midwatch-sandbox
program=$(cargo metadata --manifest-path "$top/Cargo.toml" --format-version 1 --no-deps |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/debug/sandbox-try

in_group=()
if [ "$(id -u)" != 0 ]; then
    in_group=(systemd-run --user --scope --quiet --property=Delegate=yes)
    "${in_group[@]}" true || not_run "systemd gives this user no scope"
fi

# trial COMMAND LIMITS: runs it and prints mode, reason and exit code.
trial() {
    local stage
    stage=$(mktemp -d)
    python3 - "$1" "$2" "$stage" <<'PY' | "${in_group[@]}" "$program" | python3 -c '
import json, sys
lines = {line["event"]: line for line in map(json.loads, sys.stdin)}
if "refused" in lines:
    sys.exit("refused: " + lines["refused"]["error"])
print(lines["started"]["mode"], lines["ended"]["over"], lines["ended"]["code"])
'
import json, sys
command, limits, stage = sys.argv[1:]
json.dump({
    "policy": {
        "mounts": [{"tmpfs": {"target": "/home/agent", "size_bytes": 1 << 20}}],
        "env": {"PATH": "/usr/bin:/bin"},
        "cwd": "/", "home": "/home/agent", "hostname": "trial", "tmpBytes": 1 << 20,
    },
    "command": ["/bin/sh", "-c", command],
    "stage": stage,
    "limits": json.loads(limits),
    "timeoutMs": 30000,
}, sys.stdout)
PY
    rm -rf "$stage"
}

eat='python3 -c "b = bytearray(256 << 20); b[::4096] = b[::4096]"'
# shellcheck disable=SC2016 # for the shell in the sandbox
fork='for i in $(seq 100); do sleep 5 & done; wait'
failed=0
expect() {
    local seen
    seen=$(trial "$2" "$3" 2>&1) || true
    if [[ $seen =~ $4 ]]; then
        echo "passed: $1: $seen"
    else
        echo "FAILED: $1: $seen does not match $4"
        failed=1
    fi
}
expect "memory, control" "$eat" '{}' '^Enforced None 0$'
expect "memory" "$eat" '{"memoryBytes": 67108864}' '^Enforced Memory '
expect "processes, control" "$fork" '{}' '^Enforced None 0$'
expect "processes" "$fork" '{"pids": 32}' '^Enforced Pids '
exit "$failed"
