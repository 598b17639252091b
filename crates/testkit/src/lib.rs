//! For tests only: scripted model server, scripted agent, repositories.

pub mod model_server;
pub mod script;
