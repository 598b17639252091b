//! What a run's gateway saw of its model, read from its log: the broker that saw it may have been an
//! earlier server's.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use midwatch_broker::Trouble as Seen;
use midwatch_local::access::{Heard, Trouble};
use serde::Deserialize;

/// A line of the log, as far as it tells of answers. Those of other releases may lack a field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    r#type: String,
    #[serde(default)]
    limit_reached: Option<bool>,
    #[serde(default)]
    resets_at: Option<i64>,
    #[serde(default)]
    trouble: Option<String>,
}

/// Takes in every answer of a log, one line at a time. One that is not there holds none.
pub(crate) fn read(heard: &mut Heard, log: &Path) -> io::Result<()> {
    let mut lines = match File::open(log) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        // A line that a crash cut off is none.
        if let Some(answer) =
            serde_json::from_slice::<Line>(&line).ok().and_then(|line| answer(&line))
        {
            heard.take(answer);
        }
        line.clear();
    }
    Ok(())
}

/// None where it is no answer.
#[expect(clippy::option_option, reason = "an answer with or without trouble, or none at all")]
fn answer(line: &Line) -> Option<Option<Trouble>> {
    let named = line.trouble.as_deref();
    let seen = named.and_then(|name| Seen::ALL.into_iter().find(|one| one.as_str() == name));
    let trouble = match seen {
        _ if line.limit_reached == Some(true) => Some(Trouble::Limit(line.resets_at)),
        Some(Seen::Limit) => Some(Trouble::Limit(None)),
        Some(Seen::Login) => Some(Trouble::Login),
        Some(Seen::Denied) => Some(Trouble::Denied),
        Some(Seen::Down) => Some(Trouble::Down),
        None => None,
    };
    match line.r#type.as_str() {
        "answer" => Some(trouble),
        // What was asked wrong was asked of us.
        "refused" => trouble.map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use midwatch_broker::{LimitState, Record, Sink as _, TokenCount};
    use midwatch_local::access::Limit;

    use super::*;
    use crate::wire::log::RunLog;

    fn record(status: u16, limit: Option<LimitState>, trouble: Option<Seen>) -> Record {
        let (path, tokens) = ("/v1/messages".into(), TokenCount::default());
        Record::Answer { path, status, tokens, limit, trouble, cut: false }
    }

    fn heard(log: &Path) -> Heard {
        let mut heard = Heard::default();
        read(&mut heard, log).unwrap();
        heard
    }

    #[test]
    fn what_was_written_is_read_back_however_long_the_log_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker.jsonl");
        assert_eq!(heard(&path), Heard::default());
        let log = RunLog::new(path.clone());
        let limit = LimitState { reached: true, resets_at: Some(7) };
        log.record("r", &record(429, Some(limit), Some(Seen::Limit)));
        let limit = Some(Limit { resets_at: Some(7) });
        let last = Some(Trouble::Limit(Some(7)));
        assert_eq!(heard(&path), Heard { limit, last, ..Heard::default() });
        for _ in 0..5_000 {
            log.record("r", &record(200, None, None));
        }
        let passed = Record::Passed { target: "x:443".into(), sent: 1, received: 1 };
        log.record("r", &passed);
        assert_eq!(heard(&path), Heard { limit, ..Heard::default() });
        for (seen, last, rejected) in [
            (Seen::Down, Trouble::Down, false),
            (Seen::Denied, Trouble::Denied, true),
            (Seen::Login, Trouble::Login, true),
        ] {
            log.record("r", &record(500, None, Some(seen)));
            let expected = Heard { limit, rejected, last: Some(last), whole: false };
            assert_eq!(heard(&path), expected, "{seen:?}");
        }
        log.record("r", &record(429, None, Some(Seen::Limit)));
        assert_eq!(heard(&path).limit, Some(Limit { resets_at: None }));
    }
}
