//! What the head of a provider's answer tells beside its status: how much of a subscription is used,
//! until when it is limited, and what time it is there.

use std::time::SystemTime;

use http::HeaderMap;
use midwatch_broker::LimitState;

/// Percent of a limit above which a night may end it.
const NEARLY: u32 = 90;
/// The limits of a subscription, and where an answer says how much of each is used (Anthropic's
/// headers).
const LIMITS: [(&str, &str); 2] = [
    ("5h", "anthropic-ratelimit-unified-5h-utilization"),
    ("7d", "anthropic-ratelimit-unified-7d-utilization"),
];

/// What was told; nothing where nothing was asked, or the provider does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// How much of each limit is used, in percent.
    used: Vec<(&'static str, u32)>,
    /// When the limit that was met resets, seconds since 1970.
    pub(super) resets_at: Option<i64>,
    /// How many seconds the provider's clock is ahead of ours.
    pub(super) ahead: Option<i64>,
}

impl Head {
    /// Reads it; `limit` is what the gateway saw in the whole answer.
    pub(super) fn of(headers: &HeaderMap, limit: Option<LimitState>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let now = now();
        let used = LIMITS.into_iter().filter_map(|(limit, name)| {
            let part: f64 = text(name)?.trim().parse().ok()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped, and nothing is no number of percent"
            )]
            let percent = (part * 100.0).clamp(0.0, 1000.0).round() as u32;
            Some((limit, percent))
        });
        let resets_at = limit
            .and_then(|limit| limit.resets_at)
            .or_else(|| now.checked_add(text("retry-after")?.parse().ok()?));
        let there = text("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let ahead = there.map(|there| there.timestamp().as_second() - now);
        Self { used: used.collect(), resets_at, ahead }
    }

    /// How much is used, in words; nothing where nobody told.
    pub(super) fn used(&self) -> String {
        let said = self.used.iter().map(|(limit, percent)| format!(", {limit} {percent} % used"));
        said.collect()
    }

    /// What is nearly used up.
    pub(super) fn nearly(&self) -> Option<String> {
        let most = self.used.iter().filter(|(_, percent)| *percent > NEARLY);
        let said: Vec<String> =
            most.map(|(limit, percent)| format!("{percent} % of the {limit} limit")).collect();
        (!said.is_empty()).then(|| format!("has used {}", said.join(" and ")))
    }

    /// `until 2026-..`; nothing where nobody told.
    pub(super) fn until(&self) -> String {
        let at = self.resets_at.and_then(|at| jiff::Timestamp::from_second(at).ok());
        at.map_or_else(|| "for now; nobody said until when".to_owned(), |at| format!("until {at}"))
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn head(lines: &[(&'static str, &'static str)], reset: Option<i64>) -> Head {
        let line = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let limit = reset.map(|at| LimitState { reached: true, resets_at: Some(at) });
        Head::of(&lines.iter().map(line).collect(), limit)
    }

    #[test]
    fn what_is_told_is_read_and_odd_words_are_none() {
        let told = head(&[(LIMITS[0].1, "0.42"), (LIMITS[1].1, "0.913")], None);
        assert_eq!(told.used(), ", 5h 42 % used, 7d 91 % used");
        assert_eq!(told.nearly().as_deref(), Some("has used 91 % of the 7d limit"));
        let odd = head(&[(LIMITS[0].1, "much"), ("date", "now"), ("retry-after", "-")], None);
        assert_eq!(odd, Head::default());
        assert_eq!(head(&[(LIMITS[0].1, "0.9")], None).nearly(), None);
    }

    #[test]
    fn a_reset_goes_before_a_pause() {
        let pause = ("retry-after", "60");
        let told = head(&[pause], Some(1_900_000_000));
        assert_eq!(told.until(), "until 2030-03-17T17:46:40Z");
        assert!(head(&[pause], None).resets_at >= Some(now() + 59));
        assert!(head(&[], None).until().contains("nobody said"));
        let date = head(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], None);
        assert!(date.ahead < Some(-900_000_000), "{date:?}");
    }
}
