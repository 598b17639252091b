//! A task's lines as NDJSON: one JSON object a line, sent as soon as it is there.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use hyper::body::Frame;

use crate::desk::{Line, Lines};

struct Ndjson(Lines);

impl HttpBody for Ndjson {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(encode(&line)))))
    }
}

fn encode(line: &Line) -> Bytes {
    match serde_json::to_vec(line) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            bytes.into()
        }
        Err(error) => {
            tracing::error!(%error, "a line could not be written as JSON");
            Bytes::new()
        }
    }
}

pub(crate) fn answer(lines: Lines) -> Response {
    let body = Body::new(Ndjson(lines));
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
