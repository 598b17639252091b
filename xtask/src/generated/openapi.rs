//! The `OpenAPI` document of the control socket.

use anyhow::Result;

use crate::generated::Generated;

/// The file.
pub fn file() -> Result<Generated> {
    let text = serde_json::to_string_pretty(&midwatch_api::openapi::document())? + "\n";
    Ok(Generated { path: "docs/reference/openapi.json".to_owned(), text })
}
