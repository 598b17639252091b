//! The trusted way out of a sandbox: model gateway and egress proxy.
