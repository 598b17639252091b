//! Durations that people write.

use midwatch_core::input::InvalidInput;

/// The shortest wall clock of a run, in seconds.
const LEAST: u64 = 10;
/// The longest, in seconds: a day.
const MOST: u64 = 86_400;

/// Reads `90s`, `30m`, `2h`, `1d` as seconds, between ten seconds and a day.
pub fn parse(field: &str, text: &str) -> Result<u64, InvalidInput> {
    let bad = |rule: &str| {
        InvalidInput::new(field, text, rule, "give a duration such as 30m, from 10s to 24h")
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(bad("is no duration"));
    }
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "" => return Err(bad("has no unit")),
        _ => return Err(bad("is no duration")),
    };
    // Too many digits for a number are too many for a day.
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
    match total {
        Some(total) if (LEAST..=MOST).contains(&total) => Ok(total),
        Some(_) | None => Err(bad("is not 10s to 24h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_a_range() {
        for (text, seconds) in [("10s", 10), ("30m", 1800), ("24h", 86_400), ("1d", 86_400)] {
            assert_eq!(parse("--timeout", text), Ok(seconds));
        }
        for bad in [
            "",
            "0",
            "-1",
            "-1s",
            "9s",
            "25h",
            "1ns",
            "1000000000000h",
            "NaN",
            "soon",
            "30",
            "1.5h",
            "m",
            "99999999999999999999999s",
        ] {
            let error = parse("--timeout", bad).unwrap_err().to_string();
            assert!(error.contains("30m"), "{bad}: {error}");
        }
    }
}
