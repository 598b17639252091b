//! go, which prints its own defaults.

use serde_json::Value;

use super::url::{Read, host};
use super::{Clients, asking};
use crate::environment::Environment;

/// Settings that are passed on.
const NAMES: [&str; 5] = ["GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE"];

pub(super) fn ask(environment: &Environment) -> Option<Clients> {
    let Some(go) = environment.find("go") else {
        return Some(Clients::default());
    };
    let mut words = vec!["env", "-json"];
    words.extend(NAMES);
    let said = asking::say(environment, &go, &words)?;
    Some(read(&serde_json::from_str(&said).ok()?))
}

fn read(settings: &Value) -> Clients {
    let mut clients = Clients::default();
    for name in NAMES {
        let Some(value) = settings[name].as_str().filter(|value| !value.is_empty()) else {
            continue;
        };
        let mut whole = true;
        match name {
            "GOPROXY" => {
                // Proxies apart by `,` or `|`, and the words `direct` and `off`.
                for part in value.split([',', '|']).filter(|part| part.contains("://")) {
                    whole &= clients.add("go", part).is_some();
                }
            }
            // `sum.golang.org`, `NAME+KEY` or `NAME+KEY URL`.
            "GOSUMDB" if value != "off" => {
                let mut words = value.split_whitespace();
                let name = words.next().unwrap_or_default();
                let name = name.split('+').next().unwrap_or_default();
                let url = words.next().map_or_else(|| format!("https://{name}/"), Into::into);
                if let Read::Host(host) = host(&url) {
                    clients.registries.push(host);
                }
            }
            _ => {}
        }
        if whole {
            clients.env.insert(name.into(), value.into());
        }
    }
    clients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_and_the_sum_database_are_names() {
        let clients = read(&serde_json::json!({
            "GOPROXY": "https://goproxy.example|https://proxy.golang.org,direct",
            "GOSUMDB": "sum.golang.org", "GOPRIVATE": "",
        }));
        assert_eq!(clients.registries, ["goproxy.example", "proxy.golang.org", "sum.golang.org"]);
        assert_eq!(clients.env.len(), 2);
        let secret =
            read(&serde_json::json!({"GOPROXY": "https://u:p@x.example", "GOSUMDB": "off"}));
        assert!(!secret.env.contains_key("GOPROXY") && secret.left_out.len() == 1);
    }
}
