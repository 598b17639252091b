//! What keeps the repository in order: rules as tests, and files that are generated.
//!
//! ```text
//! repository  every file of the checkout, read once
//!    ├─► rules      findings, each with a path and a line     (tests/tidy.rs: none may be left)
//!    └─► generated  reference pages and schemas               (tests/tidy.rs: no drift)
//! ```
//!
//! A rule is a function of the files alone, so each has a test with an example that breaks it.

pub mod generated;
pub mod repository;
pub mod rules;
