//! A request's body on its way to the provider: capped, and not waited for without end.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::refusal::{No, RefusalReason};

/// Why a body was given up; empty while all is well.
pub(crate) type Trouble = Arc<OnceLock<No>>;

/// The body.
pub(crate) struct Intake {
    body: Incoming,
    left: u64,
    cap: u64,
    wait: Duration,
    deadline: Pin<Box<Sleep>>,
    trouble: Trouble,
}

/// The body was given up; the reason is told elsewhere, in words.
#[derive(Debug, thiserror::Error)]
#[error("the request's body was given up")]
pub(crate) struct GivenUp;

/// The refusal of a body over its cap.
pub(crate) fn too_large(cap: u64) -> No {
    (RefusalReason::TooLarge, format!("the request is over {cap} bytes"))
}

impl Intake {
    /// Passes at most `cap` bytes, and waits for each piece for `wait`.
    pub(crate) fn new(body: Incoming, cap: u64, wait: Duration) -> (Self, Trouble) {
        let trouble = Trouble::default();
        let deadline = Box::pin(sleep(wait));
        (Self { body, left: cap, cap, wait, deadline, trouble: trouble.clone() }, trouble)
    }

    fn give_up(&self, why: No) -> GivenUp {
        // Only the first reason counts, and there is only one.
        let _ = self.trouble.set(why);
        GivenUp
    }
}

impl Body for Intake {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        let this = &mut *self;
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
                return this.deadline.as_mut().poll(cx).map(|()| {
                    let text = format!("the request's body stopped for {:?}", this.wait);
                    Some(Err(this.give_up((RefusalReason::Slow, text))))
                });
            };
            this.deadline.as_mut().reset(Instant::now() + this.wait);
            let data = match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    let text = format!("the request's body broke off: {error}");
                    return Poll::Ready(Some(Err(this.give_up((RefusalReason::Malformed, text)))));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    // Trailers are nothing that a provider waits for.
                    Err(_) => continue,
                },
            };
            let Some(left) = this.left.checked_sub(data.len() as u64) else {
                return Poll::Ready(Some(Err(this.give_up(too_large(this.cap)))));
            };
            this.left = left;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
