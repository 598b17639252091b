//! A push reader of JSON that keeps nothing but where it is, so that an answer of any size is
//! read in constant memory. Text inside strings can never be taken for a key.

use super::Found;
use crate::trouble::Trouble;

/// How many levels keep their key: what we look for is at most four deep.
const PATH: usize = 6;

/// Deeper documents are no longer read.
const DEPTH_MAX: u32 = 128;

/// The longest key or word that we know.
const TEXT_MAX: usize = 32;

/// The keys that lead to a number that we look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Word {
    #[default]
    Other,
    Message,
    Response,
    Usage,
    Error,
    Code,
    Type,
    Status,
    ResetsAt,
    Input,
    Output,
    CacheRead,
    CacheWritten,
    Prompt,
    Completion,
    Details,
    Cached,
    UsageMetadata,
    Candidates,
    Thoughts,
    CachedContent,
}

impl Word {
    fn of(key: &[u8]) -> Self {
        match key {
            b"message" => Self::Message,
            b"response" => Self::Response,
            b"usage" => Self::Usage,
            b"error" => Self::Error,
            b"code" => Self::Code,
            b"type" => Self::Type,
            b"status" => Self::Status,
            b"resets_at" => Self::ResetsAt,
            b"input_tokens" => Self::Input,
            b"output_tokens" => Self::Output,
            b"cache_read_input_tokens" => Self::CacheRead,
            b"cache_creation_input_tokens" => Self::CacheWritten,
            b"prompt_tokens" | b"promptTokenCount" => Self::Prompt,
            b"completion_tokens" => Self::Completion,
            b"input_tokens_details" | b"prompt_tokens_details" => Self::Details,
            b"cached_tokens" => Self::Cached,
            b"usageMetadata" => Self::UsageMetadata,
            b"candidatesTokenCount" => Self::Candidates,
            b"thoughtsTokenCount" => Self::Thoughts,
            b"cachedContentTokenCount" => Self::CachedContent,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Lex {
    #[default]
    Between,
    String,
    Escape,
    Number,
    /// A number that is no plain count: negative, a fraction, with an exponent.
    OddNumber,
    /// Too deep or broken: the rest is not read.
    GivenUp,
}

/// The reader.
#[derive(Debug, Default)]
pub(super) struct JsonScan {
    lex: Lex,
    depth: u32,
    /// One bit per level, the lowest for the innermost: set for objects.
    objects: u128,
    /// The key under which each level stands.
    path: [Word; PATH],
    /// The string under way is a key.
    in_key: bool,
    /// In an object, before a key.
    before_key: bool,
    /// How the string under way begins.
    text: [u8; TEXT_MAX],
    /// Bytes of the string; over `TEXT_MAX` when it is longer than any that we know.
    text_length: usize,
    number: u64,
}

impl JsonScan {
    /// Reads on.
    pub(super) fn feed(&mut self, bytes: &[u8], found: &mut Found) {
        for &byte in bytes {
            self.step(byte, found);
        }
    }

    /// Forgets the document under way.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    fn step(&mut self, byte: u8, found: &mut Found) {
        match self.lex {
            Lex::String => match byte {
                b'\\' => {
                    let known = self.text_length.min(TEXT_MAX);
                    self.text[known..].fill(0);
                    self.text_length = TEXT_MAX + 1;
                    self.lex = Lex::Escape;
                }
                b'"' => {
                    self.lex = Lex::Between;
                    if self.in_key {
                        let key = self.text.get(..self.text_length).unwrap_or_default();
                        self.set_word(Word::of(key));
                    } else {
                        self.take_text(found);
                    }
                }
                _ => {
                    if let Some(place) = self.text.get_mut(self.text_length) {
                        *place = byte;
                    }
                    self.text_length = self.text_length.saturating_add(1);
                }
            },
            Lex::Escape => self.lex = Lex::String,
            Lex::Number if byte.is_ascii_digit() => {
                self.number = self.number.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
            }
            Lex::Number if matches!(byte, b'.' | b'e' | b'E') => self.lex = Lex::OddNumber,
            Lex::Number => {
                self.take_number(found);
                self.lex = Lex::Between;
                self.between(byte);
            }
            Lex::OddNumber if matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-' | b'0'..=b'9') => {}
            Lex::OddNumber => {
                self.lex = Lex::Between;
                self.between(byte);
            }
            Lex::Between => self.between(byte),
            Lex::GivenUp => {}
        }
    }

    fn between(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => {
                if self.depth == DEPTH_MAX {
                    self.lex = Lex::GivenUp;
                    return;
                }
                self.depth += 1;
                self.objects = self.objects << 1 | u128::from(byte == b'{');
                self.before_key = byte == b'{';
                self.set_word(Word::Other);
            }
            b'}' | b']' => {
                if self.depth == 0 {
                    self.lex = Lex::GivenUp;
                    return;
                }
                self.depth -= 1;
                self.objects >>= 1;
                self.before_key = false;
            }
            b',' => self.before_key = self.objects & 1 == 1,
            b'"' => {
                self.lex = Lex::String;
                self.in_key = self.before_key;
                self.before_key = false;
                self.text_length = 0;
            }
            b'0'..=b'9' => {
                self.lex = Lex::Number;
                self.number = u64::from(byte - b'0');
            }
            b'-' => self.lex = Lex::OddNumber,
            _ => {}
        }
    }

    fn set_word(&mut self, word: Word) {
        if let Some(place) = (self.depth as usize).checked_sub(1).and_then(|d| self.path.get_mut(d))
        {
            *place = word;
        }
    }

    /// A string that is a value: an error has its names in some of them.
    fn take_text(&mut self, found: &mut Found) {
        let path = self.path.get(..self.depth as usize).unwrap_or_default();
        if let [Word::Error, Word::Type | Word::Code | Word::Status | Word::Message]
        | [Word::Response, Word::Error, Word::Type | Word::Code]
        | [Word::Code] = path
        {
            let word = &self.text[..self.text_length.min(TEXT_MAX)];
            found.trouble = found.trouble.or_else(|| Trouble::of_word(word));
        }
    }

    fn take_number(&mut self, found: &mut Found) {
        let path = self.path.get(..self.depth as usize).unwrap_or_default();
        let number = Some(self.number);
        if let [Word::Error, Word::ResetsAt] = path {
            found.resets_at = number;
        }
        if let [Word::UsageMetadata, word] = path {
            match word {
                Word::Prompt => found.input = number,
                Word::Candidates => found.output = number,
                Word::Thoughts => found.thoughts = number,
                Word::CachedContent => found.cached = number,
                _ => {}
            }
            return;
        }
        let ([Word::Usage, rest @ ..] | [Word::Message | Word::Response, Word::Usage, rest @ ..]) =
            path
        else {
            return;
        };
        match rest {
            [Word::Input | Word::Prompt] => found.input = number,
            [Word::Output | Word::Completion] => found.output = number,
            [Word::CacheRead] => found.cache_read = number,
            [Word::CacheWritten] => found.cache_written = number,
            [Word::Details, Word::Cached] => found.cached = number,
            _ => {}
        }
    }
}
