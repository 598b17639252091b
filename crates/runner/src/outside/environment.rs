//! The variables, settings files and toolchains of a sandbox.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use midwatch_api::order::{Order, Toolchain, inside};

use super::trust_store;

/// Folders of the system that every PATH ends with.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Each of these names the CA bundle to one family of tools: OpenSSL and most, node, pip,
/// Python's requests, curl, git, cargo, the AWS tools, nix, gRPC.
const CA_VARIABLES: [&str; 10] = [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
    "NIX_SSL_CERT_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];

/// Both spellings are needed: curl and git read only the lower-case `http_proxy`, others only
/// the upper-case ones.
const PROXY_VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];

/// Places of our own or the system's, at which no toolchain may appear under its old path.
const TAKEN: [&str; 14] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/midwatch",
    "/workspace",
    "/toolchains",
];

/// What every process of a sandbox sees around it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// The whole environment; nothing of the runner's own enters.
    pub(super) env: BTreeMap<String, String>,
    /// Files of HOME, by relative path.
    pub(super) home_files: BTreeMap<PathBuf, String>,
    /// Toolchains to bind read-only: outside, inside.
    pub(super) toolchains: Vec<(PathBuf, PathBuf)>,
    /// Links from a toolchain's path outside to its place inside: scripts of a toolchain name
    /// their interpreter by the absolute path that they were installed at.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
}

/// Where a toolchain is seen inside, or what is wrong with its name or folder.
fn place(toolchain: &Toolchain) -> Result<PathBuf, String> {
    let plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if !plain(&toolchain.name) {
        return Err(format!("toolchain name '{}' is not plain", toolchain.name.escape_default()));
    }
    let folder = &toolchain.folder;
    match folder.file_name() {
        Some(base) if folder.is_absolute() && is_normal(folder) => {
            Ok(Path::new(inside::TOOLCHAINS).join(&toolchain.name).join(base))
        }
        Some(_) | None => {
            Err(format!("toolchain folder {} is not an absolute path", folder.display()))
        }
    }
}

/// Absolute or relative, but without `.` or `..`.
pub(super) fn is_normal(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

/// Everything around a run that its order says.
pub(super) fn surroundings(order: &Order) -> Result<Surroundings, String> {
    let mut found = Surroundings::default();
    let env = &mut found.env;
    for (name, value) in [
        ("HOME", inside::HOME),
        ("USER", "agent"),
        ("LOGNAME", "agent"),
        ("SHELL", "/bin/sh"),
        ("LANG", "C.UTF-8"),
        ("TERM", "dumb"),
        ("TMPDIR", "/tmp"),
        // Test runners watch files or ask questions without it.
        ("CI", "true"),
        ("PAGER", "cat"),
        ("GIT_PAGER", "cat"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("DEBIAN_FRONTEND", "noninteractive"),
    ] {
        env.insert(name.into(), value.into());
    }
    let mut path = Vec::new();
    for toolchain in &order.toolchains {
        let seen = place(toolchain)?;
        for relative in &toolchain.path {
            if relative.is_absolute() || !is_normal(relative) {
                return Err(format!(
                    "toolchain {}: path {} leaves its folder",
                    toolchain.name,
                    relative.display()
                ));
            }
            path.push(seen.join(relative).to_string_lossy().trim_end_matches('/').to_owned());
        }
        for (name, value) in &toolchain.env {
            env.insert(name.clone(), value.replace("{}", &seen.to_string_lossy()));
        }
        if found.toolchains.iter().any(|(_, taken)| *taken == seen) {
            return Err(format!("two toolchains want to be at {}", seen.display()));
        }
        found.toolchains.push((toolchain.folder.clone(), seen));
    }
    found.links = links(&found.toolchains);
    path.push(format!("{}/.local/bin", inside::HOME));
    path.push(SYSTEM_PATH.to_owned());
    env.insert("PATH".into(), path.join(":"));
    if order.ca_bundle.is_some() {
        for name in CA_VARIABLES {
            env.insert(name.into(), inside::CA_BUNDLE.into());
        }
    }
    if order.broker.as_ref().is_some_and(|door| door.proxy) {
        proxied(env, &mut found.home_files, java_bundle(order).is_some());
    } else {
        // cargo would try the index for a project without a lock file, and fail; with egress it
        // has to be unset (measured).
        env.insert("CARGO_NET_OFFLINE".into(), "true".into());
    }
    env.extend(order.client_env.iter().map(|(name, value)| (name.clone(), value.clone())));
    for (file, text) in &order.client_files {
        if file.is_absolute() || !is_normal(file) || file.as_os_str().is_empty() {
            return Err(format!("client file {} is not a path below HOME", file.display()));
        }
        found.home_files.insert(file.clone(), text.clone());
    }
    for (name, value) in &*env {
        let plain = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
        if !plain {
            return Err(format!("environment variable '{}' cannot be set", name.escape_default()));
        }
    }
    Ok(found)
}

/// The operator's bundle, where there is a way out on which Java would need it: it reads no
/// variable and no PEM.
pub(super) fn java_bundle(order: &Order) -> Option<&Path> {
    let proxied = order.broker.as_ref().is_some_and(|door| door.proxy);
    order.ca_bundle.as_deref().filter(|_| proxied)
}

/// Points every client at the proxy's loopback port.
fn proxied(
    env: &mut BTreeMap<String, String>,
    files: &mut BTreeMap<PathBuf, String>,
    trusts: bool,
) {
    let port = inside::PROXY_PORT;
    for name in PROXY_VARIABLES {
        env.insert(name.into(), format!("http://127.0.0.1:{port}"));
    }
    for name in ["NO_PROXY", "no_proxy"] {
        env.insert(name.into(), "localhost,127.0.0.1,::1".into());
    }
    // Java reads no variable: Maven has its settings, Gradle its properties, both beneath HOME.
    let schemes = ["http", "https"];
    let proxies = schemes.map(|scheme| {
        format!(
            "<proxy><id>{scheme}</id><active>true</active><protocol>{scheme}</protocol>\
             <host>127.0.0.1</host><port>{port}</port>\
             <nonProxyHosts>localhost|127.0.0.1</nonProxyHosts></proxy>"
        )
    });
    let settings = format!("<settings><proxies>{}</proxies></settings>\n", proxies.concat());
    files.insert(".m2/settings.xml".into(), settings);
    let properties = schemes.map(|scheme| {
        format!("systemProp.{scheme}.proxyHost=127.0.0.1\nsystemProp.{scheme}.proxyPort={port}\n")
    });
    // Not by JAVA_TOOL_OPTIONS: every Java program would say so on stderr, tests of it too.
    let trust: &[(&str, &str)] = &[
        ("trustStore", inside::TRUST_STORE),
        ("trustStoreType", "JKS"),
        ("trustStorePassword", trust_store::PASSWORD),
    ];
    let trust = if trusts { trust } else { &[] };
    let trusted =
        trust.iter().map(|(name, value)| format!("systemProp.javax.net.ssl.{name}={value}\n"));
    let properties: String = properties.into_iter().chain(trusted).collect();
    files.insert(".gradle/gradle.properties".into(), properties);
    if trusts {
        let flags = trust.iter().map(|(name, value)| format!("-Djavax.net.ssl.{name}={value}"));
        env.insert("MAVEN_OPTS".into(), flags.collect::<Vec<_>>().join(" "));
    }
}

/// Links at the old places of toolchains, the outermost only, and none on ground of ours.
fn links(toolchains: &[(PathBuf, PathBuf)]) -> Vec<(PathBuf, PathBuf)> {
    let home = Path::new(inside::HOME);
    toolchains
        .iter()
        .filter(|(outside, _)| {
            let taken = TAKEN.iter().any(|folder| outside.starts_with(folder));
            let about_home = home.starts_with(outside) || outside.starts_with(home);
            let nested = toolchains.iter().any(|(other, _)| {
                other != outside && (outside.starts_with(other) || other.starts_with(outside))
            });
            !taken && !about_home && !nested
        })
        .cloned()
        .collect()
}

/// A program's path as seen inside; none when no toolchain and no system folder holds it.
pub(super) fn program_inside(program: &Path, toolchains: &[(PathBuf, PathBuf)]) -> Option<PathBuf> {
    if !program.is_absolute() || !is_normal(program) {
        return None;
    }
    // The longest match: a toolchain may lie within another.
    let holder = toolchains
        .iter()
        .filter(|(outside, _)| program.starts_with(outside))
        .max_by_key(|(outside, _)| outside.components().count());
    if let Some((outside, seen)) = holder {
        return Some(seen.join(program.strip_prefix(outside).ok()?));
    }
    let system = ["/usr", "/bin", "/sbin"].iter().any(|folder| program.starts_with(folder));
    system.then(|| program.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use midwatch_api::order::{BrokerDoor, Limits, ORDER_VERSION, Work, Workspace};

    pub(in crate::outside) fn order() -> Order {
        Order {
            version: ORDER_VERSION,
            run: "t-check-1".into(),
            epoch: 1,
            folder: "/run".into(),
            work: Work::Check {
                workspace: Workspace {
                    base_commit: "a".repeat(40),
                    base: "/base".into(),
                    deps: Vec::new(),
                    commit: None,
                    upper: None,
                },
                command: "true".into(),
            },
            limits: Limits::default(),
            toolchains: Vec::new(),
            ca_bundle: None,
            broker: None,
            client_env: BTreeMap::new(),
            client_files: BTreeMap::new(),
            accept_missing: Vec::new(),
        }
    }

    fn toolchain(name: &str, folder: &str) -> Toolchain {
        Toolchain {
            name: name.into(),
            folder: folder.into(),
            path: vec!["bin".into()],
            env: BTreeMap::from([("X_HOME".into(), "{}".into())]),
        }
    }

    #[test]
    fn toolchains_are_placed_and_their_old_paths_linked() {
        let mut order = order();
        order.toolchains =
            vec![toolchain("rustup", "/root/.rustup"), toolchain("go", "/usr/local/go")];
        let found = surroundings(&order).unwrap();
        assert_eq!(found.env["X_HOME"], "/toolchains/go/go");
        assert!(
            found.env["PATH"].starts_with("/toolchains/rustup/.rustup/bin:/toolchains/go/go/bin:")
        );
        assert_eq!(found.links, [("/root/.rustup".into(), "/toolchains/rustup/.rustup".into())]);
        assert_eq!(
            program_inside(Path::new("/root/.rustup/bin/x"), &found.toolchains).unwrap(),
            Path::new("/toolchains/rustup/.rustup/bin/x")
        );
        assert!(program_inside(Path::new("/home/u/x"), &found.toolchains).is_none());
        assert!(program_inside(Path::new("/usr/../home/u/x"), &found.toolchains).is_none());
    }

    #[test]
    fn odd_toolchains_and_files_are_refused() {
        for (name, folder) in [("../x", "/a"), ("", "/a"), ("x", "a"), ("x", "/"), ("x", "/a/../b")]
        {
            let mut order = order();
            order.toolchains = vec![toolchain(name, folder)];
            assert!(surroundings(&order).is_err(), "{name} {folder}");
        }
        for file in ["/etc/x", "../x", ""] {
            let mut order = order();
            order.client_files.insert(file.into(), String::new());
            assert!(surroundings(&order).is_err(), "{file}");
        }
    }

    #[test]
    fn cargo_is_offline_exactly_without_a_proxy() {
        let mut order = order();
        assert_eq!(surroundings(&order).unwrap().env["CARGO_NET_OFFLINE"], "true");
        order.broker = Some(BrokerDoor { folder: "/s".into(), gateway: false, proxy: true });
        order.ca_bundle = Some("/ca.pem".into());
        let found = surroundings(&order).unwrap();
        assert!(!found.env.contains_key("CARGO_NET_OFFLINE"));
        assert_eq!(found.env["https_proxy"], "http://127.0.0.1:8788");
        assert_eq!(found.env["GIT_SSL_CAINFO"], "/midwatch/ca.pem");
        assert!(found.home_files.contains_key(Path::new(".m2/settings.xml")));
        let gradle = &found.home_files[Path::new(".gradle/gradle.properties")];
        assert!(gradle.contains("systemProp.https.proxyPort=8788\n"), "{gradle}");
        assert!(gradle.contains("systemProp.javax.net.ssl.trustStore=/midwatch/ca.jks\n"));
        assert!(
            found.env["MAVEN_OPTS"].starts_with("-Djavax.net.ssl.trustStore=/midwatch/ca.jks ")
        );
        assert_eq!(java_bundle(&order), Some(Path::new("/ca.pem")));
        // Where nothing can be reached nothing has to be trusted.
        order.broker = None;
        assert_eq!(java_bundle(&order), None);
        assert!(!surroundings(&order).unwrap().env.contains_key("MAVEN_OPTS"));
    }
}
