//! What is kept of work that is not imported.

use midwatch_git::import::{RescueOrder, checkpoint, keep_file, rescue};

use crate::sandbox::Sandbox;

#[test]
fn everything_an_agent_left_is_rescued() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "1\n");
    let one = sandbox.commit("one");
    sandbox.git(&["branch", "feature/x"]);
    sandbox.git(&["tag", "-a", "-m", "t", "v1"]);
    sandbox.git(&["tag", "a-tree", "HEAD^{tree}"]);
    sandbox.write("a", "2\n");
    let two = sandbox.commit("two");
    sandbox.write("a", "3\n");
    sandbox.git(&["stash", "-q"]);
    sandbox.git(&["update-ref", "refs/heads/odd;name", "HEAD"]);
    let path = sandbox.out().join("rescue.bundle");
    sandbox.git(&[
        "bundle",
        "create",
        "-q",
        path.to_str().unwrap(),
        "--all",
        &format!("^{}", sandbox.base),
    ]);
    let out = sandbox.out();
    let order = RescueOrder {
        dir: &out,
        name: "rescue.bundle",
        base: &sandbox.base,
        known: &[],
        bundle_bytes: 1 << 20,
    };
    let prefix = "refs/midwatch/rescue/task/3";
    let rescued = rescue(&sandbox.mirror, &order, prefix).unwrap();
    let at = |name: &str| {
        rescued
            .refs
            .iter()
            .find(|(n, _)| *n == format!("{prefix}/{name}"))
            .map(|(_, id)| id.clone())
    };
    assert_eq!(at("heads/feature/x"), Some(one.clone()));
    assert_eq!(at("tags/v1"), Some(one));
    assert!(at("stash").is_some(), "{rescued:?}");
    assert!(
        rescued.refs.iter().any(|(name, id)| name.contains("/ref-") && *id == two),
        "{rescued:?}"
    );
    // Read back from the store, again the same.
    assert_eq!(sandbox.mirror.work_refs(prefix).unwrap().len(), rescued.refs.len());
    assert_eq!(rescue(&sandbox.mirror, &order, prefix).unwrap(), rescued);
    let kept = keep_file(&sandbox.mirror, &order, "task-3.bundle").unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), std::fs::read(path).unwrap());

    sandbox.bundle("HEAD");
    let order = RescueOrder { name: "work.bundle", ..order };
    let target = "refs/midwatch/checkpoint/task/3";
    assert_eq!(checkpoint(&sandbox.mirror, &order, target).unwrap(), two);
    assert_eq!(sandbox.mirror.work_ref(target).unwrap(), Some(two));
    sandbox.mirror.forget(target).unwrap();
    assert_eq!(sandbox.mirror.work_ref(target).unwrap(), None);
}
