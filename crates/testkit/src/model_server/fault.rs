//! How each provider says that a request is wrong, too large or not allowed, and that it broke
//! itself: in its own words, fields and statuses. Taken from what people report of them.

use midwatch_rehearsal::http::Answer;

use super::{Api, anthropic, gemini, openai};

/// What stands before `OpenAI`'s API lets no larger body pass, and answers itself.
const CLOUDFLARE_413: &str = "<html>\r\n<head><title>413 Payload Too Large</title></head>\r\n\
    <body>\r\n<center><h1>413 Payload Too Large</h1></center>\r\n<hr><center>cloudflare</center>\r\n\
    </body>\r\n</html>\r\n";

/// Somebody who is known, and may not.
pub(crate) fn forbidden(api: Api) -> Answer {
    match api {
        Api::Anthropic => anthropic(
            403,
            "permission_error",
            "Your API key does not have permission to use the specified resource.",
        ),
        Api::Responses | Api::Chat => {
            let code = Some("unsupported_country_region_territory");
            let message = "Country, region, or territory not supported";
            Answer::json(403, &openai::error(message, "request_forbidden", code))
        }
        Api::Gemini => {
            gemini(403, "Your API key was reported as leaked. Please use another API key.")
        }
    }
}

/// A parameter with a value that it may not have.
pub(crate) fn bad_request(api: Api) -> Answer {
    match api {
        Api::Anthropic => {
            let message = "temperature: Input should be less than or equal to 1";
            anthropic(400, "invalid_request_error", message)
        }
        Api::Responses | Api::Chat => {
            let message = "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.";
            let code = Some("decimal_above_max_value");
            let mut error = openai::error(message, "invalid_request_error", code);
            error["error"]["param"] = "temperature".into();
            Answer::json(400, &error)
        }
        Api::Gemini => gemini(
            400,
            "* GenerateContentRequest.generation_config.temperature: temperature must be in the range [0.0, 2.0].\n",
        ),
    }
}

/// A body of more bytes than are read. Google calls it a wrong argument.
pub(crate) fn too_large(api: Api) -> Answer {
    match api {
        Api::Anthropic => anthropic(413, "request_too_large", "Request exceeds the maximum size"),
        Api::Responses | Api::Chat => {
            Answer::Whole { status: 413, headers: Vec::new(), body: CLOUDFLARE_413.to_owned() }
        }
        Api::Gemini => gemini(400, "Request payload size exceeds the limit: 20971520 bytes."),
    }
}

/// The provider broke.
pub(crate) fn server_error(api: Api) -> Answer {
    match api {
        Api::Anthropic => anthropic(500, "api_error", "Internal server error"),
        Api::Responses | Api::Chat => {
            let message =
                "The server had an error while processing your request. Sorry about that!";
            Answer::json(500, &openai::error(message, "server_error", None))
        }
        Api::Gemini => gemini(
            500,
            "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
        ),
    }
}

/// More ask than it can answer: a status of Anthropic's own, and 503 with the others.
pub(crate) fn overloaded(api: Api) -> Answer {
    match api {
        Api::Anthropic => anthropic(529, "overloaded_error", "Overloaded"),
        Api::Responses | Api::Chat => {
            let message = "The server is currently overloaded with other requests. Sorry about that! You can retry your request, or contact us through our help center at help.openai.com if the error persists.";
            Answer::json(503, &openai::error(message, "server_error", None))
        }
        Api::Gemini => gemini(503, "The model is overloaded. Please try again later."),
    }
}

fn anthropic(status: u16, kind: &str, message: &str) -> Answer {
    Answer::json(status, &anthropic::error(kind, message))
}

fn gemini(status: u16, message: &str) -> Answer {
    Answer::json(status, &gemini::error(status, message))
}
