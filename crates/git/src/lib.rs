//! Typed git subprocesses: mirror, checkout, bundle, import, gates.
