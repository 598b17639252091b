//! What the broker lets through and refuses, as JSON lines in the run's folder.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use midwatch_broker::{Door, Record, Refusal, Sink, Trouble};
use serde_json::{Value, json};

/// Appends one line per record.
pub(crate) struct RunLog {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl RunLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::default() }
    }

    fn append(&self, line: &Value) -> std::io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            // The run's folder is made by whoever starts the run; a first record comes later.
            let opened = File::options().create(true).append(true).mode(0o600).open(&self.path)?;
            *file = Some(opened);
        }
        match file.as_mut() {
            Some(file) => file.write_all(format!("{line}\n").as_bytes()),
            None => Ok(()),
        }
    }
}

impl Sink for RunLog {
    fn record(&self, run: &str, record: &Record) {
        let what = match record {
            Record::Answer { .. } => "Answer",
            Record::Passed { .. } => "Passed",
            Record::Refused(_) => "Refused",
        };
        super::crash::point("before-heard", what);
        if let Err(error) = self.append(&line(record)) {
            tracing::warn!(run, %error, "a broker record was not written");
        }
        super::crash::point("after-heard", what);
    }
}

fn line(record: &Record) -> Value {
    let at = jiff::Timestamp::now().to_string();
    match record {
        Record::Answer { path, status, tokens, limit, trouble, cut } => json!({
            "at": at, "type": "answer", "path": path, "status": status,
            "inputTokens": tokens.input, "outputTokens": tokens.output,
            "limitReached": limit.as_ref().map(|limit| limit.reached),
            "resetsAt": limit.as_ref().and_then(|limit| limit.resets_at),
            "trouble": trouble.map(Trouble::as_str), "cut": cut,
        }),
        Record::Passed { target, sent, received } => json!({
            "at": at, "type": "passed", "target": target, "sent": sent, "received": received,
        }),
        Record::Refused(refusal) => json!({
            "at": at, "type": "refused", "door": refusal.door.as_str(),
            "reason": refusal.reason.as_str(), "target": refusal.target, "text": refusal.message,
            "trouble": of_gateway(refusal).map(Trouble::as_str),
        }),
    }
}

/// What the egress proxy refuses is not the provider's.
fn of_gateway(refusal: &Refusal) -> Option<Trouble> {
    match refusal.door {
        Door::Gateway => Trouble::of_refusal(refusal.reason),
        Door::Proxy => None,
    }
}
