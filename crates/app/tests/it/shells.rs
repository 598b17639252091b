//! Completions in the shells that they are for: a command, a flag, and the name of a task.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::house::terminal::terminal;
use crate::house::{House, tell, until, wait};

/// The longest that a shell takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is typed, and what becomes of it.
const TYPED: [(&str, &str); 4] = [
    ("midwatch insta", "install-service"),
    ("midwatch logs --foll", "--follow"),
    ("midwatch get --output js", "json"),
    ("midwatch describe mend-", "mend-me"),
];

/// A user with a task, and the program where a shell finds it.
struct Place {
    house: House,
}

impl Place {
    fn new() -> Self {
        // Nobody who completes starts a server: this one stays.
        let house = House::new().with("MIDWATCH_IDLE_SECONDS", "600").with("TERM", "xterm");
        let bin = house.folder("bin");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_midwatch"), bin.join("midwatch")).unwrap();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
        let house = house.with("PATH", path);
        let repository = house.repository("repo", &[("README", "x\n")]);
        assert_eq!(house.midwatch(&repository, &["pause", "--all"]).code, Some(0));
        let begun = ["--name", "mend-me", "--detach", "--check", "true"];
        assert_eq!(house.run(&repository, "do: write made x", &begun).code, Some(0));
        Self { house }
    }

    /// Writes the script of a shell where its manual wants it.
    fn script(&self, shell: &str, place: &str) -> PathBuf {
        let program = env!("CARGO_BIN_EXE_midwatch");
        let mut command = self.house.command(program, &self.house.home());
        let script = command.args(["completions", shell]).output().unwrap();
        assert!(script.status.success());
        let path = self.house.home().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, script.stdout).unwrap();
        path
    }

    /// What a shell's own script prints; none where there is no such shell.
    fn asked(&self, shell: &str, arguments: &[&str]) -> Option<String> {
        let mut command = self.house.command(shell, &self.house.home());
        let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let Ok(child) = child else {
            tell(&format!("NOT RUN: {shell} is not installed"));
            return None;
        };
        let output = wait(child);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{shell}: {said}");
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[test]
fn bash_completes() {
    let place = Place::new();
    let script = place.script("bash", ".local/share/bash-completion/completions/midwatch");
    // As readline does it: the function that is registered, with the words as they stand.
    let ask = "[ -z \"$1\" ] || . \"$1\"; read -ra COMP_WORDS <<<\"$2\"; COMP_LINE=$2
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_POINT=${#2}
        function=$(complete -p midwatch 2>/dev/null | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        [ -z \"$function\" ] || \"$function\" midwatch \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let complete = |script: &str, typed: &str| {
        place.asked("bash", &["--norc", "--noprofile", "-c", ask, "bash", script, typed])
    };
    for (typed, completed) in TYPED {
        let Some(offered) = complete(script.to_str().unwrap(), typed) else { return };
        assert_eq!(offered.trim(), completed, "{typed}");
        // The control.
        assert_eq!(complete("", typed).unwrap().trim(), "", "{typed}");
    }
}

#[test]
fn fish_completes() {
    let place = Place::new();
    let complete = |typed: &str| {
        let offered = place.asked("fish", &["-c", "complete --do-complete $argv[1]", typed])?;
        // Each with what it means.
        Some(offered.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect())
    };
    let before = TYPED.map(|(typed, _)| complete(typed));
    place.script("fish", ".config/fish/completions/midwatch.fish");
    for ((typed, completed), before) in TYPED.into_iter().zip(before) {
        let Some::<Vec<String>>(before) = before else { return };
        assert!(!before.iter().any(|word| word == completed), "the control: {before:?}");
        assert_eq!(complete(typed).unwrap(), [completed], "{typed}");
    }
}

/// In a terminal, since only its line editor completes. The first line of a session counts, too:
/// there the script is just being loaded.
#[test]
fn zsh_completes() {
    let place = Place::new();
    place.script("zsh", ".zfunc/_midwatch");
    let with = "fpath=(~/.zfunc $fpath)";
    for (typed, completed) in TYPED {
        let Some(line) = in_zsh(&place, with, typed) else { return };
        let kept = typed.rsplit_once(' ').unwrap().0;
        assert_eq!(line.trim_end(), format!("{kept} {completed}"));
        // The control.
        assert_eq!(in_zsh(&place, "", typed).unwrap(), typed);
    }
}

/// What a line is after the key of completion, in a session of its own.
fn in_zsh(place: &Place, before: &str, typed: &str) -> Option<String> {
    let home = place.house.home();
    if place.house.command("zsh", &home).arg("--version").output().is_err() {
        tell("NOT RUN: zsh is not installed");
        return None;
    }
    let file = home.join("said");
    std::fs::write(&file, "").unwrap();
    let said = || std::fs::read_to_string(&file).unwrap();
    let (ours, theirs) = terminal(200);
    let mut keys = ours.keys();
    let mut zsh = place.house.command("setsid", &home);
    zsh.args(["--wait", "--ctty", "zsh", "-f", "-i"]).stdin(theirs.try_clone().unwrap());
    let mut child = zsh.stdout(theirs.try_clone().unwrap()).stderr(theirs).spawn().unwrap();
    drop(zsh);
    let shown = ours.read();
    // A key of its own tells the line as it stands, and ends the session.
    let begin = format!(
        "{before}; autoload -Uz compinit; compinit -u -D; \
         say() {{ print -r -- \"$BUFFER\" >>{file}; BUFFER=exit; zle accept-line }}; \
         zle -N say; bindkey '^X' say; echo ready >>{file}\r",
        file = file.display()
    );
    keys.write_all(begin.as_bytes()).unwrap();
    assert!(until(PATIENCE, || said() == "ready\n"), "zsh does not begin");
    keys.write_all(format!("{typed}\t\x18").as_bytes()).unwrap();
    let ended = until(PATIENCE, || child.try_wait().unwrap().is_some());
    let _ = child.kill();
    let shown = shown.join().unwrap();
    assert!(ended, "zsh does not end: {shown}");
    Some(said().trim_start_matches("ready\n").trim_end_matches('\n').to_owned())
}
