//! Acts on Land: fetch, import, keep, push, read back.
//!
//! ```text
//!  engine ─ LandAction ─► Publisher ─► fetch    repository, or its URL ──► upstream
//!                             │        import   a run's bundle ─ gates ─► work
//!                             │        rescue   a run's bundle ─────────► work
//!                             ▼        land     work ──► user's repository, or remote
//!                           Event
//! ```
//!
//! Runs nothing of the repository. What belongs to a repository (its checkout, its remote, the
//! forge's credential, the secrets to look for) it asks of [`Places`] for each action and keeps
//! nowhere. Every action looks first whether it is done already, and does it again harmlessly.
//!
//! [`order`] is the part before a task exists: which repository, which base, may it be worked
//! with. [`view`] shows what came of it.

mod fetch;
pub mod files;
mod import;
mod land;
pub mod order;
mod places;
mod publisher;
mod rescue;
pub mod saved;
pub mod view;

pub use midwatch_git::command::Git;
pub use midwatch_git::credential::Credential;
pub use midwatch_git::gates::KnownSecret;
pub use midwatch_git::remote::{Addresses, Proxy, RemoteError};
pub use midwatch_git::self_test::{SelfTestError, self_test};
pub use midwatch_git::url::{RepositoryUrl, Scheme, UrlRules};
pub use places::{Home, Places, Remote, Repository, Server};
pub use publisher::Publisher;
