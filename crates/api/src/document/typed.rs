//! From a tree to a type. The wanted type decides what an unquoted word means, so `no`, `1e3` or
//! `0777` is never taken for something that nobody wrote; every refusal knows its field and place.

use std::fmt::Display;

use midwatch_core::input::InvalidInput;
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer as _, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::Fault;
use super::fault;
use super::tree::{Mark, Node, Tree};
use crate::nearest::nearest;

/// Reads a type from a tree.
pub(super) fn read<T: for<'de> Deserialize<'de>>(node: &Node) -> Result<T, Misfit> {
    T::deserialize(Typed(node)).map_err(|misfit| misfit.at(node.at))
}

/// What does not fit. The path grows on the way out.
#[derive(Debug)]
pub(super) struct Misfit {
    at: Option<Mark>,
    path: String,
    what: Box<InvalidInput>,
}

impl Misfit {
    fn new(value: &str, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        let (rule, fix) = (rule.into(), fix.into());
        Self {
            at: None,
            path: String::new(),
            what: Box::new(InvalidInput::new("", value, &rule, &fix)),
        }
    }

    fn at(mut self, mark: Mark) -> Self {
        self.at.get_or_insert(mark);
        self
    }

    fn within(mut self, step: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }

    pub(super) fn into_fault(self, file: &str, node: &Node) -> Fault {
        let Self { at, path, mut what } = self;
        if what.field.is_empty() {
            what.field = if path.is_empty() { "the document".to_owned() } else { path };
        }
        match at {
            Some(at) => Fault::new(file, at, *what),
            None => fault::at(file, node, *what),
        }
    }
}

impl From<InvalidInput> for Misfit {
    fn from(what: InvalidInput) -> Self {
        Self { at: None, path: String::new(), what: Box::new(what) }
    }
}

impl Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.what.fmt(f)
    }
}

impl std::error::Error for Misfit {}

fn meant(text: &str, known: &'static [&'static str]) -> String {
    let all = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    match nearest(text, known.iter().copied()) {
        Some(name) => format!("did you mean '{name}'? known: {all}"),
        None => format!("known: {all}"),
    }
}

impl Error for Misfit {
    fn custom<T: Display>(message: T) -> Self {
        Self::new("", message.to_string(), "see docs/reference")
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("", format!("is not {expected}"), "see docs/reference")
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let value = match unexpected {
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            _ => String::new(),
        };
        Self::new(&value, format!("does not fit {expected}"), "give a smaller one")
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(variant, "is unknown", meant(variant, expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(field, "is an unknown field", meant(field, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("", "is required", "add it").within(field)
    }
}

/// A node that is about to get a type.
struct Typed<'a>(&'a Node);

/// What YAML readers take a word without quotes for, when it is not text to all of them.
fn taken_for(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "" | "~" | "null" => return Some("nothing"),
        "true" | "false" | "yes" | "no" | "on" | "off" => return Some("a truth value"),
        ".inf" | "-.inf" | "+.inf" | ".nan" => return Some("a number"),
        _ => {}
    }
    let digits = lower.trim_start_matches(['-', '+']);
    let based = ["0x", "0o", "0b"].iter().any(|prefix| {
        let rest = digits.strip_prefix(prefix);
        rest.is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_')
        })
    });
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let plain = digits.replace('_', "");
    let number = begins && plain.parse::<f64>().is_ok();
    (based || number).then_some("a number")
}

impl<'a> Typed<'a> {
    fn name(&self) -> &'static str {
        match &self.0.tree {
            Tree::Plain(_) if self.0.is_null() => "nothing",
            Tree::Plain(_) | Tree::Text(_) => "text",
            Tree::List(_) => "a list",
            Tree::Map(_) => "a mapping",
        }
    }

    fn value(&self) -> &'a str {
        match &self.0.tree {
            Tree::Plain(text) | Tree::Text(text) => text,
            Tree::List(_) | Tree::Map(_) => "",
        }
    }

    fn refuse(&self, expected: &str, fix: &str) -> Misfit {
        let rule = if self.value().is_empty() || self.0.is_null() {
            format!("is {}, {expected} is expected", self.name())
        } else {
            format!("is not {expected}: {expected} is expected")
        };
        let value = if self.0.is_null() { "" } else { self.value() };
        Misfit::new(value, rule, fix).at(self.0.at)
    }

    fn text(&self) -> Result<&'a str, Misfit> {
        match &self.0.tree {
            Tree::Text(text) => Ok(text),
            Tree::Plain(text) => match taken_for(text) {
                None => Ok(text),
                Some("nothing") => Err(self.refuse("text", "write it, or leave the field away")),
                Some(what) => {
                    let rule = format!("is {what} to YAML, text is expected");
                    let fix = format!("put it in quotes: \"{text}\"");
                    Err(Misfit::new(text, rule, fix).at(self.0.at))
                }
            },
            Tree::List(_) | Tree::Map(_) => Err(self.refuse("text", "write a text")),
        }
    }

    fn whole_number(&self) -> Result<i128, Misfit> {
        let fix = "write it with digits only, such as 30";
        let Tree::Plain(text) = &self.0.tree else {
            return Err(self.refuse("a whole number", fix));
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
            && (digits.len() == 1 || !digits.starts_with('0'));
        match text.parse() {
            Ok(number) if plain => Ok(number),
            Ok(_) | Err(_) => Err(self.refuse("a whole number", fix)),
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            let number = self.whole_number()?;
            let told = if let Ok(number) = u64::try_from(number) {
                visitor.visit_u64(number)
            } else if let Ok(number) = i64::try_from(number) {
                visitor.visit_i64(number)
            } else {
                Err(Misfit::new(self.value(), "is too large", "give a smaller one"))
            };
            told.map_err(|misfit: Misfit| {
                let rule = if number < 0 { "is less than 0" } else { "is too large" };
                Misfit::new(self.value(), rule, "a whole number in the range is expected")
                    .at(misfit.at.unwrap_or(self.0.at))
            })
        }
    )*};
}

impl<'de> Deserializer<'de> for Typed<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.tree {
            Tree::List(_) => self.deserialize_seq(visitor),
            Tree::Map(_) => self.deserialize_map(visitor),
            Tree::Text(text) => visitor.visit_str(text),
            Tree::Plain(_) if self.0.is_null() => visitor.visit_unit(),
            Tree::Plain(text) => match text.as_str() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ if self.whole_number().is_ok() => self.deserialize_i64(visitor),
                text => visitor.visit_str(text),
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.tree {
            Tree::Plain(text) if text == "true" => visitor.visit_bool(true),
            Tree::Plain(text) if text == "false" => visitor.visit_bool(false),
            Tree::Plain(_) | Tree::Text(_) | Tree::List(_) | Tree::Map(_) => {
                Err(self.refuse("true or false", "write true or false"))
            }
        }
    }

    whole_numbers! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.tree {
            Tree::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Tree::Plain(_) | Tree::Text(_) | Tree::Map(_) => {
                Err(self.refuse("a list", "begin each item with '- '"))
            }
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.tree {
            Tree::Map(entries) => visitor.visit_map(Entries { entries, next: 0 }),
            Tree::Plain(_) | Tree::Text(_) | Tree::List(_) => {
                Err(self.refuse("a mapping", "write 'field: value' lines below it"))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        // `none` is a mode of ours, and a word that no reader takes for anything else.
        let at = self.0.at;
        let told = visitor.visit_enum(self.text()?.into_deserializer());
        told.map_err(|misfit: Misfit| misfit.at(at))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Items<'a> {
    items: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let told = seed.deserialize(Typed(item));
        told.map(Some).map_err(|misfit| misfit.at(item.at).within(&format!("[{index}]")))
    }
}

struct Entries<'a> {
    entries: &'a [(String, Mark, Node)],
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        let Some((key, at, _)) = self.entries.get(self.next) else { return Ok(None) };
        let told = seed.deserialize(key.as_str().into_deserializer());
        told.map(Some).map_err(|misfit: Misfit| misfit.at(*at))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some((key, _, value)) = self.entries.get(self.next) else {
            return Err(Misfit::custom("has a key without a value"));
        };
        self.next += 1;
        let told = seed.deserialize(Typed(value));
        told.map_err(|misfit| misfit.at(value.at).within(key))
    }
}
