//! "Did you mean ...": the nearest of some names, as for fields of objects.

pub(crate) use midwatch_api::nearest::{known, nearest};
