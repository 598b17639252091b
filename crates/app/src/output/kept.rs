//! Work that is only in a run's workspace, in sentences.

use midwatch_api::report::{LeftOut, MORE};
use midwatch_api::view::{KeptWork, ResultLine};

use super::quantity::size;

/// A sentence for each workspace that stays because of what only it holds. Not escaped.
pub(crate) fn sentences(result: &ResultLine) -> Vec<String> {
    result.kept.iter().map(sentence).collect()
}

fn sentence(work: &KeptWork) -> String {
    let KeptWork { run, folder, files } = work;
    if files.is_empty() {
        return format!("the work of {run} could not be saved: it stays in {folder}");
    }
    let told: Vec<String> = files.iter().map(file).collect();
    let told = told.join(", ");
    if files.len() == 1 && files[0].path != MORE {
        return format!("{told} is in no commit, and stays in {folder} until you take it away");
    }
    format!("{told} are in no commit, and stay in {folder} until you take them away")
}

fn file(file: &LeftOut) -> String {
    if file.path == MORE {
        return "and more that is not named".to_owned();
    }
    let bytes = if file.bytes > 0 { size(file.bytes) } else { "a folder, or empty".to_owned() };
    format!("{} ({bytes})", file.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_with_their_size_and_their_place() {
        let files = vec![
            LeftOut { path: "core".into(), bytes: 300 << 20 },
            LeftOut { path: "clone".into(), bytes: 0 },
        ];
        let work = KeptWork { run: "t-implement-4".into(), folder: "/s/upper".into(), files };
        let told = sentence(&work);
        assert!(
            told.starts_with("core (300 MiB), clone (a folder, or empty) are in no commit"),
            "{told}"
        );
        assert!(told.contains("/s/upper"), "{told}");
        let one = KeptWork { files: work.files[..1].to_vec(), ..work.clone() };
        assert!(sentence(&one).ends_with("stays in /s/upper until you take it away"));
        let more = LeftOut { path: MORE.into(), bytes: 0 };
        let told = sentence(&KeptWork { files: vec![work.files[0].clone(), more], ..work.clone() });
        assert!(told.starts_with("core (300 MiB), and more that is not named are in no"), "{told}");
        let told = sentence(&KeptWork { files: vec![], ..work });
        assert_eq!(told, "the work of t-implement-4 could not be saved: it stays in /s/upper");
    }
}
