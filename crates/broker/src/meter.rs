//! What a run used and what it was refused.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::refusal::Refusal;
use crate::trouble::Trouble;
use crate::usage::TokenCount;

/// How many refusals the totals keep word for word; all are counted, and the sink gets all.
const REFUSALS_KEPT: usize = 100;

/// What a provider says about a subscription's limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitState {
    /// Requests are refused now.
    pub reached: bool,
    /// When the limit resets, in seconds since 1970.
    pub resets_at: Option<i64>,
}

/// One thing that happened, for an append-only log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The provider answered, and the answer has ended.
    Answer {
        /// The path below the base URL.
        path: String,
        /// The provider's status.
        status: u16,
        /// Tokens, as far as the answer told.
        tokens: TokenCount,
        /// What it said about a limit.
        limit: Option<LimitState>,
        /// What kept the provider from answering as asked.
        trouble: Option<Trouble>,
        /// The answer broke off, on either side.
        cut: bool,
    },
    /// The proxy let something through, and it has ended.
    Passed {
        /// Host and port.
        target: String,
        /// Bytes from the sandbox.
        sent: u64,
        /// Bytes to the sandbox.
        received: u64,
    },
    /// Something was refused.
    Refused(Refusal),
}

/// Told of every record as it happens. Called on the broker's threads: it must not block for long.
pub trait Sink: Send + Sync {
    /// Takes one record of a run.
    fn record(&self, run: &str, record: &Record);
}

/// Sums over records. The sums of a run that outlived its server are the sums of its records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Answers of the provider, of any status.
    pub requests: u64,
    /// Tokens.
    pub tokens: TokenCount,
    /// The provider's last status.
    pub last_status: Option<u16>,
    /// What the provider last said about a limit.
    pub limit: Option<LimitState>,
    /// Answers of 400 and above, by status.
    pub errors: BTreeMap<u16, u64>,
    /// Answers that broke off.
    pub cut: u64,
    /// Tunnels and requests that the proxy let through.
    pub passed: u64,
    /// Bytes through the proxy, out of the sandbox.
    pub proxy_sent: u64,
    /// Bytes through the proxy, into the sandbox.
    pub proxy_received: u64,
    /// Refusals of both sockets.
    pub refused: u64,
    /// The last 100 refusals.
    pub refusals: VecDeque<Refusal>,
}

impl Totals {
    /// Adds one record.
    pub fn add(&mut self, record: &Record) {
        match record {
            Record::Answer { path: _, status, tokens, limit, trouble: _, cut } => {
                self.requests += 1;
                self.tokens.add(*tokens);
                self.last_status = Some(*status);
                if limit.is_some() {
                    self.limit.clone_from(limit);
                }
                if *status >= 400 {
                    *self.errors.entry(*status).or_default() += 1;
                }
                self.cut += u64::from(*cut);
            }
            Record::Passed { target: _, sent, received } => {
                self.passed += 1;
                self.proxy_sent = self.proxy_sent.saturating_add(*sent);
                self.proxy_received = self.proxy_received.saturating_add(*received);
            }
            Record::Refused(refusal) => {
                self.refused += 1;
                if self.refusals.len() == REFUSALS_KEPT {
                    self.refusals.pop_front();
                }
                self.refusals.push_back(refusal.clone());
            }
        }
    }
}

/// The totals of an open run, shared by its connections.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Totals>);

impl Meter {
    pub(crate) fn add(&self, record: &Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(record);
    }

    pub(crate) fn totals(&self) -> Totals {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests and tokens so far, for the caps.
    pub(crate) fn spent(&self) -> (u64, u64) {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (totals.requests, totals.tokens.input.saturating_add(totals.tokens.output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::{Door, RefusalReason};

    #[test]
    fn refusals_are_all_counted_and_a_bounded_number_kept() {
        let mut totals = Totals::default();
        for n in 0..250 {
            let refusal = Refusal::new(Door::Proxy, RefusalReason::Port, &n.to_string(), "no");
            totals.add(&Record::Refused(refusal));
        }
        assert_eq!((totals.refused, totals.refusals.len()), (250, REFUSALS_KEPT));
        assert_eq!(totals.refusals[0].target, "150");
    }
}
