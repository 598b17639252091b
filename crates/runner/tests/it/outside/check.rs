//! Checks: the code decides, and nothing that the code under check does changes it.

use midwatch_api::report::Ending;

use super::world::{World, as_everyone};

#[test]
fn a_checks_code_is_its_verdict() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("answer.txt", "42\n"), ("src/lib.sh", "echo lib\n")]);
        let workspace = world.workspace(&commit);
        for (command, code) in [
            ("grep -q 42 answer.txt && sh src/lib.sh", 0),
            ("exit 3", 3),
            ("kill -9 $$", 137),
            ("no-such-program", 127),
        ] {
            let report = world.check(&workspace, command).report();
            assert_eq!(
                report.ending,
                Ending::Exited { code },
                "{command}: {report:#?}"
            );
        }
    });
}
