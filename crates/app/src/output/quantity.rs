//! Durations, tokens and money, as short as people say them.

/// `2026-11-21T03:00:00Z`, of milliseconds since 1970; none of a time that no calendar has.
pub(crate) fn moment(milliseconds: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(milliseconds).ok()?;
    Some(format!("{at:.0}"))
}

/// `8s`, `2m 05s`, `1h 02m`.
pub(crate) fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}h {minutes:02}m")
    } else if minutes > 0 {
        format!("{minutes}m {rest:02}s")
    } else if milliseconds > 0 && seconds < 10 {
        format!("{}.{}s", seconds, milliseconds / 100 % 10)
    } else {
        format!("{rest}s")
    }
}

/// `8s`, `3m`, `2h`, `5d`: how long ago something was.
pub(crate) fn age(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `950`, `12.3k`, `4.0M`.
pub(crate) fn tokens(count: u64) -> String {
    if count < 1000 {
        return count.to_string();
    }
    let (tenths, unit) =
        if count < 1_000_000 { (count / 100, "k") } else { (count / 100_000, "M") };
    format!("{}.{}{unit}", tenths / 10, tenths % 10)
}

/// `0 B`, `12 KiB`, `3.4 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes;
    let mut tenths = 0;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024 {
            break;
        }
        (tenths, value, unit) = (value % 1024 * 10 / 1024, value / 1024, next);
    }
    if value >= 10 || unit == "B" {
        format!("{value} {unit}")
    } else {
        format!("{value}.{tenths} {unit}")
    }
}

/// `$0.04`, `$0.0012` below a cent.
pub(crate) fn dollars(amount: f64) -> String {
    if amount > 0.0 && amount < 0.01 { format!("${amount:.4}") } else { format!("${amount:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short() {
        assert_eq!(moment(1_900_000_000_500).as_deref(), Some("2030-03-17T17:46:40Z"));
        assert_eq!(moment(i64::MAX), None);
        let durations = [0, 1500, 59_000, 125_000, 3_720_000].map(duration);
        assert_eq!(durations, ["0s", "1.5s", "59s", "2m 05s", "1h 02m"]);
        assert_eq!([5_000, 200_000, 7_300_000, 432_000_000].map(age), ["5s", "3m", "2h", "5d"]);
        assert_eq!([999, 12_345, 4_000_000].map(tokens), ["999", "12.3k", "4.0M"]);
        assert_eq!([0.0, 0.0012, 1.5].map(dollars), ["$0.00", "$0.0012", "$1.50"]);
    }
}
