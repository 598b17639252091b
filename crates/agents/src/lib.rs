//! Adapters for agent CLIs, without IO: an order becomes a command, bytes become events.
