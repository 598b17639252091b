//! "Did you mean ...": the nearest of some names.

/// The name that differs by the fewest letters, when that is at most a third of it; the first
/// word of a name stands for it.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let forms = names.into_iter().flat_map(|name| {
        let first = name.split('-').next().unwrap_or(name);
        [(name, name), (first, name)]
    });
    let measured = forms.map(|(form, name)| (distance(text, form), form.len(), name));
    let (far, length, name) = measured.min()?;
    (far <= length.div_ceil(3)).then_some(name)
}

/// Sentences for an unknown name: what is known, and what may have been meant.
pub fn known(text: &str, names: &[String]) -> String {
    let all = names.join(", ");
    match nearest(text, names.iter().map(String::as_str)) {
        Some(name) => format!("did you mean {name}? known: {all}"),
        None => format!("known: {all}"),
    }
}

/// Letters to put in, take out or change.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["claude-code", "codex", "custom"];
        assert_eq!(nearest("cladue-code", names), Some("claude-code"));
        assert_eq!(nearest("codx", names), Some("codex"));
        assert_eq!(nearest("cladue", names), Some("claude-code"));
        assert_eq!(nearest("claude", names), Some("claude-code"));
        assert_eq!(nearest("vim", names), None);
    }
}
