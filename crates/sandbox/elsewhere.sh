#!/bin/sh
# What the sandbox's tests could not show on a machine with cgroup v1 and without AppArmor.
# To be run as an ordinary user with systemd, from the root of the repository.
set -eu

echo "== cgroup v2, delegated to this user: limits are enforced, not polled"
cargo build -q -p midwatch-sandbox
try=$(cargo metadata --format-version 1 --no-deps |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug/sandbox-try
systemd-run --user --scope -q -p Delegate=yes "$try" probe | tee /dev/stderr |
    grep -q '^cgroup: limits: enforced'
systemd-run --user --scope -q -p Delegate=yes cargo test -p midwatch-sandbox limits

echo "== Ubuntu's restriction (asks for sudo): named, and nothing starts"
switch=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
if [ -e "$switch" ]; then
    before=$(cat "$switch")
    echo 1 | sudo tee "$switch" >/dev/null
    "$try" probe | tee /dev/stderr | grep -q '^user-namespace: missing.*AppArmor' && named=yes || named=no
    echo "$before" | sudo tee "$switch" >/dev/null
    test "$named" = yes
else
    echo "NOT RUN: this machine has no such switch"
fi
