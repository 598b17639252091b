//! The way out of a sandbox, as far as this room knows it: a door that somebody opens.

use std::future::Future;
use std::path::{Path, PathBuf};

use midwatch_api::task::{CredentialRef, Egress};

/// What a run's door lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The run.
    pub run: String,
    /// Where its sockets are to be.
    pub folder: PathBuf,
    /// The model, for agents.
    pub model: Option<Model>,
    /// The rest of the world.
    pub egress: Egress,
    /// The registries of this user's package clients.
    pub registries: Vec<String>,
    /// The operator's CA bundle.
    pub ca_bundle: Option<PathBuf>,
    /// The id under which the operator's own HTTP proxy is kept.
    pub proxy: Option<String>,
    /// Where refusals and usage are written, one JSON line each.
    pub log: PathBuf,
}

/// The model behind a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Where the credential is.
    pub credential: CredentialRef,
    /// Its kind, as core names it.
    pub kind: String,
    /// The provider's base URL, when it is not the usual one.
    pub upstream: Option<String>,
}

/// What kept a provider from answering, as its gateway saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A limit, with its reset in seconds since 1970 where the answer told it.
    Limit(Option<i64>),
    /// The credential is not taken.
    Login,
    /// The credential is taken, and may not do this.
    Denied,
    /// It is down, overloaded or not to be reached.
    Down,
}

/// A limit that an answer told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Its reset, in seconds since 1970, where that was told.
    pub resets_at: Option<i64>,
}

/// What the gateway saw of a run's model, folded from all of its answers: a run may get very many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// It saw all of it: what is not here was not answered.
    pub whole: bool,
    /// The newest limit.
    pub limit: Option<Limit>,
    /// Whether the credential, or what it may do, was ever refused.
    pub rejected: bool,
    /// What was wrong with the last answer; none where it was given as asked.
    pub last: Option<Trouble>,
}

impl Heard {
    /// Takes the next answer; none is one that was given as asked.
    pub fn take(&mut self, answer: Option<Trouble>) {
        self.last = answer;
        match answer {
            Some(Trouble::Limit(resets_at)) => self.limit = Some(Limit { resets_at }),
            Some(Trouble::Login | Trouble::Denied) => self.rejected = true,
            Some(Trouble::Down) | None => {}
        }
    }
}

/// Opens and closes doors. Opening again after a restart gives the same token.
pub trait Access: Send + Sync + 'static {
    /// Opens; returns the run token.
    fn open(&self, door: &Door) -> Result<String, String>;

    /// Closes: the token works no longer.
    fn close(&self, run: &str) -> impl Future<Output = ()> + Send;

    /// What the gateway of a run saw, whose log is there. After closing it is all there is.
    fn heard(&self, run: &str, log: &Path) -> Heard;
}
