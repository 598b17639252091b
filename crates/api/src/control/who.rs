//! Who decides, as it is told to others: one short line, whatever a client says.

use midwatch_core::input::shown;
use serde::{Deserialize, Deserializer};

pub(super) fn one_line<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    String::deserialize(reader).map(|by| shown(&by))
}

#[cfg(test)]
mod tests {
    use crate::control::{Command, PauseAll};

    #[test]
    fn a_name_is_one_short_line_and_a_plain_one_stays() {
        let read = |by: &str| -> PauseAll {
            serde_json::from_value(serde_json::json!({"paused": true, "by": by})).unwrap()
        };
        assert_eq!(read("ann (uid 1000)").by, "ann (uid 1000)");
        let long = read(&format!("\u{1b}[2J{}", "x".repeat(100_000))).by;
        assert!(long.starts_with("\\u{1b}[2Jxx") && long.chars().count() < 100, "{long}");
        let cancel: Command =
            serde_json::from_str(r#"{"verb":"cancel","by":"a\nb\u202e"}"#).unwrap();
        assert_eq!(cancel, Command::Cancel { by: "a\\nb\\u{202e}".into() });
    }
}
