//! Modules of a repository, named as those that aider or Python itself imports, stay unread.

use midwatch_agents::adapter;
use midwatch_core::agent::{AgentCommand, AgentOrder, AgentOutcome, Session};
use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::script::Script;

use super::{LIMIT, place, server};
use crate::drive::Place;

/// What Python, aider and what aider imports would all look for, and aider itself.
const NAMES: [&str; 6] = [
    "argparse.py",
    "json.py",
    "sitecustomize.py",
    "usercustomize.py",
    "openai.py",
    "aider/__init__.py",
];

/// Each says that it was imported, and claims to be an aider.
fn plant(folder: &std::path::Path) {
    let text = "open('/workspace/imported', 'a').write(__name__ + '\\n')\n__version__ = '6.6.6'\n";
    std::fs::create_dir_all(folder.join("aider")).unwrap();
    for name in NAMES {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// What keeps the work folder and the environment out of what is imported.
fn without_ours(made: &mut AgentCommand) {
    let isolated = made.argv.iter_mut().find(|word| word.contains(" -I "));
    let isolated = isolated.expect("an interpreter that is told to import nothing from here");
    *isolated = isolated.replace(" -I ", " ");
}

/// Asks for the version, as the self-test before each run does.
fn version(place: &Place, order: &AgentOrder) -> std::process::Output {
    let adapter = adapter(order.kind);
    let mut made = adapter.command(order).unwrap();
    made.argv.truncate(1);
    made.argv.extend(adapter.version_args(order));
    if let Some(without) = place.without {
        without(&mut made);
    }
    place.wrapped(&place.with_env(&made.env, made.argv)).output().unwrap()
}

#[test]
fn a_module_of_the_repository_does_not_speak_for_aider() {
    let Some(mut place) = place(Cli::Aider) else { return };
    let server = server(|_| Script::saying("Done.").write("note.txt", "x\n"));
    let mut order = place.order(&server.url(), "Go.");
    plant(&place.workspace());
    let imported = place.workspace().join("imported");
    let pinned = format!("aider {}\n", Cli::Aider.pinned());

    let asked = version(&place, &order);
    assert_eq!(String::from_utf8_lossy(&asked.stdout), pinned, "{asked:?}");
    // A project that finds its own modules by a variable is an ordinary one.
    place.extra = vec![("PYTHONPATH", "/workspace")];
    let asked = version(&place, &order);
    assert_eq!(String::from_utf8_lossy(&asked.stdout), pinned, "{asked:?}");
    let done = place.run(&order, LIMIT);
    assert_eq!(done.outcome, Some(AgentOutcome::Completed), "{done:?}");
    assert!(place.workspace().join("note.txt").exists(), "nothing was done");
    assert!(!imported.exists(), "{:?}", std::fs::read_to_string(&imported));

    // The control: the same modules speak where nothing is held back.
    place.without = Some(without_ours);
    order.session = Session::Fresh { id: "66666666-2222-4333-8444-555555555555".into() };
    let done = place.run(&order, LIMIT);
    assert_ne!(done.outcome, Some(AgentOutcome::Completed), "{done:?}");
    assert!(std::fs::read_to_string(&imported).unwrap().contains("aider\n"), "{done:?}");
    std::fs::remove_file(&imported).unwrap();
    place.extra.clear();
    let asked = version(&place, &order);
    assert!(imported.exists(), "the work folder is not imported from: {asked:?}");
    assert_ne!(String::from_utf8_lossy(&asked.stdout), pinned);
}
