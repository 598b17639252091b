//! A plan that somebody approves: named by a digest of all that was shown of it, so that an
//! approval is of that plan and of no later one.

use crate::event::Question;
use crate::sha256;

/// The digest of a plan and of the questions that were asked with it.
pub fn digest(plan: &str, questions: &[Asked]) -> String {
    let mut text = Vec::new();
    let mut field = |value: &str| {
        // A length before each field: no two plans run together to the same bytes.
        text.extend((value.len() as u64).to_be_bytes());
        text.extend(value.as_bytes());
    };
    field(plan);
    for Asked { question, .. } in questions {
        field(&question.id);
        field(&question.text);
        field(&question.choices.len().to_string());
        for choice in &question.choices {
            field(choice);
        }
    }
    sha256::hex(&text)
}

/// What becomes of questions that an agent asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Questions {
    /// The task is held until somebody answers.
    Ask,
    /// The agent is told that nobody answers, and decides.
    #[default]
    Proceed,
}

/// A question that was asked, and what somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// The choice and who made it.
    pub answer: Option<(String, String)>,
}

impl Asked {
    /// Takes questions as an agent asked them; of two with one id the first counts.
    pub fn all<'a>(questions: impl Iterator<Item = &'a Question>) -> Vec<Self> {
        let mut asked: Vec<Self> = Vec::new();
        for question in questions {
            if asked.iter().all(|other| other.question.id != question.id) {
                asked.push(Self { question: question.clone(), answer: None });
            }
        }
        asked
    }

    /// Whether somebody may answer it with that.
    pub fn takes(&self, choice: &str) -> bool {
        let choices = &self.question.choices;
        if choices.is_empty() {
            !choice.trim().is_empty()
        } else {
            choices.iter().any(|one| one == choice)
        }
    }

    /// The question in a line: id, text, choices. In one line, whatever the agent wrote: a second
    /// one would look like ours.
    pub fn line(&self) -> String {
        let Question { id, text, choices } = &self.question;
        let line = if choices.is_empty() {
            format!("{id}: {text}")
        } else {
            format!("{id}: {text} ({})", choices.join(" | "))
        };
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(id: &str, choices: &[&str]) -> Asked {
        let choices = choices.iter().map(|choice| (*choice).to_owned()).collect();
        let question = Question { id: id.to_owned(), text: "which".to_owned(), choices };
        Asked { question, answer: None }
    }

    #[test]
    fn a_question_is_told_in_one_line() {
        let mut asked = asked("db", &["x\ny", "z"]);
        asked.question.text = "which?\nnext:  midwatch approve it\u{2028}now\r".to_owned();
        assert_eq!(asked.line(), "db: which? next: midwatch approve it now (x y | z)");
    }

    #[test]
    fn a_digest_is_of_all_that_was_shown_and_not_of_the_answers() {
        let one = digest("plan", &[asked("a", &["x", "y"])]);
        for (plan, questions) in [
            ("plan2", vec![asked("a", &["x", "y"])]),
            ("plan", vec![]),
            ("plan", vec![asked("b", &["x", "y"])]),
            ("plan", vec![asked("a", &["x"])]),
            ("plan", vec![asked("a", &["xy"])]),
            ("plan", vec![asked("a", &["x", "y"]), asked("c", &[])]),
        ] {
            assert_ne!(one, digest(plan, &questions), "{plan} {questions:?}");
        }
        let mut answered = asked("a", &["x", "y"]);
        answered.answer = Some(("x".to_owned(), "me".to_owned()));
        assert_eq!(one, digest("plan", &[answered]));
    }

    #[test]
    fn answers_are_choices_or_text() {
        assert!(asked("a", &["x"]).takes("x") && !asked("a", &["x"]).takes("y"));
        assert!(asked("a", &[]).takes("anything") && !asked("a", &[]).takes(" "));
    }
}
