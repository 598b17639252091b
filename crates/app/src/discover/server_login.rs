//! The login at a git server: what the user's own git would use, else a token of the environment
//! that is for this very host. Nothing is asked of a person.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use midwatch_api::control::ServerLogin;
use midwatch_api::task::RepositoryRef;
use midwatch_publish::{Credential, RepositoryUrl, UrlRules};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret as _, SecretString};

use crate::environment::Environment;

/// How long the user's credential helpers may take; some start a program of their own.
const LIMIT: Duration = Duration::from_secs(20);
/// The most that git may answer, in bytes: tokens of some servers have thousands.
const MOST: u64 = 64 << 10;

/// A login that was found.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    user: String,
    password: SecretString,
    /// Where it was found, for people.
    pub(crate) from: &'static str,
}

impl Login {
    /// As git is given it.
    pub(crate) fn credential(&self) -> Credential {
        Credential { user: self.user.clone(), password: self.password.clone() }
    }

    /// As the server is handed it.
    pub(crate) fn handed_over(&self) -> ServerLogin {
        let password = self.password.expose_secret().to_owned();
        ServerLogin { user: self.user.clone(), password }
    }
}

/// Variables that hold a token, and whose it is.
struct Token {
    variable: &'static str,
    /// Variables that name its host, the first that is set.
    hosts: &'static [&'static str],
    /// Its host where none does.
    usual: Option<&'static str>,
    /// The user that the service wants beside a token.
    user: &'static str,
}

/// As gh, the actions runner, glab, and the clients of Gitea and Forgejo read them.
const TOKENS: [Token; 8] = [
    Token { variable: "GH_TOKEN", hosts: &[], usual: Some("github.com"), user: "x-access-token" },
    Token {
        variable: "GITHUB_TOKEN",
        hosts: &["GITHUB_SERVER_URL"],
        usual: Some("github.com"),
        user: "x-access-token",
    },
    Token {
        variable: "GH_ENTERPRISE_TOKEN",
        hosts: &["GH_HOST"],
        usual: None,
        user: "x-access-token",
    },
    Token {
        variable: "GITHUB_ENTERPRISE_TOKEN",
        hosts: &["GH_HOST"],
        usual: None,
        user: "x-access-token",
    },
    Token {
        variable: "GITLAB_TOKEN",
        hosts: &["GITLAB_HOST", "GL_HOST", "CI_SERVER_HOST"],
        usual: Some("gitlab.com"),
        user: "oauth2",
    },
    Token {
        variable: "FORGEJO_TOKEN",
        hosts: &["FORGEJO_URL", "FORGEJO_HOST"],
        usual: Some("codeberg.org"),
        user: "oauth2",
    },
    Token {
        variable: "GITEA_TOKEN",
        hosts: &["GITEA_SERVER_URL", "GITEA_URL", "GITEA_HOST"],
        usual: Some("gitea.com"),
        user: "oauth2",
    },
    Token {
        variable: "GITEA_SERVER_TOKEN",
        hosts: &["GITEA_SERVER_URL"],
        usual: None,
        user: "oauth2",
    },
];

/// Finds the login for a URL; `folder` is where the user's git would be used. Only https has one:
/// ssh has keys.
pub(crate) fn find(environment: &Environment, folder: &Path, url: &RepositoryUrl) -> Option<Login> {
    let origin = url.origin();
    let host = origin.strip_prefix("https://")?;
    asked(environment, folder, host, url).or_else(|| token(environment, host))
}

/// The same for an order of an earlier task that had one: as it is now.
pub(crate) fn again(environment: &Environment, repository: &RepositoryRef) -> Option<Login> {
    repository.login()?;
    let rules = UrlRules { private_addresses: true, plain_http: false };
    let url = RepositoryUrl::parse(repository.server()?, rules).ok()?;
    find(environment, repository.path().unwrap_or(environment.home()), &url)
}

/// Asks the user's git, with everything off that would ask a person.
fn asked(
    environment: &Environment,
    folder: &Path,
    host: &str,
    url: &RepositoryUrl,
) -> Option<Login> {
    let mut command = Command::new(environment.find("git")?);
    environment.apply(&mut command);
    command
        .args(["-c", "credential.interactive=false", "-c", "core.askPass=false"])
        .args(["credential", "fill"])
        .current_dir(folder)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "false")
        .env("SSH_ASKPASS", "false")
        .env("GCM_INTERACTIVE", "never")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .process_group(0);
    let path = url.to_git();
    let path = path.strip_prefix(&url.origin()).unwrap_or_default().trim_start_matches('/');
    let question = format!("protocol=https\nhost={host}\npath={path}\n\n");
    let answer = run(command, &question)?;
    let answer = answer.expose_secret();
    let value = |name: &str| {
        let line = answer.lines().find(|line| line.starts_with(name))?;
        line.strip_prefix(name)?.strip_prefix('=').filter(|value| !value.is_empty())
    };
    Some(Login {
        user: value("username")?.to_owned(),
        password: value("password")?.into(),
        from: "git's credential helper",
    })
}

/// What a command answers within the limit; whatever it started is killed after that.
fn run(mut command: Command, question: &str) -> Option<SecretString> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let group = Pid::from_child(&child);
    let (mut stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
    // A git that does not read has an answer of its own.
    let _ = stdin.write_all(question.as_bytes());
    drop(stdin);
    let (sender, answers) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.take(MOST).read_to_string(&mut text);
        let _ = sender.send(read.is_ok().then(|| SecretString::from(text)));
    });
    let answer = answers.recv_timeout(LIMIT).ok().flatten();
    if answer.is_none() {
        // Not reaped yet, so the number is still its own.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait().ok()?;
    answer.filter(|_| status.success())
}

/// A token that is for this host, and for no other.
fn token(environment: &Environment, host: &str) -> Option<Login> {
    TOKENS.iter().find_map(|token| {
        let named = token.hosts.iter().find_map(|name| environment.text(name));
        let own = named.map_or_else(|| token.usual.map(str::to_owned), host_of)?;
        let text = environment.text(token.variable)?.trim();
        let fits = own == host && !text.is_empty() && !text.contains(char::is_whitespace);
        fits.then(|| Login {
            user: token.user.to_owned(),
            password: text.into(),
            from: token.variable,
        })
    })
}

/// `host[:port]` of what a variable names: a host, or an https URL.
fn host_of(text: &str) -> Option<String> {
    let rest = text.trim().strip_prefix("https://").unwrap_or(text.trim());
    let host = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let host = host.strip_suffix(":443").unwrap_or(&host);
    (!host.is_empty() && !host.contains('@')).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::tests::environment;

    const PATH: (&str, &str) = ("PATH", "/usr/local/bin:/usr/bin:/bin");

    fn url(text: &str) -> RepositoryUrl {
        RepositoryUrl::parse(text, UrlRules::default()).unwrap()
    }

    #[test]
    fn a_token_goes_to_its_own_host_only() {
        let home = tempfile::tempdir().unwrap();
        let from = |variables: &[(&str, &str)], text: &str| {
            let environment = environment(home.path(), variables);
            find(&environment, home.path(), &url(text)).map(|login| login.from)
        };
        let github = ("GITHUB_TOKEN", "t");
        assert_eq!(from(&[github], "https://github.com/o/r"), Some("GITHUB_TOKEN"));
        for other in [
            "https://github.com.evil.example/o/r",
            "https://github.com:8443/o/r",
            "https://gitlab.com/o/r",
        ] {
            assert_eq!(from(&[github], other), None, "{other}");
        }
        assert_eq!(from(&[github], "git@github.com:o/r"), None);
        // That of an own GitHub is never shown to the public one.
        let own = [github, ("GITHUB_SERVER_URL", "https://git.corp.example")];
        assert_eq!(from(&own, "https://github.com/o/r"), None);
        assert_eq!(from(&own, "https://git.corp.example/o/r"), Some("GITHUB_TOKEN"));
        let lab = [("GITLAB_TOKEN", "t"), ("GITLAB_HOST", "https://lab.example/")];
        assert_eq!(from(&lab, "https://lab.example/o/r"), Some("GITLAB_TOKEN"));
        assert_eq!(from(&lab, "https://gitlab.com/o/r"), None);
        assert_eq!(
            from(&[("FORGEJO_TOKEN", "t")], "https://codeberg.org/o/r"),
            Some("FORGEJO_TOKEN")
        );
        assert_eq!(from(&[("GH_TOKEN", "two words")], "https://github.com/o/r"), None);
    }

    #[test]
    fn the_users_helper_is_asked_and_nobody_else() {
        let home = tempfile::tempdir().unwrap();
        let environment = environment(home.path(), &[PATH, ("GITHUB_TOKEN", "of-the-variable")]);
        let asked = home.path().join("asked");
        let helper = format!(
            "[credential]\n\thelper = \"!f() {{ cat >>{}; test $1 = get && printf 'username=u\\\\npassword=p-of-the-helper\\\\n'; }}; f\"\n",
            asked.display()
        );
        std::fs::write(home.path().join(".gitconfig"), helper).unwrap();
        let login = find(&environment, home.path(), &url("https://github.com/o/r")).unwrap();
        assert_eq!((login.user.as_str(), login.from), ("u", "git's credential helper"));
        assert_eq!(login.handed_over().password, "p-of-the-helper");
        assert!(!format!("{login:?}").contains("p-of-the"));
        let question = std::fs::read_to_string(asked).unwrap();
        assert!(question.contains("host=github.com"), "{question}");
        // Without a helper nobody is asked, and the variable is what there is.
        std::fs::write(home.path().join(".gitconfig"), "").unwrap();
        let login = find(&environment, home.path(), &url("https://github.com/o/r")).unwrap();
        assert_eq!(login.from, "GITHUB_TOKEN");
        assert!(find(&environment, home.path(), &url("https://h.example/o/r")).is_none());
    }
}
