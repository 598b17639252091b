//! Puts the rooms of a server together: who acts on runs, who on landings, who opens doors, and
//! the desk that the control socket speaks to.

mod crash;
pub(crate) mod credential;
mod desk;
mod doors;
mod found;
mod heard;
mod intake;
mod layers;
mod lock;
mod log;
mod machine;
mod places;
pub(crate) mod proxy;
mod records;
mod remote_order;
mod room;
mod saved;
mod server;

pub(crate) use layers::accepted;
pub(crate) use lock::{Locked, lock};
pub(crate) use server::{Exit, run};
