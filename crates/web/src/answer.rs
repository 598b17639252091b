//! Answers: JSON, and refusals with a status that fits.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use midwatch_api::control::Refusal;
use midwatch_core::input::InvalidInput;

use crate::desk::CLOSING;

/// A refusal on its way out.
pub(crate) struct Refused(StatusCode, Refusal);

impl Refused {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self(status, Refusal { message: message.into(), hint: None, exit: 2 })
    }

    pub(crate) const fn with(status: StatusCode, refusal: Refusal) -> Self {
        Self(status, refusal)
    }
}

impl From<InvalidInput> for Refused {
    fn from(error: InvalidInput) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.exit {
            2 => StatusCode::UNPROCESSABLE_ENTITY,
            6 => StatusCode::CONFLICT,
            CLOSING => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<JsonRejection> for Refused {
    fn from(rejection: JsonRejection) -> Self {
        // The reader names field and place, never the values of a whole body.
        Self::new(rejection.status(), first_line(&rejection.body_text()))
    }
}

impl From<PathRejection> for Refused {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), first_line(&rejection.body_text()))
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), first_line(&rejection.body_text()))
    }
}

/// What a reader says, without a line break and within bounds.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(400).collect()
}
