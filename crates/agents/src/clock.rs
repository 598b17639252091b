//! Reset times that a CLI prints as prose in its local time, which is UTC because the sandbox
//! says so. What does not parse is not guessed.

const DAY: i64 = 86_400;

/// Finds a time after `mark`: `1:35 PM`, `1pm`, or `Nov 22nd, 2026 1:35 PM`. A bare time of
/// day is the next one after `now`.
pub(crate) fn after(text: &str, mark: &str, now: i64) -> Option<i64> {
    let start = text.find(mark)? + mark.len();
    let rest = text[start..].trim_start();
    let mut words = rest.split_whitespace();
    let first = words.next()?;
    if let Some(month) = month(first) {
        let day = leading_number(words.next()?)?;
        let year = leading_number(words.next()?)?;
        let days = days_from_civil(year, month, day)?;
        return Some(days * DAY + time_of_day(words.next()?, words.next())?);
    }
    let seconds = time_of_day(first, words.next())?;
    let today = now - now.rem_euclid(DAY) + seconds;
    Some(if today > now { today } else { today + DAY })
}

/// Seconds since midnight of `1:35 PM`, `1:35pm` or `1pm`. Without a half of the day: nothing,
/// since both would be a guess.
fn time_of_day(word: &str, next: Option<&str>) -> Option<i64> {
    let word = word.trim_end_matches(['.', ',']).to_ascii_lowercase();
    let (digits, half) = match word.find(['a', 'p']) {
        Some(at) => (&word[..at], word[at..].to_owned()),
        None => (word.as_str(), next?.trim_end_matches(['.', ',', ')']).to_ascii_lowercase()),
    };
    let (hour, minute) = digits.split_once(':').unwrap_or((digits, "0"));
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    if !(1..=12).contains(&hour) || !(0..60).contains(&minute) {
        return None;
    }
    let noon = match half.as_str() {
        "am" => 0,
        "pm" => 12,
        _ => return None,
    };
    Some((hour % 12 + noon) * 3600 + minute * 60)
}

fn month(word: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = word.get(..3)?.to_ascii_lowercase();
    (1..).zip(MONTHS).find_map(|(number, name)| (name == start).then_some(number))
}

/// `22nd,` is 22.
fn leading_number(word: &str) -> Option<i64> {
    let end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    word[..end].parse().ok()
}

/// Days since 1970-01-01 of a date in the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March, so that the odd day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 15:00:00 UTC.
    const NOW: i64 = 1_795_273_200;

    #[test]
    fn prose_times_are_read_and_never_guessed() {
        let at = |text: &str| after(text, "try again at ", NOW);
        assert_eq!(at("Please try again at 4:30 PM."), Some(NOW + 5400));
        assert_eq!(at("try again at 3:00 PM."), Some(NOW + DAY));
        assert_eq!(at("try again at 12:00 AM."), Some(NOW + 9 * 3600));
        assert_eq!(at("try again at Nov 22nd, 2026 3:00 PM."), Some(NOW + DAY));
        assert_eq!(at("try again at Jan 1st, 2027 12:05 AM."), Some(1_798_761_900));
        assert_eq!(after("resets 4:30pm (UTC)", "resets ", NOW), Some(NOW + 5400));
        assert_eq!(after("resets 4pm (UTC)", "resets ", NOW), Some(NOW + 3600));
        for text in [
            "try again at noon",
            "try again at 4:30",
            "try again at 99:99 PM",
            "later",
            "try again at ",
            "try again at Nov 99th, 2026 1:00 PM",
            "try again at ééé",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
