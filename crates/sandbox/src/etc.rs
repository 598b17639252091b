//! The synthetic /etc: nothing of the host's people, machines or secrets, but enough that
//! compilers, resolvers and runtimes work.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::policy::{INSIDE_UID, Mount, Policy};

/// What is taken from the host where it is there, below `/etc`. Each is here because something
/// failed without it: no `cc` without alternatives, no certificate without ssl/certs, no
/// `java` without its security folder. Private keys (`ssl/private`) and Maven's settings, which may
/// hold passwords, stay out.
const FROM_HOST: [&str; 31] = [
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "magic",
    "magic.mime",
    "maven/logging",
    "maven/m2.conf",
    "maven/toolchains.xml",
    "mime.types",
    "perl",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "protocols",
    "python3",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// Prefixes of names below `/etc` that carry a version: `java-17-openjdk`, `python3.11`.
const FROM_HOST_PREFIXES: [&str; 2] = ["java-", "python3."];

/// A file that we write ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcFile {
    /// Inside.
    pub target: PathBuf,
    /// All of it.
    pub text: String,
}

/// The files that we write: who exists, which names resolve, and that there is no resolver.
pub fn files(policy: &Policy) -> Vec<EtcFile> {
    let home = policy.home.display();
    let host = &policy.hostname;
    let file = |name: &str, text: String| EtcFile { target: Path::new("/etc").join(name), text };
    vec![
        file(
            "passwd",
            format!(
                "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n\
                 agent:x:{INSIDE_UID}:{INSIDE_UID}:agent:{home}:/bin/bash\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        file("group", format!("root:x:0:\nagent:x:{INSIDE_UID}:\nnogroup:x:65534:\n")),
        file("hosts", format!("127.0.0.1 localhost {host}\n::1 localhost ip6-localhost\n")),
        file("hostname", format!("{host}\n")),
        file(
            "nsswitch.conf",
            "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\n\
             protocols: files\nnetworks: files\n"
                .to_owned(),
        ),
        file("resolv.conf", String::new()),
        file("shells", "/bin/sh\n/bin/bash\n".to_owned()),
    ]
}

/// The entries of the host's /etc that are bound, in a fixed order.
pub fn from_host() -> Vec<PathBuf> {
    let etc = Path::new("/etc");
    let mut found: Vec<PathBuf> =
        FROM_HOST.iter().map(|name| etc.join(name)).filter(|path| path.exists()).collect();
    let named = std::fs::read_dir(etc).into_iter().flatten().flatten().filter(|entry| {
        let name = entry.file_name();
        FROM_HOST_PREFIXES.iter().any(|prefix| name.to_string_lossy().starts_with(prefix))
    });
    found.extend(named.map(|entry| entry.path()));
    found.sort();
    found
}

/// Files up to this size are copied: every mount costs bubblewrap a reading of the whole list
/// of mounts. Made of thirty binds, /etc was most of the time that a sandbox took to start.
const MOST_COPIED: u64 = 512 << 10;

/// Makes the whole of /etc in `folder`, which is empty and in a mount namespace of our own, with
/// places for what `policy` mounts below it.
pub(crate) fn build(folder: &Path, policy: &Policy) -> io::Result<()> {
    let inside = |path: &Path| folder.join(path.strip_prefix("/etc").unwrap_or(path));
    for from in from_host() {
        let place = inside(&from);
        let meta = fs::metadata(&from)?;
        if meta.is_file() && meta.len() <= MOST_COPIED {
            make_parent(&place)?;
            // One that we may not read is no use inside either.
            match fs::copy(&from, &place) {
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
                Ok(_) | Err(_) => {}
            }
        } else {
            make_place(&place, meta.is_dir())?;
            rustix::mount::mount_bind_recursive(&from, &place)?;
        }
    }
    for file in files(policy) {
        fs::write(inside(&file.target), file.text)?;
    }
    let maven = folder.join("maven");
    if maven.is_dir() {
        fs::write(maven.join("settings.xml"), "<settings/>\n")?;
    }
    for mount in &policy.mounts {
        let target = mount.target();
        if !target.starts_with("/etc") {
            continue;
        }
        match mount {
            Mount::Bind { source, .. } | Mount::Guard { source, .. } => {
                make_place(&inside(target), source.is_dir())?;
            }
            Mount::Tmpfs { .. } | Mount::Overlay { .. } | Mount::Dir { .. } => {
                make_place(&inside(target), true)?;
            }
            Mount::Symlink { to, .. } => {
                make_parent(&inside(target))?;
                std::os::unix::fs::symlink(to, inside(target))?;
            }
        }
    }
    Ok(())
}

fn make_parent(place: &Path) -> io::Result<()> {
    place.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Something to mount on, unless it is there.
fn make_place(place: &Path, folder: bool) -> io::Result<()> {
    if folder {
        return fs::create_dir_all(place);
    }
    make_parent(place)?;
    fs::OpenOptions::new().create(true).append(true).open(place).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_private_keys_are_not_on_it() {
        assert!(FROM_HOST.is_sorted());
        let secret =
            ["shadow", "gshadow", "ssl", "ssl/private", "gitconfig", "hosts", "machine-id"];
        assert!(FROM_HOST.iter().all(|name| !secret.contains(name)));
    }

    #[test]
    fn localhost_resolves_and_nothing_else_can() {
        let files = files(&Policy::bare());
        let text = |name: &str| {
            let found = files.iter().find(|file| file.target.ends_with(name));
            found.map(|file| file.text.clone()).unwrap_or_default()
        };
        assert!(text("hosts").contains("127.0.0.1 localhost"));
        assert_eq!(text("resolv.conf"), "");
        assert!(text("passwd").contains("agent:x:1000:1000:agent:/tmp:"));
    }
}
