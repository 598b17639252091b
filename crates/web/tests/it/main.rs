//! Integration tests of the control socket, over a real socket.

mod control;
mod peer;
