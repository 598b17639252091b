#!/usr/bin/env bash
# Formatting, lints, shell syntax, licences and advisories. What this machine lacks is named.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings

scripts=()
while IFS= read -r script; do
    scripts+=("$script")
    case $(head -n 1 "$script") in
    *bash*) bash -n "$script" ;;
    *) sh -n "$script" ;;
    esac
done < <(find crates tools .ci -type f \( -name '*.sh' -o -path .ci/run \) -not -path '*/node_modules/*')

if command -v shellcheck >/dev/null 2>&1; then
    shellcheck "${scripts[@]}"
else
    echo "NOT RUN: shellcheck is not installed (apt-get install shellcheck)"
fi
if command -v shfmt >/dev/null 2>&1; then
    shfmt --diff --indent 4 "${scripts[@]}"
else
    echo "NOT RUN: shfmt is not installed (apt-get install shfmt)"
fi

if deny=$(tools/install/cargo-deny.sh); then
    "$deny" --locked check --hide-inclusion-graph bans licenses sources
    # What is known to be broken is told by a repository on GitHub.
    if why=$("$deny" --locked fetch db 2>&1); then
        "$deny" --locked --offline check --hide-inclusion-graph advisories
    else
        echo "NOT RUN: advisories: ${why##*$'\n'}"
    fi
else
    echo "NOT RUN: licences and advisories: cargo-deny could not be installed"
fi
