//! The egress proxy.

pub(crate) mod host;

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::broker::{Run, Shared};

pub(crate) async fn connection(
    shared: Arc<Shared>,
    run: Arc<Run>,
    head_wait: Duration,
    io: TokioIo<UnixStream>,
) {
    let _ = (
        shared.resolver.clone(),
        shared.addresses,
        run,
        head_wait,
        io,
    );
}
