//! Refusals as clients read them: whose fault, and what next.

use midwatch_api::control::Refusal;
use midwatch_core::input::InvalidInput;

use crate::folder::FolderError;
use crate::store::{StoreError, Stuck};

pub(super) fn unknown(name: &str) -> Refusal {
    Refusal {
        message: format!("there is no task '{}'", midwatch_core::input::shown(name)),
        hint: Some("`midwatch get` lists them".into()),
        exit: 2,
    }
}

pub(super) fn refused(error: InvalidInput) -> Refusal {
    Refusal { message: error.to_string(), hint: None, exit: 2 }
}

/// What the store said, to a client.
pub(super) fn stored(error: &StoreError) -> Refusal {
    error.stuck().map_or_else(|| internal(error), stuck)
}

/// What the state folder said, to a client.
pub(super) fn kept(error: &FolderError) -> Refusal {
    match error {
        FolderError::Io { error: why, .. } => Stuck::of(why).map_or_else(|| internal(error), stuck),
        FolderError::Busy(_) | FolderError::NotOurs { .. } | FolderError::Key { .. } => {
            internal(error)
        }
    }
}

/// That nothing can be stored, for a while.
pub(super) fn stuck(why: Stuck) -> Refusal {
    Refusal {
        message: format!("{}: nothing can be stored now", why.as_str()),
        hint: Some(why.hint().into()),
        exit: 6,
    }
}

pub(super) fn internal(error: &dyn std::fmt::Display) -> Refusal {
    Refusal {
        message: error.to_string(),
        hint: Some("the server's log says more: server.log in the state folder".into()),
        exit: 1,
    }
}
