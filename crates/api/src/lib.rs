//! The objects, orders, reports and results as wire types.
//!
//! What stands in a file, goes over HTTP, is stored in a row or handed to a runner has its
//! one shape here. `core` knows none of it: each type is turned into core's with `TryFrom`.

pub mod agent_task;
pub mod brief;
pub mod control;
pub mod document;
pub mod duration;
pub mod endpoint;
pub mod event;
pub mod gc;
pub mod kind;
pub mod metadata;
pub mod nearest;
pub mod object;
pub mod openapi;
pub mod order;
mod paths;
pub mod pipeline;
pub mod place;
pub mod profile;
pub mod report;
pub mod repository;
pub mod segment;
pub mod task;
mod variables;
pub mod view;
