//! A task for unit tests; stories and walks are in `tests/it`.

use crate::agent::{AgentKind, CredentialKind};
use crate::id::{BranchName, CommitId, StepName, TaskName};
use crate::pipeline::{AgentStep, Pipeline, Step, StepKind};
use crate::plan::Questions;
use crate::task::TaskSpec;

/// An order of implement, check and publish.
pub(crate) fn spec(name: &str, credential: Option<&str>) -> TaskSpec {
    let agent = AgentStep { template: "{{goal}}".into(), wall_seconds: None, max_turns: None };
    let step = |name: &str, kind| Step { name: StepName::parse(name).unwrap(), kind };
    let steps = vec![
        step("implement", StepKind::Implement(agent)),
        step("check", StepKind::Check),
        step("publish", StepKind::Publish),
    ];
    TaskSpec {
        name: TaskName::parse(name).unwrap(),
        goal: "g".into(),
        repository: "r".into(),
        base: CommitId::parse(&"0".repeat(40)).unwrap(),
        pipeline: Pipeline { name: "p".into(), steps, max_repairs: 3, max_reviews: 3 },
        agent: AgentKind::Custom,
        profile: "custom".into(),
        model: None,
        credential: CredentialKind::None,
        credential_key: credential.map(ToOwned::to_owned),
        resumes: true,
        fallbacks: vec![],
        questions: Questions::Proceed,
        follows: None,
        instructions: String::new(),
        checks: vec!["true".into()],
        setup: None,
        no_check: false,
        known_failures: false,
        branch: BranchName::parse("b").unwrap(),
        push: false,
        wall_seconds: 60,
        max_turns: None,
        priority: 0,
    }
}
