//! cargo: source replacement and registries of its settings, else the index it has used, else
//! one look-up through a tunnel that only notes the names.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::tunnel::Tunnel;
use super::{Clients, asking};
use crate::discover::proxy;
use crate::environment::Environment;

/// The largest settings file that is read, in bytes.
const SETTINGS_MAX: u64 = 1 << 20;
/// How many sources may replace one another: cargo itself refuses a circle.
const CHAIN_MAX: usize = 10;
/// The name that crates.io has in cargo's settings.
const DEFAULT: &str = "crates-io";

pub(super) fn ask(environment: &Environment) -> Clients {
    let Some(cargo) = environment.find("cargo") else {
        return Clients::default();
    };
    let home = environment.path("CARGO_HOME").unwrap_or_else(|| environment.home().join(".cargo"));
    let mut clients = Clients::default();
    let settings = settings(&home);
    let replaced = of_settings(&settings, &mut clients);
    let mut indexes = indexes(&home);
    if !replaced && indexes.is_empty() {
        indexes = look_up(environment, &cargo, &mut clients);
    }
    for (host, download) in indexes {
        // The folder's name tells the host without its port, which the download's mostly has.
        clients.add("cargo", &format!("https://{host}/"));
        if let Some(url) = download {
            clients.add("cargo", &url);
        }
    }
    clients
}

fn settings(home: &Path) -> toml::Table {
    let file =
        [home.join("config.toml"), home.join("config")].into_iter().find(|path| path.is_file());
    let text = file.filter(|path| path.metadata().is_ok_and(|m| m.len() <= SETTINGS_MAX));
    let text = text.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    // cargo itself will say what is wrong with a file that cannot be read.
    text.parse().unwrap_or_default()
}

/// Adds what settings name; true when crates.io is replaced by something.
fn of_settings(settings: &toml::Table, clients: &mut Clients) -> bool {
    let empty = toml::Table::new();
    let table = |name: &str| settings.get(name).and_then(toml::Value::as_table).unwrap_or(&empty);
    let (sources, registries) = (table("source"), table("registries"));
    let mut kept = toml::Table::new();
    for (name, registry) in registries {
        if let Some(index) = registry.get("index").and_then(toml::Value::as_str)
            && let Some(index) = clients.add("cargo", index)
        {
            kept.insert(
                name.clone(),
                toml::Table::from_iter([("index".to_owned(), index.into())]).into(),
            );
        }
    }
    let mut file = toml::Table::new();
    if !kept.is_empty() {
        file.insert("registries".into(), kept.into());
    }
    let mut chain = toml::Table::new();
    let mut name = DEFAULT.to_owned();
    for _ in 0..CHAIN_MAX {
        let Some(source) = sources.get(&name).and_then(toml::Value::as_table) else {
            break;
        };
        let text = |key: &str| source.get(key).and_then(toml::Value::as_str);
        let mut copy = toml::Table::new();
        if let Some(url) = text("registry").and_then(|url| clients.add("cargo", url)) {
            copy.insert("registry".into(), url.into());
        }
        let next = text("replace-with").map(ToOwned::to_owned);
        if let Some(next) = &next {
            copy.insert("replace-with".into(), next.as_str().into());
        }
        chain.insert(name.clone(), copy.into());
        match next {
            Some(next) => name = next,
            None => break,
        }
    }
    let replaced = name != DEFAULT;
    if replaced {
        file.insert("source".into(), chain.into());
    }
    if !file.is_empty() {
        clients.files.insert(PathBuf::from(".cargo/config.toml"), file.to_string());
    }
    replaced
}

/// Indexes that were used: the host of each (`<host>-<hash>` is the folder's name) and where its
/// packages are.
fn indexes(home: &Path) -> Vec<(String, Option<String>)> {
    let Ok(entries) = std::fs::read_dir(home.join("registry/index")) else {
        return vec![];
    };
    let folders = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<_> = folders
        .filter_map(|folder| {
            let name = folder.file_name()?.to_str()?.to_owned();
            let host = name.rsplit_once('-')?.0.to_owned();
            let config = std::fs::read(folder.join("config.json")).ok();
            let config: Option<Value> = config.and_then(|text| serde_json::from_slice(&text).ok());
            let download = config.and_then(|config| Some(config["dl"].as_str()?.to_owned()));
            Some((host, download))
        })
        .collect();
    found.sort();
    found
}

/// Lets cargo look one package up with a home of its own. Nothing is downloaded but the index's
/// entry and its settings, which name where packages are.
fn look_up(
    environment: &Environment,
    cargo: &Path,
    clients: &mut Clients,
) -> Vec<(String, Option<String>)> {
    let folder = std::env::temp_dir().join(format!("midwatch-cargo-{}", std::process::id()));
    let found = try_look_up(environment, cargo, &folder, clients);
    // It may never have been made.
    let _ = std::fs::remove_dir_all(&folder);
    found.unwrap_or_default()
}

fn try_look_up(
    environment: &Environment,
    cargo: &Path,
    folder: &Path,
    clients: &mut Clients,
) -> Option<Vec<(String, Option<String>)>> {
    let package = folder.join("package");
    let home = folder.join("home");
    // Fails where somebody else made it first: a folder of theirs is not used.
    std::fs::create_dir(folder).ok()?;
    std::fs::create_dir_all(package.join("src")).ok()?;
    std::fs::create_dir(&home).ok()?;
    std::fs::write(package.join("src/lib.rs"), "").ok()?;
    let manifest =
        "[package]\nname = \"look-up\"\nversion = \"0.0.0\"\n[dependencies]\ncfg-if = \"1\"\n";
    std::fs::write(package.join("Cargo.toml"), manifest).ok()?;
    // What is wrong with a proxy's address has been said by whoever dials.
    let proxy = proxy::find(environment).ok().flatten().map(|found| found.proxy);
    let tunnel = Tunnel::open(proxy).ok()?;
    let mut command = Command::new(cargo);
    environment.apply(&mut command);
    command
        .args(["generate-lockfile", "--quiet"])
        .current_dir(&package)
        .env("CARGO_HOME", &home)
        .env("CARGO_HTTP_PROXY", format!("http://127.0.0.1:{}", tunnel.port()));
    // Whether it succeeds does not matter: what it asked for does.
    let _ = asking::run(command);
    for name in tunnel.names() {
        clients.add("cargo", &format!("https://{name}/"));
    }
    Some(indexes(&home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_sources_are_followed_and_passed_on() {
        let text = r#"
            [source.crates-io]
            replace-with = "near"
            [source.near]
            replace-with = "nearer"
            [source.nearer]
            registry = "sparse+https://crates.example/index/"
            [registries.own]
            index = "https://u:canary@own.example/index"
            token = "canary"
        "#;
        let mut clients = Clients::default();
        assert!(of_settings(&text.parse().unwrap(), &mut clients));
        assert_eq!(clients.registries, ["own.example", "crates.example"]);
        let file = &clients.files[Path::new(".cargo/config.toml")];
        assert!(file.contains("crates.example") && !file.contains("canary"), "{file}");
        assert!(!of_settings(&toml::Table::new(), &mut Clients::default()));
    }

    #[test]
    fn a_used_index_names_its_downloads() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("registry/index/index.crates.io-1949cf8c6b5b557f");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.json"), r#"{"dl":"https://static.crates.io/crates"}"#)
            .unwrap();
        let download = Some("https://static.crates.io/crates".to_owned());
        assert_eq!(indexes(home.path()), [("index.crates.io".to_owned(), download)]);
    }
}
