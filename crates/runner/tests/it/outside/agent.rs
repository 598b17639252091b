//! Agents: events, results and claims, and what ends them.

use midwatch_api::report::Ending;

use super::world::{World, as_everyone, read};

#[test]
fn a_custom_agent_works_and_leaves_a_bundle() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("answer.txt", "41\n")]);
        let workspace = world.workspace(&commit);
        let script = "cat > prompt-seen; echo 42 > answer.txt; rm prompt-seen; echo mended";
        let started = world.agent(&workspace, script).start();
        let folder = started.folder.clone();
        let report = started.report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let agent = report.agent.unwrap();
        assert!(agent.completed, "{agent:#?}");
        let claim = report.claim.unwrap();
        assert!(claim.head.is_some() && claim.error.is_none(), "{claim:#?}");
        assert!(folder.join("out/work.bundle").is_file());
        let events = read(&folder, "events.jsonl");
        assert!(events.contains("\"text\":\"mended\""), "{events}");
    });
}
