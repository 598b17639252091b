//! npm, whose settings pnpm and yarn read, too.

use serde_json::Value;

use super::{Clients, asking};
use crate::environment::Environment;

pub(super) fn ask(environment: &Environment) -> Option<Clients> {
    let Some(npm) = environment.find("npm").or_else(|| environment.find("pnpm")) else {
        return Some(Clients::default());
    };
    let said = asking::say(environment, &npm, &["config", "list", "--json"])?;
    Some(read(&serde_json::from_str(&said).ok()?))
}

/// `registry` and `@scope:registry`. Tokens are other keys, which are not looked at.
fn read(settings: &Value) -> Clients {
    let mut clients = Clients::default();
    let mut lines = String::new();
    for (key, value) in settings.as_object().into_iter().flatten() {
        let scoped = key.starts_with('@') && key.ends_with(":registry");
        let Some(url) = value.as_str().filter(|_| scoped || key == "registry") else {
            continue;
        };
        if let Some(url) = clients.add("npm", url)
            && !url.contains(['\n', '\r'])
        {
            lines.extend([key, "=", url, "\n"]);
        }
    }
    if !lines.is_empty() {
        clients.files.insert(".npmrc".into(), lines);
    }
    clients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_go_on_and_tokens_do_not() {
        let settings = serde_json::json!({
            "registry": "https://npm.example/", "@me:registry": "https://u:p@own.example/",
            "//npm.example/:_authToken": "canary", "audit": false,
        });
        let clients = read(&settings);
        assert_eq!(
            clients.files[std::path::Path::new(".npmrc")],
            "registry=https://npm.example/\n"
        );
        assert_eq!(clients.registries.len(), 2);
        assert!(clients.left_out[0].contains("own.example"));
        assert!(!format!("{clients:?}").contains("canary"));
    }
}
