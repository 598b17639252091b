//! What keeps a provider from answering as asked, read from an answer while it passes by: by its
//! status, and inside a stream that began well by the words of its error.

use crate::refusal::RefusalReason;

/// What kept a provider from answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A limit of use, of requests or of money.
    Limit,
    /// The credential is not taken.
    Login,
    /// The credential is taken, and may not do this.
    Denied,
    /// It is down, overloaded or not to be reached.
    Down,
}

impl Trouble {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Limit, Self::Login, Self::Denied, Self::Down];

    /// The name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "Limit",
            Self::Login => "Login",
            Self::Denied => "Denied",
            Self::Down => "Down",
        }
    }

    /// By an answer's status, and where that does not tell by the words in its body.
    pub(crate) fn of_answer(status: u16, words: Option<Self>) -> Option<Self> {
        match status {
            402 | 429 => Some(Self::Limit),
            401 => Some(Self::Login),
            // The words may say that it is an account without money, or a key that is none.
            403 => words.or(Some(Self::Denied)),
            500.. => Some(Self::Down),
            // A key that is no key is a 400 at Google's, an empty account one at Anthropic's; and a
            // stream that begins well may end with an error.
            _ => words,
        }
    }

    /// By the value of an error's `type`, `code` or `status`, or by how its message begins. The
    /// names are those of the providers' API references.
    pub(crate) fn of_word(word: &[u8]) -> Option<Self> {
        match word {
            b"rate_limit_error"
            | b"billing_error"
            | b"rate_limit_exceeded"
            | b"insufficient_quota"
            | b"usage_limit_reached"
            | b"RESOURCE_EXHAUSTED" => Some(Self::Limit),
            b"authentication_error" | b"invalid_api_key" | b"UNAUTHENTICATED" => Some(Self::Login),
            b"permission_error" | b"PERMISSION_DENIED" => Some(Self::Denied),
            b"overloaded_error" | b"api_error" | b"server_error" | b"UNAVAILABLE" | b"INTERNAL" => {
                Some(Self::Down)
            }
            _ if word.starts_with(b"Your credit balance is too low") => Some(Self::Limit),
            _ if word.starts_with(b"API key not valid") => Some(Self::Login),
            _ => None,
        }
    }

    /// What a refusal of our own says about the provider.
    pub fn of_refusal(reason: RefusalReason) -> Option<Self> {
        match reason {
            RefusalReason::Login => Some(Self::Login),
            RefusalReason::Redirect
            | RefusalReason::Encoded
            | RefusalReason::Unreachable
            | RefusalReason::UpstreamSlow
            | RefusalReason::Unresolved
            | RefusalReason::OperatorProxy => Some(Self::Down),
            RefusalReason::Malformed
            | RefusalReason::Framing
            | RefusalReason::TokenMissing
            | RefusalReason::TokenWrong
            | RefusalReason::NoModel
            | RefusalReason::Path
            | RefusalReason::Method
            | RefusalReason::WebSocket
            | RefusalReason::TooLarge
            | RefusalReason::Slow
            | RefusalReason::Budget
            | RefusalReason::NoEgress
            | RefusalReason::NotListed
            | RefusalReason::Host
            | RefusalReason::Port
            | RefusalReason::Address
            | RefusalReason::Mismatch
            | RefusalReason::NotTls => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_the_trouble_and_where_it_does_not_the_words_do() {
        use Trouble::{Denied, Down, Limit, Login};
        for (status, words, trouble) in [
            (200, None, None),
            (200, Some(Limit), Some(Limit)),
            (400, None, None),
            (400, Some(Login), Some(Login)),
            (400, Some(Limit), Some(Limit)),
            (401, None, Some(Login)),
            // A login that is not taken is no limit, whatever stands beside it.
            (401, Some(Limit), Some(Login)),
            (402, None, Some(Limit)),
            (403, None, Some(Denied)),
            (403, Some(Limit), Some(Limit)),
            (404, None, None),
            (429, None, Some(Limit)),
            (429, Some(Down), Some(Limit)),
            (499, None, None),
            (500, None, Some(Down)),
            (503, Some(Limit), Some(Down)),
            (529, None, Some(Down)),
        ] {
            assert_eq!(Trouble::of_answer(status, words), trouble, "{status} {words:?}");
        }
    }

    #[test]
    fn a_refusal_of_ours_is_the_providers_trouble_where_it_could_not_be_reached() {
        let of = |wanted: Trouble| -> Vec<RefusalReason> {
            let all = RefusalReason::ALL.iter().copied();
            all.filter(|reason| Trouble::of_refusal(*reason) == Some(wanted)).collect()
        };
        assert_eq!(of(Trouble::Login), [RefusalReason::Login]);
        // What the sandbox did is no trouble of the provider's.
        assert_eq!(of(Trouble::Limit), []);
        assert_eq!(of(Trouble::Denied), []);
    }
}
