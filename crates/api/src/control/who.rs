//! Who decides, as it is told to others.

use midwatch_core::input::one_line;
use serde::{Deserialize, Deserializer, Serialize};

/// Who decides: one short line, whatever a client says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Who(String);

impl Who {
    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Who {
    fn from(by: &str) -> Self {
        Self(one_line(by))
    }
}

impl From<Who> for String {
    fn from(who: Who) -> Self {
        who.0
    }
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        String::deserialize(reader).map(|by| Self::from(&*by))
    }
}

#[cfg(test)]
mod tests {
    use crate::control::{Command, PauseAll};

    #[test]
    fn a_name_is_one_short_line_and_a_plain_one_stays() {
        let read = |by: &str| -> String {
            let told = serde_json::json!({"paused": true, "by": by});
            serde_json::from_value::<PauseAll>(told).unwrap().by.into()
        };
        for plain in ["ann (uid 1000)", r"CORP\ann (uid 1000)"] {
            assert_eq!(read(plain), plain);
            assert_eq!(read(&read(plain)), plain, "however often it is read");
        }
        let long = read(&format!("\u{1b}[2J{}", "x".repeat(100_000)));
        assert!(long.starts_with("\\u{1b}[2Jxx") && long.chars().count() < 100, "{long}");
        let cancel: Command =
            serde_json::from_str(r#"{"verb":"cancel","by":"a\nb\u202e"}"#).unwrap();
        assert_eq!(cancel, Command::Cancel { by: "a\\nb\\u{202e}".into() });
    }
}
