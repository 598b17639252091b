//! The lines of a log as a person sees them: no colours, no overwritten progress.

/// The longest part of a line that is read, in bytes. A runner's own lines are short.
const MAX_LINE: usize = 16 * 1024;

/// The visible lines: what follows the last carriage return, cut, colours and control
/// characters other than tabs taken out.
pub(super) fn lines(output: &str) -> impl Iterator<Item = String> {
    output.split('\n').map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = line.rsplit('\r').next().unwrap_or(line);
        let mut end = line.len().min(MAX_LINE);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        visible(&line[..end])
    })
}

/// Text without terminal sequences (ECMA-48: CSI and OSC, others as two characters).
fn visible(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => match rest.next() {
                Some('[') => skip_csi(&mut rest),
                Some(']') => skip_osc(&mut rest),
                _ => {}
            },
            '\u{9b}' => skip_csi(&mut rest),
            '\t' => out.push('\t'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn skip_csi(rest: &mut std::str::Chars<'_>) {
    rest.find(|c| ('\x40'..='\x7e').contains(c));
}

fn skip_osc(rest: &mut std::str::Chars<'_>) {
    while let Some(c) = rest.next() {
        if c == '\x07' || (c == '\x1b' && rest.clone().next() == Some('\\')) {
            if c == '\x1b' {
                rest.next();
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_links_and_progress_are_taken_out() {
        let log = "\x1b[1m\x1b[31mFAILED\x1b[0m a\r\nold\rnew\n\x1b]8;;http://x\x1b\\link\x1b]8;;\x07\t\0z\n\u{9b}1mq\n\x1b[";
        let seen: Vec<String> = lines(log).collect();
        assert_eq!(seen, ["FAILED a", "new", "link\tz", "q", ""]);
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let log = "é".repeat(MAX_LINE);
        assert_eq!(lines(&log).next().map(|line| line.len()), Some(MAX_LINE));
    }
}
