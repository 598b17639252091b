//! For tests only: scripted model server, scripted agent, a forge, a company's proxy.

pub use midwatch_rehearsal as rehearsal;
pub use midwatch_rehearsal::script;

pub mod agent_clis;
pub mod company;
pub mod counts;
pub mod forge;
pub mod model_server;
pub mod scripted_agent;
