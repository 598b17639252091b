//! pip and uv.

use super::{Clients, asking};
use crate::environment::Environment;

/// Prints where pip looks by itself: the index and the host of its files.
const DEFAULTS: &str =
    "from pip._internal.models.index import PyPI; print(PyPI.url, PyPI.file_storage_domain)";

/// Variables with indexes, several in one apart by spaces. The first group goes in the place of
/// pip's own index.
const INDEX: [&str; 3] = ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"];
const EXTRA: [&str; 3] = ["PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX"];

pub(super) fn ask(environment: &Environment) -> Clients {
    let mut clients = Clients::default();
    let Some(python) = environment.find("python3") else {
        return clients;
    };
    let settings = asking::say(environment, &python, &["-m", "pip", "config", "list"]);
    let mut replaced = false;
    for (option, name) in [("index-url", INDEX[0]), ("extra-index-url", EXTRA[0])] {
        let urls = settings.as_deref().and_then(|settings| setting(settings, option));
        replaced |= option == "index-url" && urls.is_some();
        if let Some(urls) = urls {
            pass_on(&mut clients, name, &urls);
        }
    }
    for name in INDEX.into_iter().chain(EXTRA) {
        if let Some(urls) = environment.text(name) {
            replaced |= INDEX.contains(&name);
            pass_on(&mut clients, name, urls);
        }
    }
    if !replaced {
        // Without pip there is nothing to say.
        let Some(said) = asking::say(environment, &python, &["-c", DEFAULTS]) else {
            return clients;
        };
        let mut words = said.split_whitespace();
        let url = words.next().unwrap_or_default();
        clients.add("pip", url);
        if let Some(host) = words.next() {
            clients.add("pip", &format!("https://{host}/"));
        }
    }
    clients
}

fn pass_on(clients: &mut Clients, name: &str, urls: &str) {
    let kept: Vec<&str> =
        urls.split_whitespace().filter_map(|url| clients.add("pip", url)).collect();
    if !kept.is_empty() {
        clients.env.insert(name.into(), kept.join(" "));
    }
}

/// `global.index-url='https://..'`, of any section; the last one counts, as it does for pip.
fn setting(said: &str, option: &str) -> Option<String> {
    said.lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| key.rsplit('.').next() == Some(option))
        .map(|(_, value)| value.trim().trim_matches('\'').replace("\\n", " "))
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_pip_prints_them() {
        let said = "global.cert='/etc/x'\nglobal.index-url='https://a.example/simple'\n\
                    install.extra-index-url='\\nhttps://b.example/s\\nhttps://u:p@c.example/s'\n";
        assert_eq!(setting(said, "index-url").unwrap(), "https://a.example/simple");
        let mut clients = Clients::default();
        pass_on(&mut clients, "PIP_EXTRA_INDEX_URL", &setting(said, "extra-index-url").unwrap());
        assert_eq!(clients.env["PIP_EXTRA_INDEX_URL"], "https://b.example/s");
        assert_eq!(clients.registries, ["b.example", "c.example"]);
    }
}
