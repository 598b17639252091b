//! Gates.
mod paths;
pub(crate) use paths::is_lock_file;
