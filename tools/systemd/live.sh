#!/usr/bin/env bash
# The unit of `midwatch install-service` under a live systemd: process 1 of namespaces of
# its own, with its own /run, /tmp and units, so that the machine's systemd, if any, is not touched.
#   sudo tools/systemd/live.sh system|user [MIDWATCH]     the program; built when it is not given
# Started, killed, stopped and started again while an agent works: the run outlives all of that, its
# work lands on one branch, and the limits of its sandbox are the kernel's. The control is the same
# unit with KillMode=control-group, which ends the run with the server. A server that cannot start
# is not started again and again.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)

# Seconds that it may take.
LONGEST=240

not_run() {
    echo "NOT RUN: $1"
    exit 1
}
scope=${1:-system}
[ "$(id -u)" = 0 ] || not_run "needs root"
[ -x /lib/systemd/systemd ] || not_run "no systemd is installed"
program=${2:-}
if [ -z "$program" ]; then
    cargo build --quiet --locked --manifest-path "$top/Cargo.toml" --package midwatch-app
    program=$(cargo metadata --manifest-path "$top/Cargo.toml" --format-version 1 --no-deps |
        python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/debug/midwatch
fi
place=$(mktemp -d /var/tmp/midwatch-systemd.XXXXXX)
install -m 755 "$program" "$place/midwatch"
install -m 755 "$top/tools/systemd/story.sh" "$place/story.sh"

# Its groups are below one of ours, in every hierarchy where it wants some.
group=midwatch-systemd-$$
trees=()
for tree in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    if [ -f "$tree/cgroup.procs" ] && mkdir "$tree/$group" 2>/dev/null; then
        trees+=("$tree")
    fi
done
clean_up() {
    if [ -n "${booted:-}" ]; then
        kill -KILL "$booted" 2>/dev/null || true
        wait "$booted" 2>/dev/null || true
    fi
    umount -l "$place" 2>/dev/null || true
    [ -n "${KEEP:-}" ] || rm -rf "$place"
    for tree in "${trees[@]}"; do
        for _ in $(seq 50); do
            # What was killed takes a moment to be gone.
            find "$tree/$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
            [ -d "$tree/$group" ] || break
            sleep 0.1
        done
    done
}
trap clean_up EXIT

# Units: only what ours names. The machine's own would set up a machine, and empty /tmp.
units=$place/units
mkdir -p "$units/multi-user.target.wants"
for target in sysinit basic multi-user shutdown; do
    printf '[Unit]\nDefaultDependencies=no\n' >"$units/$target.target"
done
# An ordinary user has a manager of their own, as after a login.
user=$(id -u nobody)
runtime=/run/user/$user
case $scope in
    system) identity='' manager='' ;;
    user)
        identity="User=$user
Environment=HOME=$place/home XDG_RUNTIME_DIR=$runtime SYSTEMD_UNIT_PATH=$place/home/.config/systemd/user:$units"
        manager='Requires=manager.service
After=manager.service'
        ;;
esac
cat >"$units/manager.service" <<UNIT
[Unit]
DefaultDependencies=no
[Service]
Type=notify
$identity
Delegate=yes
ExecStart=/lib/systemd/systemd --user --unit=basic.target
UNIT
cat >"$units/story.service" <<UNIT
[Unit]
DefaultDependencies=no
$manager
[Service]
Type=oneshot
$identity
ExecStart=/usr/bin/env bash $place/story.sh $scope $place
StandardOutput=append:$place/log
StandardError=inherit
UNIT
ln -s ../story.service "$units/multi-user.target.wants/story.service"

cat >"$place/boot" <<BOOT
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /etc/systemd/system
# Mount points that systemd adds for controllers are not the machine's either.
if [ "\$(stat --file-system --format %T /sys/fs/cgroup)" = tmpfs ]; then
    mkdir /run/trees
    mount -t tmpfs -o mode=755 tmpfs /run/trees
    for tree in /sys/fs/cgroup/*/; do
        mkdir "/run/trees/\$(basename "\$tree")"
        mount --bind "\$tree" "/run/trees/\$(basename "\$tree")"
    done
    mount --move /run/trees /sys/fs/cgroup
fi
mkdir -p /run/systemd/system $runtime
chown $user $runtime
chmod 700 $runtime
exec env -i PATH="$PATH" container=midwatch SYSTEMD_UNIT_PATH="$units:/etc/systemd/system" \\
    SYSTEMD_GENERATOR_PATH=/nowhere SYSTEMD_LOG_TARGET=console \\
    /lib/systemd/systemd --system --unit=multi-user.target --show-status=0
BOOT
mkdir "$place/home"
touch "$place/log"
chmod 755 "$place"
[ "$scope" = system ] || chown -R "$user" "$place/home" "$place/log" "$place"
(
    for tree in "${trees[@]}"; do echo "$BASHPID" >"$tree/$group/cgroup.procs"; done
    exec unshare --fork --pid --mount --uts --ipc --kill-child sh "$place/boot"
) >"$place/systemd.log" 2>&1 </dev/null &
booted=$!
# Its services write to this file; the last line is how it ended.
timeout "$LONGEST" tail --follow --pid=$booted --lines=+1 "$place/log" |
    sed '/^\(passed\|FAILED\)$/q' || true
if [ ! -s "$place/log" ] && ! kill -0 "$booted" 2>/dev/null; then
    not_run "systemd does not start here: $(tail -1 "$place/systemd.log")"
fi
if ! grep -q '^passed$' "$place/log"; then
    tail -20 "$place/systemd.log"
    exit 1
fi
