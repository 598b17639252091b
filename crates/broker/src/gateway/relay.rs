//! An answer's body on its way to the sandbox: counted, searched, passed on piece by piece.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::redact::Redactor;
use crate::broker::Run;
use crate::meter::{LimitState, Record};
use crate::trouble::Trouble;
use crate::usage::UsageScan;

/// Why an answer broke off on our side. The client sees its connection end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// The provider's connection ended.
    #[error("the provider broke off: {0}")]
    Upstream(hyper::Error),
    /// Nothing came for too long.
    #[error("the provider fell silent")]
    Silent,
    /// The answer is over its cap.
    #[error("the answer is over its cap")]
    TooLarge,
}

/// Writes the record of an answer when the answer ends, however it ends.
pub(super) struct Ending {
    run: Arc<Run>,
    path: String,
    status: u16,
    limit: Option<LimitState>,
    scan: UsageScan,
    whole: bool,
}

impl Ending {
    pub(super) fn new(
        run: Arc<Run>,
        path: &str,
        status: u16,
        limit: Option<LimitState>,
        scan: UsageScan,
    ) -> Self {
        Self { run, path: path.to_owned(), status, limit, scan, whole: false }
    }
}

/// The status of a reached limit.
const TOO_MANY: u16 = 429;

impl Drop for Ending {
    fn drop(&mut self) {
        let in_body = self.scan.resets_at().filter(|_| self.status == TOO_MANY);
        let limit = self.limit.take().or_else(|| {
            let resets_at = in_body.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
            resets_at.map(|at| LimitState { reached: true, resets_at: Some(at) })
        });
        self.run.record(&Record::Answer {
            path: std::mem::take(&mut self.path),
            status: self.status,
            tokens: self.scan.count(),
            limit,
            trouble: Trouble::of_answer(self.status, self.scan.trouble()),
            cut: !self.whole,
        });
    }
}

/// The body.
pub(super) struct Relay {
    body: Incoming,
    redactor: Option<Redactor>,
    ending: Ending,
    left: u64,
    wait: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl Relay {
    pub(super) fn new(
        body: Incoming,
        redactor: Option<Redactor>,
        mut ending: Ending,
        cap: u64,
        wait: Duration,
    ) -> Self {
        // An empty body is never polled.
        ending.whole = body.is_end_stream();
        Self { body, redactor, ending, left: cap, wait, deadline: Box::pin(sleep(wait)) }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let this = &mut *self;
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
                return this.deadline.as_mut().poll(cx).map(|()| Some(Err(RelayError::Silent)));
            };
            this.deadline.as_mut().reset(Instant::now() + this.wait);
            let piece = match frame {
                None => {
                    this.ending.whole = true;
                    let held = this.redactor.as_mut().map(Redactor::finish).unwrap_or_default();
                    return Poll::Ready((!held.is_empty()).then(|| Ok(Frame::data(held))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(RelayError::Upstream(error)))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => piece,
                    // Trailers could carry anything and no provider sends them.
                    Err(_) => continue,
                },
            };
            let Some(left) = this.left.checked_sub(piece.len() as u64) else {
                return Poll::Ready(Some(Err(RelayError::TooLarge)));
            };
            this.left = left;
            this.ending.scan.feed(&piece);
            let piece = match &mut this.redactor {
                Some(redactor) => redactor.feed(piece),
                None => piece,
            };
            // The whole of it was held back, or it was empty: an empty piece would end the body.
            if piece.is_empty() {
                continue;
            }
            // With a known length the server may stop asking once it has all of it.
            if this.body.is_end_stream() {
                this.ending.whole = true;
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
    }

    fn size_hint(&self) -> SizeHint {
        // Redaction keeps the length; bytes held back are still to come.
        let mut hint = self.body.size_hint();
        let held = self.redactor.as_ref().map_or(0, Redactor::held) as u64;
        if let Some(exact) = hint.exact() {
            hint.set_exact(exact + held);
        }
        hint
    }
}
