//! Rust.

use super::{Detected, Tree};

/// All binaries are run even after a red one: evidence compares whole sets of failing tests.
pub(super) fn check(tree: &Tree<'_>) -> Option<Detected> {
    let manifest = manifest(tree)?;
    let has = |header: &str| manifest.lines().any(|line| line.trim() == header);
    // In a workspace with a root package, plain `cargo test` tests that package only.
    // `default-members` says what its author wants instead.
    let all = has("[workspace]") && has("[package]") && !manifest.contains("default-members");
    let command =
        if all { "cargo test --workspace --no-fail-fast" } else { "cargo test --no-fail-fast" };
    Some(Detected::new(command, "Cargo.toml").with_offline_env("CARGO_NET_OFFLINE", "true"))
}

pub(super) fn setup(tree: &Tree<'_>) -> Option<Detected> {
    manifest(tree)?;
    let found = if tree.has("Cargo.lock") {
        Detected::new("cargo fetch --locked", "Cargo.lock")
    } else {
        Detected::new("cargo fetch", "Cargo.toml without Cargo.lock")
    };
    Some(
        found
            .with_offline_env("CARGO_NET_OFFLINE", "true")
            .keeping(&[".cargo/registry", ".cargo/git"]),
    )
}

fn manifest(tree: &Tree<'_>) -> Option<String> {
    tree.has("Cargo.toml").then(|| tree.text("Cargo.toml").unwrap_or_default())
}
