#!/bin/sh
# What `make test` needs: all that the demo needs, the package clients whose projects the tests
# set up for real, and the shells that they complete in. Without one of those its tests say that
# they were not run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

"$here/need.sh" --optional \
    python3 'command -v python3' \
    python3-pip 'python3 -m pip --version' \
    python3-venv 'python3 -c "import ensurepip"' \
    golang-go 'command -v go' \
    default-jdk-headless 'command -v javac' \
    maven 'command -v mvn' \
    gradle 'command -v gradle' \
    iproute2 'command -v ip' \
    zsh 'command -v zsh' \
    fish 'command -v fish'

# Its tests say that they were not run where this cannot be.
"$here/../agents/aider.sh" || echo "aider is not installed: its tests will not run" >&2
"$here/previous.sh" || echo "the version before this one is not built: the tests of upgrades will not run" >&2
exec "$here/demo-deps.sh" --all
