//! Opens and closes the broker's doors for runs.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use midwatch_api::task::Egress;
use midwatch_broker::{
    Broker, BrokerConfig, CaBundle, Egress as Way, Grant, Limits, ModelGrant, Registries, ServerKey,
};
use midwatch_core::agent::CredentialKind;
use midwatch_local::access::{Access, Door, Heard};
use midwatch_local::folder::StateFolder;

use super::log::RunLog;
use super::{credential, heard, proxy};

/// What a broker is made for: a CA bundle, and the id of an operator's proxy.
type Network = (Option<PathBuf>, Option<String>);

/// The broker, once per network: users of one machine mostly have one.
pub(crate) struct Doors {
    folder: StateFolder,
    brokers: Mutex<BTreeMap<Network, Broker>>,
    open: Mutex<HashMap<String, Broker>>,
    /// Of each run with a model that was opened here: whether nothing of it was seen before.
    whole: Mutex<HashMap<String, bool>>,
}

impl Doors {
    pub(crate) fn new(folder: StateFolder) -> Self {
        Self { folder, brokers: Mutex::default(), open: Mutex::default(), whole: Mutex::default() }
    }

    fn broker(&self, network: Network) -> Result<Broker, String> {
        let mut brokers = held(&self.brokers);
        if let Some(broker) = brokers.get(&network) {
            return Ok(broker.clone());
        }
        let (ca, proxy) = &network;
        let key = self.folder.key().map_err(|error| error.to_string())?;
        let mut config = BrokerConfig::new(ServerKey::new(key));
        config.ca = ca.clone().map_or(CaBundle::System, CaBundle::File);
        config.operator_proxy =
            proxy.as_ref().map(|id| proxy::kept(&self.folder, id)).transpose()?;
        let broker = Broker::new(config).map_err(|error| error.to_string())?;
        brokers.insert(network, broker.clone());
        Ok(broker)
    }

    fn grant(&self, door: &Door) -> Result<Grant, String> {
        let model = door.model.as_ref().map(|model| {
            let kind = CredentialKind::parse(&model.kind)
                .ok_or_else(|| format!("credential kind '{}' is unknown", model.kind))?;
            let upstream = credential::upstream(kind, model.upstream.as_deref());
            Ok::<_, String>(ModelGrant {
                credential: credential::source(&self.folder, &model.credential, kind)?,
                upstream: upstream.map_err(|error| error.to_string())?,
                api: credential::wire_api(kind),
            })
        });
        let egress = match door.egress {
            Egress::None => Way::None,
            Egress::Registries => {
                let names = door.registries.iter().map(String::as_str);
                Way::Registries(Registries::parse(names).map_err(|error| error.to_string())?)
            }
            Egress::Public => Way::Public,
        };
        Ok(Grant {
            run: door.run.clone(),
            socket_dir: door.folder.clone(),
            model: model.transpose()?,
            egress,
            limits: Limits::default(),
            sink: Some(Arc::new(RunLog::new(door.log.clone()))),
        })
    }
}

impl Access for Doors {
    fn open(&self, door: &Door) -> Result<String, String> {
        let grant = self.grant(door)?;
        let broker = self.broker((door.ca_bundle.clone(), door.proxy.clone()))?;
        if let Some(parent) = door.folder.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|error| format!("the folder of doors: {error}"))?;
        }
        let is_new = !door.log.exists();
        let opened = broker.open(grant).map_err(|error| error.to_string())?;
        held(&self.open).insert(door.run.clone(), broker);
        if door.model.is_some() {
            held(&self.whole).entry(door.run.clone()).or_insert(is_new);
        }
        // The token goes into the run's order: it works at this run's gateway only.
        Ok(secrecy::ExposeSecret::expose_secret(&opened.token).to_owned())
    }

    async fn close(&self, run: &str) {
        let broker = held(&self.open).remove(run);
        if let Some(broker) = broker
            && let Some(totals) = broker.close(run).await
        {
            tracing::info!(
                run,
                requests = totals.requests,
                input_tokens = totals.tokens.input,
                output_tokens = totals.tokens.output,
                refused = totals.refused,
                "door.closed"
            );
        }
    }

    fn heard(&self, run: &str, log: &Path) -> Heard {
        let whole = held(&self.whole).remove(run).unwrap_or(false);
        let mut heard = Heard { whole, ..Heard::default() };
        if let Err(error) = heard::read(&mut heard, log) {
            tracing::warn!(run, %error, "what the gateway saw cannot be read");
            heard.whole = false;
        }
        heard
    }
}

/// Every change is one call on a map: a panic elsewhere left it whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
