//! Prompts: a template and the words it may use, put together in one pass. A value that looks
//! like a placeholder is text: nothing is expanded twice.

use crate::input::InvalidInput;

/// The words of a template, written `{{goal}}`.
pub const WORDS: [&str; 7] = ["goal", "plan", "evidence", "review", "base", "round", "questions"];

/// What the words stand for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// What the person asked.
    pub goal: String,
    /// The plan that an earlier step left, or empty.
    pub plan: String,
    /// What the checks said, or empty.
    pub evidence: String,
    /// What the reviewer asked for, or empty.
    pub review: String,
    /// The base's commit id.
    pub base: String,
    /// Counted from 1: how often the step has begun.
    pub round: u32,
    /// What becomes of a question of the agent's, by the profile's choice, or empty.
    pub questions: String,
}

/// Checks that a template uses only known words.
pub fn validate(template: &str) -> Result<(), InvalidInput> {
    render(template, &Values::default()).map(|_| ())
}

/// Fills in a template. `{{#plan}} .. {{/plan}}` stands only when the word is not empty.
pub fn render(template: &str, values: &Values) -> Result<String, InvalidInput> {
    let mut out = String::new();
    let mut rest = template;
    let mut hidden: Option<String> = None;
    while let Some(start) = rest.find("{{") {
        if hidden.is_none() {
            out.push_str(&rest[..start]);
        }
        let after = &rest[start + 2..];
        let Some(end) = after.find("}}") else {
            return Err(fault(&rest[start..], "is not closed by }}"));
        };
        let word = after[..end].trim();
        rest = &after[end + 2..];
        if let Some(section) = word.strip_prefix('#') {
            if value(section, values)?.is_empty() && hidden.is_none() {
                hidden = Some(section.to_owned());
            }
        } else if let Some(section) = word.strip_prefix('/') {
            value(section, values)?;
            if hidden.as_deref() == Some(section) {
                hidden = None;
            }
        } else {
            let text = value(word, values)?;
            if hidden.is_none() {
                out.push_str(&text);
            }
        }
    }
    if let Some(section) = hidden {
        return Err(fault(&section, "is opened and never closed"));
    }
    out.push_str(rest);
    Ok(out)
}

fn value(word: &str, values: &Values) -> Result<String, InvalidInput> {
    Ok(match word {
        "goal" => values.goal.clone(),
        "plan" => values.plan.clone(),
        "evidence" => values.evidence.clone(),
        "review" => values.review.clone(),
        "base" => values.base.clone(),
        "round" => values.round.to_string(),
        "questions" => values.questions.clone(),
        _ => return Err(fault(word, "is no word of a template")),
    })
}

fn fault(word: &str, rule: &str) -> InvalidInput {
    InvalidInput::new("template", word, rule, &format!("use {}", WORDS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_never_expanded_again() {
        let values = Values { goal: "{{plan}} ${x}".into(), plan: "P".into(), ..Values::default() };
        let text = render("A {{goal}} B {{ plan }}{{#review}} R {{review}}{{/review}}.", &values);
        assert_eq!(text.unwrap(), "A {{plan}} ${x} B P.");
    }

    #[test]
    fn unknown_words_and_open_sections_are_refused() {
        for bad in ["{{gaol}}", "{{goal", "{{#plan}}x", "{{#x}}{{/x}}"] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}
