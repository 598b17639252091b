//! The broker itself: opens and closes the sockets of runs.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use midwatch_core::id::RunName;
use midwatch_core::input::InvalidInput;
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::address::AddressCheck;
use crate::gateway::{self, Client};
use crate::grant::Grant;
use crate::meter::{Meter, Record, Totals};
use crate::operator_proxy::OperatorProxy;
use crate::refusal::Refusal;
use crate::resolve::{Resolve, SystemResolver};
use crate::tls::{CaBundle, TlsError, client_config};
use crate::token::ServerKey;
use crate::way::Ways;
use crate::{door, proxy, socket};

/// The names of the two sockets in a run's folder.
const GATEWAY_SOCKET: &str = "gateway.sock";
const PROXY_SOCKET: &str = "proxy.sock";

/// What a broker is made of. Nothing is read from the environment.
pub struct BrokerConfig {
    /// The key of the run tokens.
    pub server_key: ServerKey,
    /// Whom to trust when dialling providers.
    pub ca: CaBundle,
    /// Resolves names, of providers too.
    pub resolver: Arc<dyn Resolve>,
    /// The check of addresses before they are dialled.
    pub addresses: AddressCheck,
    /// The operator's own HTTP proxy, through which everything goes that it is set for.
    pub operator_proxy: Option<OperatorProxy>,
}

impl BrokerConfig {
    /// The machine's own CA bundle and resolver, addresses checked, no proxy.
    pub fn new(server_key: ServerKey) -> Self {
        Self {
            server_key,
            ca: CaBundle::System,
            resolver: Arc::new(SystemResolver),
            addresses: AddressCheck::Enforced,
            operator_proxy: None,
        }
    }
}

/// Why a broker or a run's sockets cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The run's name is none.
    #[error(transparent)]
    Name(#[from] InvalidInput),
    /// The sockets cannot be made.
    #[error("the run's sockets in {}: {error}", folder.display())]
    Socket {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The run is open with another folder.
    #[error("run {run} is open with its sockets in {}", folder.display())]
    OpenElsewhere {
        /// The run.
        run: String,
        /// Where.
        folder: PathBuf,
    },
    /// Called outside a tokio runtime.
    #[error("the broker needs a tokio runtime")]
    NoRuntime,
}

/// A run whose sockets are there.
#[derive(Debug)]
pub struct Opened {
    /// What the agent shows in the place of a credential. The same for the same run and key.
    pub token: SecretString,
}

/// The model gateway and the egress proxy of every run. Clones are the same broker.
#[derive(Clone)]
pub struct Broker(Arc<Shared>);

/// What all runs share.
pub(crate) struct Shared {
    pub(crate) key: ServerKey,
    pub(crate) client: Client,
    pub(crate) ways: Arc<Ways>,
    runs: Mutex<HashMap<String, Opening>>,
}

struct Opening {
    run: Arc<Run>,
    doors: Vec<JoinHandle<()>>,
}

/// An open run, as its connections see it.
pub(crate) struct Run {
    pub(crate) name: String,
    grant: RwLock<Arc<Grant>>,
    pub(crate) meter: Meter,
    closed: watch::Sender<bool>,
}

impl Run {
    /// What the run may do now.
    pub(crate) fn grant(&self) -> Arc<Grant> {
        self.grant.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a record and tells the sink.
    pub(crate) fn record(&self, record: &Record) {
        self.meter.add(record);
        if let Some(sink) = &self.grant().sink {
            sink.record(&self.name, record);
        }
    }

    /// Records a refusal and hands it back for the answer.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Refusal {
        let record = Record::Refused(refusal.clone());
        self.record(&record);
        refusal
    }
}

impl Broker {
    /// Makes a broker. The CA bundle is read now.
    pub fn new(config: BrokerConfig) -> Result<Self, BrokerError> {
        let BrokerConfig { server_key, ca, resolver, addresses, operator_proxy } = config;
        let ways = Arc::new(Ways { resolver, addresses, operator: operator_proxy });
        let client = gateway::client(client_config(&ca)?, ways.clone());
        let runs = Mutex::default();
        Ok(Self(Arc::new(Shared { key: server_key, client, ways, runs })))
    }

    /// Makes the sockets of a run and serves them until [`Broker::close`], in the runtime of the
    /// caller. A run that is open already keeps its sockets and totals and has the new grant from
    /// its next request on.
    pub fn open(&self, grant: Grant) -> Result<Opened, BrokerError> {
        RunName::parse(&grant.run)?;
        let runtime = Handle::try_current().map_err(|_| BrokerError::NoRuntime)?;
        let opened = Opened { token: self.0.key.token(&grant.run) };
        let mut runs = self.0.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opening) = runs.get(&grant.run) {
            let folder = opening.run.grant().socket_dir.clone();
            if folder != grant.socket_dir {
                return Err(BrokerError::OpenElsewhere { run: grant.run, folder });
            }
            *opening.run.grant.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(grant);
            return Ok(opened);
        }
        let folder = grant.socket_dir.clone();
        let failed = |error| BrokerError::Socket { folder: folder.clone(), error };
        socket::make_folder(&folder).map_err(failed)?;
        let gateway_socket = socket::listen(&folder, GATEWAY_SOCKET).map_err(failed)?;
        let proxy_socket = socket::listen(&folder, PROXY_SOCKET).map_err(failed)?;
        let limits = grant.limits;
        let (closed, watching) = watch::channel(false);
        let run = Arc::new(Run {
            name: grant.run.clone(),
            grant: RwLock::new(Arc::new(grant)),
            meter: Meter::default(),
            closed,
        });
        let (shared, state) = (self.0.clone(), run.clone());
        let connection =
            move |io| gateway::connection(shared.clone(), state.clone(), limits.waits.head, io);
        let gateway_door = runtime.spawn(door::serve(
            gateway_socket,
            limits.gateway_connections,
            watching.clone(),
            connection,
        ));
        let (shared, state) = (self.0.clone(), run.clone());
        let connection =
            move |io| proxy::connection(shared.clone(), state.clone(), limits.waits.head, io);
        let proxy_door = runtime.spawn(door::serve(
            proxy_socket,
            limits.proxy_connections,
            watching,
            connection,
        ));
        runs.insert(run.name.clone(), Opening { run, doors: vec![gateway_door, proxy_door] });
        Ok(opened)
    }

    /// Ends a run's connections, removes its sockets and returns what it used. `None` when the
    /// run is not open: closing twice does no harm.
    pub async fn close(&self, run: &str) -> Option<Totals> {
        let opening = {
            let mut runs = self.0.runs.lock().unwrap_or_else(PoisonError::into_inner);
            let opening = runs.remove(run)?;
            // Under the lock, so that sockets of a run that is opened anew are never removed.
            let folder = &opening.run.grant().socket_dir;
            for name in [GATEWAY_SOCKET, PROXY_SOCKET] {
                if let Err(error) = socket::remove(&folder.join(name)) {
                    tracing::warn!(run, %error, "a broker socket is left behind");
                }
            }
            opening
        };
        opening.run.closed.send_replace(true);
        for door in opening.doors {
            // A door that panicked has ended, which is all that is asked of it here.
            let _ = door.await;
        }
        Some(opening.run.meter.totals())
    }

    /// What an open run used so far.
    pub fn totals(&self, run: &str) -> Option<Totals> {
        let runs = self.0.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(run).map(|opening| opening.run.meter.totals())
    }
}
