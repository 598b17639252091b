//! Secrets of a user, wherever users have them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::search;
use crate::house::House;

/// A secret: its name, and 32 hexadecimal digits that are nowhere else, with a form around them
/// and signs that URL encoding changes.
fn secret(name: &str) -> String {
    let mut bytes = [0_u8; 16];
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut random, &mut bytes).unwrap();
    let digits = search::hex(&bytes);
    match name {
        "ANTHROPIC_API_KEY" => format!("sk-ant-api03-{digits}"),
        "CLAUDE_CODE_OAUTH_TOKEN" | "claude login" => format!("sk-ant-oat01-{digits}"),
        "OPENAI_API_KEY" | "CODEX_API_KEY" | "codex login" => format!("sk-proj-{digits}"),
        "AWS_SECRET_ACCESS_KEY" => format!("{digits}/+{digits}="),
        // One is part of an address, where other signs are written as %XX.
        _ => digits,
    }
}

/// Every secret of the user, by name.
pub(super) struct Planted {
    pub(super) secrets: BTreeMap<&'static str, String>,
    /// Files that hold some, as an attacker would name them.
    pub(super) files: Vec<PathBuf>,
}

/// Variables that hold one.
pub(super) const VARIABLES: [&str; 11] = [
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GITHUB_TOKEN",
    "NPM_TOKEN",
    "DATABASE_PASSWORD",
];

/// What holds one elsewhere.
const OTHERS: [&str; 12] = [
    "proxy",
    "claude login",
    "claude refresh",
    "codex login",
    "git credentials",
    "netrc",
    "npmrc",
    "aws file",
    "ssh key",
    "gh hosts",
    "cargo credentials",
    "secret file",
];

/// Plants everything; what a remote's URL holds comes with the repository.
pub(super) fn plant(house: &House) -> Planted {
    let names = VARIABLES.into_iter().chain(OTHERS).chain(["remote"]);
    let secrets: BTreeMap<_, _> = names.map(|name| (name, secret(name))).collect();
    let of = |name: &str| secrets[name].as_str();
    let claude = json!({"claudeAiOauth": {
        "accessToken": of("claude login"), "refreshToken": of("claude refresh"),
        "expiresAt": 4_102_444_800_000_u64, "scopes": ["user:inference"],
        "subscriptionType": "max",
    }});
    let codex = json!({"auth_mode": "apikey", "OPENAI_API_KEY": of("codex login")});
    let texts = [
        (".claude/.credentials.json", claude.to_string()),
        (".codex/auth.json", codex.to_string()),
        (".git-credentials", format!("https://user:{}@example.com\n", of("git credentials"))),
        (".netrc", format!("machine example.com login user password {}\n", of("netrc"))),
        (".npmrc", format!("//example.com/:_authToken={}\n", of("npmrc"))),
        (".aws/credentials", format!("[default]\naws_secret_access_key = {}\n", of("aws file"))),
        (".ssh/id_ed25519", format!("-----BEGIN KEY-----\n{}\n", of("ssh key"))),
        (".config/gh/hosts.yml", format!("github.com:\n  oauth_token: {}\n", of("gh hosts"))),
        (".cargo/credentials.toml", format!("[registry]\ntoken = '{}'\n", of("cargo credentials"))),
        ("secret.txt", of("secret file").to_owned()),
    ];
    let files = texts.map(|(path, text)| {
        let path = house.home().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    });
    Planted { secrets, files: files.into() }
}
