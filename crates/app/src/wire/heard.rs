//! What a run's gateway saw of its model, read from the end of its log: the broker that saw it may
//! have been an earlier server's.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use midwatch_broker::Trouble as Seen;
use midwatch_local::access::Trouble;
use serde::Deserialize;

/// How much of the log's end is read, and how many answers count.
const TAIL: u64 = 256 * 1024;
const ANSWERS: usize = 20;

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

/// The last answers, oldest first. A log that is not there holds none.
pub(crate) fn answers(log: &Path) -> Vec<Option<Trouble>> {
    let text = tail(log).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let answers: Vec<_> = lines.filter_map(|line| answer(&line)).collect();
    answers[answers.len().saturating_sub(ANSWERS)..].to_vec()
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

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use midwatch_broker::{Record, Sink as _, TokenCount};

    use super::*;
    use crate::wire::log::RunLog;

    fn record(status: u16, trouble: Option<Seen>) -> Record {
        Record::Answer {
            path: "/v1/messages".into(),
            status,
            tokens: TokenCount::default(),
            limit: None,
            trouble,
            cut: false,
        }
    }

    #[test]
    fn what_was_written_is_read_back_however_long_the_log_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker.jsonl");
        assert!(answers(&path).is_empty());
        let log = RunLog::new(path.clone());
        for _ in 0..5_000 {
            log.record("r", &record(200, None));
        }
        for trouble in Seen::ALL {
            log.record("r", &record(500, Some(trouble)));
        }
        let passed = Record::Passed { target: "x:443".into(), sent: 1, received: 1 };
        log.record("r", &passed);
        let limit = midwatch_broker::LimitState { reached: true, resets_at: Some(7) };
        let Record::Answer { path: asked, status, tokens, trouble, cut, .. } = record(429, None)
        else {
            unreachable!()
        };
        let limit = Some(limit);
        log.record("r", &Record::Answer { path: asked, status, tokens, limit, trouble, cut });
        let found = answers(&path);
        assert_eq!(found.len(), ANSWERS);
        let last = [
            Some(Trouble::Limit(None)),
            Some(Trouble::Login),
            Some(Trouble::Denied),
            Some(Trouble::Down),
            Some(Trouble::Limit(Some(7))),
        ];
        assert_eq!(found[ANSWERS - 5..], last);
        assert!(found[..ANSWERS - 5].iter().all(Option::is_none));
    }
}
