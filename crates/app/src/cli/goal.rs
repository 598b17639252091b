//! The goal: a word of the command line, a file, or standard input.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use midwatch_api::task::{GOAL_MAX, check_goal};

use crate::environment::Environment;
use crate::problem::Problem;

/// Reads the goal; exactly one of the two must be given.
pub(super) fn read(
    environment: &Environment,
    words: Option<&OsStr>,
    file: Option<&Path>,
) -> Result<String, Problem> {
    let bytes = match (words, file) {
        (Some(words), None) => words.as_bytes().to_vec(),
        (None, Some(file)) if file == Path::new("-") => bounded(&mut std::io::stdin().lock(), "-")?,
        (None, Some(file)) => {
            let path = environment.folder().join(file);
            let shown = path.to_string_lossy();
            let mut opened = std::fs::File::open(&path).map_err(|error| {
                Problem::usage(
                    "--goal-file",
                    &shown,
                    &format!("cannot be read ({error})"),
                    "give a text file, or - for standard input",
                )
            })?;
            bounded(&mut opened, &shown)?
        }
        (Some(_), Some(_)) => {
            return Err(Problem::usage(
                "--goal-file",
                "",
                "cannot be given beside a goal",
                "give one of the two",
            ));
        }
        (None, None) => {
            return Err(Problem::usage(
                "goal",
                "",
                "is required",
                "say what you want: midwatch run \"make the tests pass\"",
            ));
        }
    };
    let goal = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::usage("goal", "", &format!("is not UTF-8 at byte {at}"), "save it as UTF-8")
    })?;
    let goal = goal.strip_prefix('\u{feff}').unwrap_or(&goal).to_owned();
    check_goal(&goal)?;
    Ok(goal)
}

/// Reads no more than is allowed, and one byte that tells.
fn bounded(source: &mut impl std::io::Read, name: &str) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let most = u64::try_from(GOAL_MAX).unwrap_or(u64::MAX) + 1;
    source.take(most).read_to_end(&mut bytes).map_err(|error| {
        Problem::usage(
            "--goal-file",
            name,
            &format!("cannot be read ({error})"),
            "give a text file, or - for standard input",
        )
    })?;
    if bytes.len() > GOAL_MAX {
        let rule = format!("has over {GOAL_MAX} bytes");
        return Err(Problem::usage(
            "goal",
            "",
            &rule,
            "put the details into a file of the repository and name it in the goal",
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::tests::environment;

    #[test]
    fn odd_goals_say_what_is_wrong_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path(), &[]);
        let of = |bytes: &[u8]| read(&environment, Some(OsStr::from_bytes(bytes)), None);
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
            let problem = read(&environment, None, Some(&file)).unwrap_err();
            assert!(problem.message.contains(word), "{problem:?}");
        }
        std::fs::write(&file, "a goal\n").unwrap();
        assert_eq!(read(&environment, None, Some(Path::new("goal.txt"))).unwrap(), "a goal\n");
        assert!(read(&environment, None, Some(folder.path())).is_err());
        assert!(read(&environment, None, None).is_err());
        assert!(read(&environment, Some(OsStr::new("x")), Some(&file)).is_err());
    }
}
