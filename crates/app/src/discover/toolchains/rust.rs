//! rustup and cargo: the toolchains read-only where they are, and the programs of
//! `$CARGO_HOME/bin`. That folder's parent holds tokens and stays outside.

use std::path::Path;

use super::Collected;

pub(super) fn look(collected: &mut Collected<'_>, folder: &Path) -> bool {
    let environment = collected.environment();
    let home = environment.home();
    let cargo_home = environment.path("CARGO_HOME").unwrap_or_else(|| home.join(".cargo"));
    let (own, foreign) = (folder == cargo_home.join("bin"), folder.ends_with(".cargo/bin"));
    if !own && !foreign {
        return false;
    }
    // Beside somebody else's cargo stands their rustup.
    let beside = folder.ancestors().nth(2).map(|home| home.join(".rustup"));
    let rustup = environment.path("RUSTUP_HOME").or(beside.filter(|_| foreign && !own));
    let rustup = rustup.unwrap_or_else(|| home.join(".rustup"));
    let chosen = environment.text("RUSTUP_TOOLCHAIN").map(ToOwned::to_owned);
    collected.add("cargo", folder, Some(Path::new("")), &[]);
    if rustup.is_dir() {
        // The programs of `bin` are links to rustup, which looks for its toolchains here.
        let mut env = vec![("RUSTUP_HOME", "{}".to_owned())];
        env.extend(chosen.map(|chosen| ("RUSTUP_TOOLCHAIN", chosen)));
        collected.add("rustup", &rustup, None, &env);
    }
    true
}
