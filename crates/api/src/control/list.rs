//! Tasks that are asked for, page by page.

use midwatch_core::id::TaskName;
use midwatch_core::input::InvalidInput;
use midwatch_core::task::StateName;
use serde::{Deserialize, Serialize};

use super::TaskView;

/// Tasks that are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ListQuery {
    /// How many at most, 1 to 1000; default 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Goes on after a page: its `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only tasks in these states, joined by commas; `Waiting` are those of `Running` and `Queued`
    /// that wait for their next attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// What people are shown of a task that waits for its next attempt. For the server it is `Running`,
/// or `Queued` where the pause is a long one.
pub const WAITING: &str = "Waiting";

/// The most tasks of a page.
pub const PAGE_MAX: u32 = 1000;

/// Tasks that are asked for, within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// How many at most.
    pub limit: u32,
    /// Goes on after this task.
    pub after: Option<Cursor>,
    /// Only in these states, or [`WAITING`]; all when empty.
    pub states: Vec<String>,
}

/// A place in the list of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When its task was submitted, milliseconds since 1970.
    pub submitted_ms: i64,
    /// The task's name.
    pub name: String,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.submitted_ms, self.name)
    }
}

impl TryFrom<ListQuery> for Asked {
    type Error = InvalidInput;

    fn try_from(query: ListQuery) -> Result<Self, InvalidInput> {
        let limit = query.limit.unwrap_or(PAGE_MAX);
        if !(1..=PAGE_MAX).contains(&limit) {
            let rule = format!("is not 1 to {PAGE_MAX}");
            let fix = "ask for a page, and go on with its `next`";
            return Err(InvalidInput::new("limit", &limit.to_string(), &rule, fix));
        }
        let after = query.cursor.as_deref().map(cursor).transpose()?;
        let asked = query.state.as_deref().unwrap_or_default();
        let states = asked.split(',').filter(|state| !state.is_empty()).map(state);
        Ok(Self { limit, after, states: states.collect::<Result<_, _>>()? })
    }
}

fn cursor(text: &str) -> Result<Cursor, InvalidInput> {
    let read = text.split_once('.').and_then(|(at, name)| {
        let name = TaskName::parse(name).ok()?.as_str().to_owned();
        Some(Cursor { submitted_ms: at.parse().ok()?, name })
    });
    read.ok_or_else(|| {
        let fix = "copy `next` of the page before, or leave it away";
        InvalidInput::new("cursor", text, "is none of ours", fix)
    })
}

/// Reads the name of a state, or [`WAITING`], in any case.
pub fn state(text: &str) -> Result<String, InvalidInput> {
    let states = StateName::ALL.iter().map(|state| state.as_str());
    let names: Vec<String> = states.chain([WAITING]).map(ToOwned::to_owned).collect();
    let known = names.iter().find(|known| known.eq_ignore_ascii_case(text));
    known.cloned().ok_or_else(|| {
        InvalidInput::new("state", text, "is unknown", &crate::nearest::known(text, &names))
    })
}

impl TaskView {
    /// The state that people are shown; none where it is not known.
    pub fn shown_state(&self) -> Option<&str> {
        let state = self.result.state.as_deref();
        let begun = [StateName::Running, StateName::Queued].map(|state| Some(state.as_str()));
        // With a place it waits for a slot.
        let pauses = self.waiting.as_ref().is_some_and(|waiting| waiting.position.is_none());
        if begun.contains(&state) && pauses { Some(WAITING) } else { state }
    }
}

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskPage {
    /// Newest first.
    pub tasks: Vec<TaskView>,
    /// The cursor of the next page; null when this is the last.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for_within_bounds() {
        let query = |limit, cursor: Option<&str>, state: Option<&str>| {
            let (cursor, state) = (cursor.map(Into::into), state.map(Into::into));
            Asked::try_from(ListQuery { limit, cursor, state }).map_err(|error| error.to_string())
        };
        let asked = query(Some(5), Some("12.fix-login"), Some("held,waiting")).unwrap();
        assert_eq!((asked.limit, asked.states), (5, vec!["Held".to_owned(), "Waiting".to_owned()]));
        assert_eq!(asked.after.unwrap().to_string(), "12.fix-login");
        for (limit, cursor, state, word) in [
            (Some(0), None, None, "limit '0'"),
            (Some(1_000_000_000), None, None, "1 to 1000"),
            (None, Some("x"), None, "cursor 'x'"),
            (None, Some("12.A/B"), None, "cursor"),
            (None, Some("99999999999999999999.a"), None, "cursor"),
            (None, None, Some("Hold"), "did you mean Held"),
            (None, None, Some("Paused"), "NoChange, Failed, Cancelled, Waiting"),
        ] {
            let error = query(limit, cursor, state).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
