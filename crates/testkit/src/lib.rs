//! For tests only: scripted model server, scripted agent, repositories.

pub mod agent_clis;
pub mod model_server;
pub mod script;
pub mod scripted_agent;
