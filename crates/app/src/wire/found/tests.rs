use std::path::PathBuf;
use std::process::Command;

use midwatch_publish::Git;

use super::*;

struct Place {
    dir: tempfile::TempDir,
    commit: CommitId,
}

impl Place {
    /// A repository with one commit, and a mirror that knows it.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let git = |args: &[&str]| {
            let who = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
            let said = Command::new("git").args(who).args(args).current_dir(&root).output();
            let said = said.unwrap();
            assert!(said.status.success(), "{args:?}: {said:?}");
            String::from_utf8(said.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "-q", "-b", "main", "repo"]);
        git(&["-C", "repo", "commit", "-q", "--allow-empty", "-m", "first"]);
        let commit = CommitId::parse(&git(&["-C", "repo", "rev-parse", "HEAD"])).unwrap();
        let place = Self { dir, commit };
        place.view();
        git(&["-C", "repo", "push", "-q", "../mirror/work.git", "HEAD:refs/heads/kept"]);
        place
    }

    fn view(&self) -> View {
        let (mirror, repo) = (self.dir.path().join("mirror"), self.dir.path().join("repo"));
        let identity = repo.canonicalize().unwrap().join(".git");
        View::open(&Git::find().unwrap(), &mirror, (&repo, &identity), &self.commit).unwrap()
    }

    fn save(&self, name: &str) {
        let work = self.dir.path().join("mirror/work.git");
        let set = ["update-ref", name, self.commit.as_str()];
        assert!(Command::new("git").args(set).current_dir(work).status().unwrap().success());
    }

    /// What a task says whose last rescue is a file.
    fn result(&self) -> (PathBuf, ResultLine) {
        let file = self.dir.path().join("t-2-rescue.bundle");
        std::fs::write(&file, "cut").unwrap();
        let rescue_ref = Some(file.to_str().unwrap().to_owned());
        (file, ResultLine { rescue_ref, ..ResultLine::unknown(Some("t")) })
    }
}

#[test]
fn beside_a_file_the_sound_rescue_of_an_earlier_attempt_is_opened() {
    let place = Place::new();
    let (file, result) = place.result();
    // The control: there is nothing else.
    let refusal = Found::newest(&place.view(), &result).err().unwrap();
    assert!(refusal.message.contains(file.to_str().unwrap()), "{}", refusal.message);
    for name in ["refs/midwatch/checkpoint/t/1", "refs/midwatch/rescue/t/1/snapshot"] {
        place.save(name);
        let found = Found::newest(&place.view(), &result).ok().unwrap();
        assert_eq!(found.commit, place.commit);
        let newer = format!("{name}; what is newer is only in {}", file.display());
        assert_eq!(found.from, newer);
    }
}

#[test]
fn where_only_an_import_is_known_that_is_opened_and_the_file_named() {
    let place = Place::new();
    let (file, mut result) = place.result();
    result.commit = Some(place.commit.as_str().to_owned());
    let found = Found::newest(&place.view(), &result).ok().unwrap();
    assert!(found.from.ends_with(file.to_str().unwrap()), "{}", found.from);
    // A branch holds all.
    result.branch = Some("midwatch/t".into());
    assert_eq!(Found::newest(&place.view(), &result).ok().unwrap().from, "midwatch/t");
}
