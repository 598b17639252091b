//! Settings of package clients that lie inside toolchains and below `/usr`: npm, pip, conda,
//! cargo, Maven keep a registry's password where the program itself is installed. The sandbox
//! shows toolchains whole, so a file of such a name that may hold a secret is shown empty.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::policy::{Mount, Policy};

/// Where they lie, from the folder of a toolchain: npm-config(1), pip's configuration (`sys.prefix`),
/// conda's `.condarc`, cargo's home, Maven's and Gradle's installation.
const PLACES: [&str; 16] = [
    "etc/npmrc",
    "etc/pip.conf",
    "etc/yarnrc",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    "pip.conf",
    "condarc",
    ".condarc",
    ".netrc",
    ".pypirc",
    "credentials",
    "credentials.toml",
    "conf/settings.xml",
    "conf/settings-security.xml",
    "gradle.properties",
];

/// Words without which a file holds no password: nothing is hidden that only says where a
/// certificate lies.
const WORDS: [&str; 6] = ["auth", "pass", "token", "secret", "@", "key"];

/// More of a settings file is not read; whatever is longer is hidden.
const MOST: u64 = 64 << 10;

/// The empty files to show in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blanks {
    text: PathBuf,
    xml: PathBuf,
}

impl Blanks {
    /// Makes them in an empty folder of ours.
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        let blanks = Self { text: folder.join("blank"), xml: folder.join("blank.xml") };
        std::fs::write(&blanks.text, "")?;
        // Maven takes an empty file for a broken one.
        std::fs::write(&blanks.xml, "<settings/>\n")?;
        Ok(blanks)
    }
}

/// What is hidden by this policy: a file inside, and what is shown there.
pub(crate) fn find(policy: &Policy, blanks: &Blanks) -> Vec<(PathBuf, PathBuf)> {
    let system = ["/usr", "/usr/local"].map(|folder| (PathBuf::from(folder), folder.into()));
    let shown = policy.mounts.iter().filter_map(|mount| match mount {
        Mount::Bind { source, target, writable: false } => Some((source.clone(), target.clone())),
        Mount::Bind { .. }
        | Mount::Tmpfs { .. }
        | Mount::Overlay { .. }
        | Mount::Dir { .. }
        | Mount::Guard { .. }
        | Mount::Symlink { .. } => None,
    });
    let mut hidden = Vec::new();
    for (source, target) in system.into_iter().chain(shown) {
        for place in PLACES {
            let file = source.join(place);
            // A link leads to a file that is hidden where it is, or is not shown.
            let is_file = file.symlink_metadata().is_ok_and(|meta| meta.is_file());
            if is_file && may_hold_a_secret(&file) {
                let xml = Path::new(place).extension().is_some_and(|end| end == "xml");
                let blank = if xml { &blanks.xml } else { &blanks.text };
                hidden.push((target.join(place), blank.clone()));
            }
        }
    }
    hidden
}

fn may_hold_a_secret(file: &Path) -> bool {
    let mut text = Vec::new();
    match File::open(file).and_then(|file| file.take(MOST).read_to_end(&mut text)) {
        // Who may not read it out here may not inside either.
        Err(_) => false,
        Ok(read) if read as u64 == MOST => true,
        Ok(_) => {
            let text = String::from_utf8_lossy(&text).to_lowercase();
            WORDS.iter().any(|word| text.contains(word))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_toolchains_are_hidden_and_the_rest_is_not() {
        let place = tempfile::tempdir().unwrap();
        let (node, blank) = (place.path().join("node"), place.path().join("blank"));
        std::fs::create_dir_all(node.join("etc")).unwrap();
        std::fs::create_dir_all(node.join("conf")).unwrap();
        std::fs::create_dir(&blank).unwrap();
        std::fs::write(node.join("etc/npmrc"), "//r.example/:_authToken=npm_x\n").unwrap();
        std::fs::write(node.join("conf/settings.xml"), "<password>x</password>").unwrap();
        std::fs::write(node.join("pip.conf"), "[global]\ncert = /etc/ssl/ca.pem\n").unwrap();
        let mut policy = Policy::bare();
        let target = PathBuf::from("/toolchains/node");
        policy.mounts = vec![Mount::Bind { source: node, target: target.clone(), writable: false }];
        let blanks = Blanks::make(&blank).unwrap();
        let mut hidden = find(&policy, &blanks);
        hidden.retain(|(file, _)| file.starts_with(&target));
        let expected = [
            (target.join("etc/npmrc"), blanks.text.clone()),
            (target.join("conf/settings.xml"), blanks.xml),
        ];
        assert_eq!(hidden, expected);
    }
}
