//! Acts on Land: fetch, import, keep, push, read back.
