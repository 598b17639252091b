//! A custom agent that does what its prompt says: see the head of `scripted_agent.sh` for the
//! actions. Plain sh, so that it runs in any sandbox that has a shell.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The program's text.
pub const PROGRAM: &str = include_str!("scripted_agent.sh");

/// Writes the program into a folder as `scripted-agent`, executable by everybody.
///
/// # Errors
/// The folder cannot be written.
pub fn install(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("scripted-agent");
    std::fs::write(&path, PROGRAM)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Output, Stdio};

    use super::*;

    fn run(prompt: &str) -> (tempfile::TempDir, Output) {
        let folder = tempfile::tempdir().unwrap();
        let program = install(folder.path()).unwrap();
        let mut child = Command::new("sh")
            .arg(program)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (folder, output)
    }

    #[test]
    fn it_does_the_lines_of_its_step_and_round_only() {
        let (folder, output) = run(
            "Please:\ndo: write a/b.txt one: two\n> do@review: write c no\n  do@repair: say hi there\n\
             do@repair/1: write d no\ndo@repair/2: append a/b.txt three\nmidwatch-step: repair round: 2\n",
        );
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout, b"hi there\n");
        let text = std::fs::read_to_string(folder.path().join("a/b.txt")).unwrap();
        assert_eq!(text, "one: two\nthree\n");
        assert!(!folder.path().join("c").exists() && !folder.path().join("d").exists());
    }

    #[test]
    fn it_floods_ends_and_refuses_what_it_does_not_know() {
        let (_folder, output) = run("do: flood 1000\ndo: exit 7\ndo: say no\n");
        assert_eq!((output.stdout.len(), output.status.code()), (1000, Some(7)));
        assert_eq!(run("do: dance\n").1.status.code(), Some(64));
        assert_eq!(run("nothing here\n").1.status.code(), Some(64));
    }
}
