//! The environment and the settings of every call. The list and its reasons come from
//! measurements of what git runs on behalf of a repository that somebody else has written to.

use std::ffi::OsString;
use std::path::Path;

use super::PATH;

/// Which transport a call may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// None at all: the call works on local files.
    Nothing,
    /// https, and plain http where the operator allowed it for this URL.
    Http {
        /// Whether the URL is plain http.
        plain: bool,
    },
    /// ssh, with the user's own agent where there is one.
    Ssh {
        /// `SSH_AUTH_SOCK` as the client handed it over.
        agent: Option<OsString>,
        /// Options of ssh that say which address is dialled.
        dial: Option<String>,
    },
}

impl Reach {
    fn protocols(&self) -> &'static str {
        match self {
            // A name that is no protocol: an empty value would fall back to the settings.
            Self::Nothing => "none",
            Self::Http { plain: false } => "https",
            Self::Http { plain: true } => "http",
            Self::Ssh { .. } => "ssh",
        }
    }
}

/// Variables of every call; the process starts from an empty environment.
pub(super) fn variables(reach: &Reach) -> Vec<(&'static str, OsString)> {
    let mut all: Vec<(&'static str, OsString)> = [
        ("PATH", PATH),
        // No home: no .gitconfig, attributes, ignore file, .netrc or credential store of anybody.
        ("HOME", "/nonexistent"),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", "false"),
        ("SSH_ASKPASS", "false"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_GRAFT_FILE", "/nonexistent"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_PAGER", "cat"),
        ("GIT_EDITOR", "false"),
        ("GIT_SEQUENCE_EDITOR", "false"),
        ("GIT_ALLOW_PROTOCOL", reach.protocols()),
    ]
    .into_iter()
    .map(|(key, value)| (key, value.into()))
    .collect();
    match reach {
        Reach::Nothing | Reach::Http { .. } => {}
        Reach::Ssh { agent, dial } => {
            let command =
                dial.as_ref().map_or_else(|| SSH.to_owned(), |dial| format!("{SSH} {dial}"));
            all.push(("GIT_SSH_COMMAND", command.into()));
            if let Some(agent) = agent {
                all.push(("SSH_AUTH_SOCK", agent.clone()));
            }
        }
    }
    all
}

/// No question is ever asked, and a host that the user has not met is refused.
const SSH: &str = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 \
                   -o ForwardAgent=no -o ClearAllForwardings=yes -o PermitLocalCommand=no";

/// Settings of every call, on the command's own level: they win over the repository's.
pub(super) fn settings(reach: &Reach, ca_bundle: Option<&Path>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [
        ("core.fsmonitor", "false"),
        ("core.hooksPath", "/dev/null"),
        ("core.symlinks", "false"),
        ("core.askPass", "false"),
        ("core.pager", "cat"),
        ("core.editor", "false"),
        ("core.commitGraph", "false"),
        ("core.multiPackIndex", "false"),
        ("core.alternateRefsCommand", "false"),
        ("core.protectHFS", "true"),
        ("core.protectNTFS", "true"),
        // Bounds what one process maps and caches of a pack that somebody else made.
        ("core.packedGitWindowSize", "32m"),
        ("core.packedGitLimit", "512m"),
        ("core.bigFileThreshold", "64m"),
        ("sequence.editor", "false"),
        ("credential.helper", ""),
        ("commit.gpgSign", "false"),
        ("tag.gpgSign", "false"),
        ("push.gpgSign", "false"),
        ("gpg.program", "false"),
        ("protocol.allow", "never"),
        ("submodule.recurse", "false"),
        ("fetch.recurseSubmodules", "false"),
        ("push.recurseSubmodules", "no"),
        ("diff.ignoreSubmodules", "all"),
        ("transfer.fsckObjects", "true"),
        ("fetch.fsckObjects", "true"),
        ("fetch.unpackLimit", "1"),
        ("fetch.writeCommitGraph", "false"),
        ("safe.bareRepository", "explicit"),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
        // A repository that moved is named in an error; nothing is fetched from elsewhere.
        ("http.followRedirects", "false"),
        ("http.cookieFile", ""),
        ("advice.detachedHead", "false"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    match reach {
        Reach::Nothing => all.push(("core.sshCommand".into(), "false".into())),
        Reach::Ssh { .. } => all.push(("protocol.ssh.allow".into(), "always".into())),
        Reach::Http { plain } => {
            let protocol = if *plain { "http" } else { "https" };
            all.push((format!("protocol.{protocol}.allow"), "always".into()));
            all.push(("core.sshCommand".into(), "false".into()));
            if let Some(bundle) = ca_bundle {
                all.push(("http.sslCAInfo".into(), bundle.to_string_lossy().into_owned()));
            }
        }
    }
    all
}
