//! Which package registries this user's clients are set to use: the clients are asked, no table
//! is kept. They are asked in the user's home and outside of every repository, so that no
//! repository widens what its sandboxes may reach.

use std::collections::BTreeMap;
use std::path::PathBuf;

use midwatch_api::task::Egress;
use serde::{Deserialize, Serialize};

use super::Finding;
use crate::environment::Environment;

mod asking;
mod cache;
mod cargo;
mod go;
mod maven;
mod npm;
mod pip;
mod tunnel;
mod url;

/// What the package clients said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clients {
    /// `host` or `host:port`, sorted, once each.
    pub(crate) registries: Vec<String>,
    /// Variables that tell clients in a sandbox the same; never a secret.
    pub(crate) env: BTreeMap<String, String>,
    /// Settings files below HOME that do.
    pub(crate) files: BTreeMap<PathBuf, String>,
    /// What could not be passed on, for people.
    pub(crate) left_out: Vec<String>,
}

impl Clients {
    /// Adds a registry by its URL, or says why not. Returns the URL when it may be passed on.
    fn add<'a>(&mut self, client: &str, text: &'a str) -> Option<&'a str> {
        match url::host(text) {
            url::Read::Host(host) => {
                self.registries.push(host);
                Some(text)
            }
            url::Read::WithSecret(host) => {
                self.registries.push(host.clone());
                self.left_out.push(format!(
                    "{client}: the address of {host} holds a password, which no sandbox gets"
                ));
                None
            }
            url::Read::Local => Some(text),
            url::Read::Odd => None,
        }
    }

    fn merge(&mut self, other: Self) {
        let Self { registries, env, files, left_out } = other;
        self.registries.extend(registries);
        self.env.extend(env);
        self.files.extend(files);
        self.left_out.extend(left_out);
    }

    pub(super) fn findings(&self, egress: Egress) -> Vec<Finding> {
        let text = match egress {
            Egress::None => "nothing but the model's gateway".to_owned(),
            Egress::Public => "every public address, by --egress public".to_owned(),
            Egress::Registries if self.registries.is_empty() => {
                "no registry: no package client was found".to_owned()
            }
            Egress::Registries => self.registries.join(", "),
        };
        let mut findings = vec![Finding::new("network", text)];
        findings.extend(self.left_out.iter().map(|text| Finding::new("left out", text.clone())));
        findings
    }
}

/// What one client says of itself; none when it did not answer.
type Asked = fn(&Environment) -> Option<Clients>;

/// Asks every client that is installed, at the same time.
pub(crate) fn ask(environment: &Environment) -> Clients {
    let fingerprint = cache::fingerprint(environment);
    if let Some(clients) = cache::read(environment, &fingerprint) {
        return clients;
    }
    let clients: [(&str, Asked); 5] = [
        ("npm", npm::ask),
        ("pip", |all| Some(pip::ask(all))),
        ("go", go::ask),
        ("cargo", |all| Some(cargo::ask(all))),
        ("maven", maven::ask),
    ];
    let mut all = Clients::default();
    let mut whole = true;
    std::thread::scope(|scope| {
        let asked: Vec<_> = clients
            .into_iter()
            .map(|(name, ask)| (name, scope.spawn(move || ask(environment))))
            .collect();
        for (name, one) in asked {
            if let Ok(Some(clients)) = one.join() {
                all.merge(clients);
            } else {
                // The next command asks again.
                whole = false;
                all.left_out.push(format!(
                    "{name} did not say which registry it uses; sandboxes cannot reach it"
                ));
            }
        }
    });
    all.registries.sort();
    all.registries.dedup();
    if whole {
        cache::write(environment, &fingerprint, &all);
    }
    all
}
