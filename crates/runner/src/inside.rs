//! The inside half: what we start in the sandbox beside the agent. Hostile as the agent itself.
