//! What is said to an agent: a word of the command line, a file, or standard input.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use midwatch_api::task::{GOAL_MAX, Spoken};

use crate::environment::Environment;
use crate::problem::Problem;

/// The flag that names a file, and how it is said without one.
const fn words_of(what: Spoken) -> (&'static str, &'static str) {
    match what {
        Spoken::Goal => ("--goal-file", "say what you want: midwatch run \"make the tests pass\""),
        Spoken::Message => {
            ("--file", "say it: midwatch message TASK \"keep the old name as an alias\"")
        }
    }
}

/// Reads a goal or message; exactly one of the two must be given.
pub(super) fn read(
    what: Spoken,
    environment: &Environment,
    words: Option<&OsStr>,
    file: Option<&Path>,
) -> Result<String, Problem> {
    let (name, (flag, say)) = (what.as_str(), words_of(what));
    let bytes = match (words, file) {
        (Some(words), None) => words.as_bytes().to_vec(),
        (None, Some(file)) if file == Path::new("-") => {
            bounded(what, &mut std::io::stdin().lock(), "-")?
        }
        (None, Some(file)) => {
            let path = environment.folder().join(file);
            let shown = path.to_string_lossy();
            let opened = std::fs::File::open(&path);
            let mut opened = opened.map_err(|error| unreadable(flag, &shown, &error))?;
            bounded(what, &mut opened, &shown)?
        }
        (Some(_), Some(_)) => {
            let rule = format!("cannot be given beside a {name}");
            return Err(Problem::usage(flag, "", &rule, "give one of the two"));
        }
        (None, None) => return Err(Problem::usage(name, "", "is required", say)),
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::usage(name, "", &format!("is not UTF-8 at byte {at}"), "save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
    what.check(&text)?;
    Ok(text)
}

/// Reads no more than is allowed, and one byte that tells.
fn bounded(what: Spoken, source: &mut impl std::io::Read, file: &str) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let most = u64::try_from(GOAL_MAX).unwrap_or(u64::MAX) + 1;
    let read = source.take(most).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(words_of(what).0, file, &error))?;
    if bytes.len() > GOAL_MAX {
        let rule = format!("has over {GOAL_MAX} bytes");
        return Err(Problem::usage(what.as_str(), "", &rule, what.shorten()));
    }
    Ok(bytes)
}

fn unreadable(flag: &str, file: &str, error: &std::io::Error) -> Problem {
    let fix = "give a text file, or - for standard input";
    Problem::usage(flag, file, &format!("cannot be read ({error})"), fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::tests::environment;

    #[test]
    fn odd_goals_say_what_is_wrong_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path(), &[]);
        let read = |words: Option<&OsStr>, file: Option<&Path>| {
            read(Spoken::Goal, &environment, words, file)
        };
        let of = |bytes: &[u8]| read(Some(OsStr::from_bytes(bytes)), None);
        assert_eq!(of(b"\xef\xbb\xbfmend {{x}} it").unwrap(), "mend {{x}} it");
        for (bytes, word) in [
            (&b""[..], "required"),
            (b" \n\t", "required"),
            (b"abc\xff", "byte 3"),
            (&vec![b'x'; GOAL_MAX + 1], "262144"),
        ] {
            let problem = of(bytes).unwrap_err();
            assert!(problem.exit == 2 && problem.message.contains(word), "{problem:?}");
        }
        let file = folder.path().join("goal.txt");
        for (bytes, word) in [(vec![b'x'; 10 << 20], "262144"), (b"a\0b".to_vec(), "byte 1")] {
            std::fs::write(&file, bytes).unwrap();
            let problem = read(None, Some(&file)).unwrap_err();
            assert!(problem.message.contains(word), "{problem:?}");
        }
        std::fs::write(&file, "a goal\n").unwrap();
        assert_eq!(read(None, Some(Path::new("goal.txt"))).unwrap(), "a goal\n");
        assert!(read(None, Some(folder.path())).is_err());
        assert!(read(None, None).is_err());
        assert!(read(Some(OsStr::new("x")), Some(&file)).is_err());
    }

    #[test]
    fn a_message_is_spoken_of_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path(), &[]);
        let long = "x".repeat(GOAL_MAX + 1);
        let file = folder.path().join("long");
        std::fs::write(&file, &long).unwrap();
        let nowhere = folder.path().join("nowhere");
        for (words, file, says) in [
            (None, None, "message is required; say it: midwatch message TASK"),
            (Some(" "), None, "message is required"),
            (Some("a\0b"), None, "message holds a NUL"),
            (Some(&*long), None, "message has 262145 bytes"),
            (None, Some(&file), "message has over 262144 bytes"),
            (None, Some(&nowhere), "--file"),
            (Some("x"), Some(&file), "--file cannot be given beside a message"),
        ] {
            let words = words.map(OsStr::new);
            let file = file.map(std::path::PathBuf::as_path);
            let problem = read(Spoken::Message, &environment, words, file).unwrap_err();
            assert!(problem.message.starts_with(says), "{problem:?}");
            assert!(!problem.message.contains("goal"), "{problem:?}");
        }
    }
}
