#!/bin/sh
# What `make demo` needs: a sandbox builder, a linker, Node for the agent's CLI, and the CLI.
# With --all the CLIs that only the tests drive, too.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

"$here/need.sh" \
    git 'command -v git' \
    bubblewrap 'command -v bwrap' \
    build-essential 'command -v cc' \
    nodejs 'command -v node' \
    npm 'command -v npm'

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust with rustup, see https://rustup.rs" >&2
    exit 1
fi

exec "$here/../agents/install.sh" "$@"
