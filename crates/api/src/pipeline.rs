//! `AgentPipeline`: a named list of steps, as users write it.

use midwatch_core as core;
use serde::{Deserialize, Serialize};

use core::id::StepName;
use core::input::InvalidInput;
use core::pipeline::{AgentStep, MAX_REPAIRS, MAX_REVIEWS, Pipeline, Step, StepKind};

use crate::object::{Object, ReadError, read_object};

/// The kind's name.
pub const KIND: &str = "AgentPipeline";

/// The pipelines that ship, by the schema that users write.
const SHIPPED: [(&str, &str); 4] = [
    ("quick", include_str!("pipelines/quick.yaml")),
    ("change", include_str!("pipelines/change.yaml")),
    ("approved-change", include_str!("pipelines/approved-change.yaml")),
    ("answer", include_str!("pipelines/answer.yaml")),
];

/// The wanted steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelineSpec {
    /// In their order; one writing agent, a check after it, publish last.
    pub steps: Vec<StepSpec>,
    /// How often a red check goes back to the writing agent: 0 to 20, default 3.
    #[serde(default = "max_repairs")]
    pub max_repairs: u32,
    /// Review rounds at most: 0 to 20, default 3.
    #[serde(default = "max_reviews")]
    pub max_reviews: u32,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepSpec {
    /// Unique in the pipeline; lower-case letters and digits.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// For agents and reviews: the prompt's template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// For agents: looks and leaves a plan, writes nothing.
    #[serde(default)]
    pub read_only: bool,
    /// For agents and reviews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<StepLimits>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// An agent works.
    Agent,
    /// The checks run.
    Check,
    /// An agent judges.
    Review,
    /// An agent answers; nothing is changed. The only step of its pipeline.
    Answer,
    /// Somebody approves.
    Approval,
    /// The result is handed over.
    Publish,
}

/// Limits of one start of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepLimits {
    /// Seconds of wall clock, 10 to 86,400.
    #[serde(default)]
    pub wall_seconds: Option<u64>,
    /// The most turns, 1 to 10,000.
    #[serde(default)]
    pub max_turns: Option<u32>,
}

const fn max_repairs() -> u32 {
    MAX_REPAIRS
}

const fn max_reviews() -> u32 {
    MAX_REVIEWS
}

/// The names of the shipped pipelines.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// Whether a name is that of a shipped pipeline.
pub fn is_shipped(name: &str) -> bool {
    shipped_names().any(|shipped| shipped == name)
}

/// Refuses the name of a shipped pipeline for one that is applied: it would never be used.
pub fn check_name(name: &str) -> Result<(), InvalidInput> {
    if !is_shipped(name) {
        return Ok(());
    }
    let rule = "is the name of a pipeline that ships with Midwatch and is not changed";
    Err(InvalidInput::new("metadata.name", name, rule, "give yours another name"))
}

/// A shipped pipeline.
pub fn shipped(name: &str) -> Option<Result<Object<PipelineSpec>, ReadError>> {
    let (file, text) = SHIPPED.iter().find(|(known, _)| *known == name)?;
    Some(read_object(file, KIND, text))
}

impl TryFrom<&Object<PipelineSpec>> for Pipeline {
    type Error = InvalidInput;

    fn try_from(object: &Object<PipelineSpec>) -> Result<Self, InvalidInput> {
        let spec = &object.spec;
        let steps = spec.steps.iter().map(step).collect::<Result<Vec<_>, _>>()?;
        let pipeline = Self {
            name: object.metadata.name.clone(),
            steps,
            max_repairs: spec.max_repairs,
            max_reviews: spec.max_reviews,
        };
        pipeline.validate()?;
        Ok(pipeline)
    }
}

fn step(spec: &StepSpec) -> Result<Step, InvalidInput> {
    let name = StepName::parse(&spec.name).map_err(|e| e.of("spec.steps.name"))?;
    let kind = match spec.kind {
        Kind::Agent if spec.read_only => StepKind::Plan(agent(spec)?),
        Kind::Agent => StepKind::Implement(agent(spec)?),
        Kind::Review => StepKind::Review(agent(spec)?),
        Kind::Answer => StepKind::Answer(agent(spec)?),
        Kind::Check => plain(spec, StepKind::Check)?,
        Kind::Approval => plain(spec, StepKind::Approval)?,
        Kind::Publish => plain(spec, StepKind::Publish)?,
    };
    Ok(Step { name, kind })
}

fn agent(spec: &StepSpec) -> Result<AgentStep, InvalidInput> {
    let Some(template) = &spec.prompt else {
        return Err(InvalidInput::new(
            "spec.steps.prompt",
            &spec.name,
            "has no prompt",
            "write one, {{goal}} stands for the goal",
        ));
    };
    core::prompt::validate(template).map_err(|e| e.of("spec.steps.prompt"))?;
    let limits = spec.limits.unwrap_or(StepLimits { wall_seconds: None, max_turns: None });
    let outside = |field: &str, value: String, rule: &str| {
        Err(InvalidInput::new(field, &value, rule, "give a number in the range"))
    };
    match (limits.wall_seconds, limits.max_turns) {
        (Some(seconds), _) if !(10..=86_400).contains(&seconds) => {
            outside("spec.steps.limits.wallSeconds", seconds.to_string(), "must be 10 to 86400")
        }
        (_, Some(turns)) if !(1..=10_000).contains(&turns) => {
            outside("spec.steps.limits.maxTurns", turns.to_string(), "must be 1 to 10000")
        }
        (wall_seconds, max_turns) => {
            Ok(AgentStep { template: template.clone(), wall_seconds, max_turns })
        }
    }
}

fn plain(spec: &StepSpec, kind: StepKind) -> Result<StepKind, InvalidInput> {
    if spec.prompt.is_some() || spec.read_only || spec.limits.is_some() {
        return Err(InvalidInput::new(
            "spec.steps",
            &spec.name,
            "takes no prompt, readOnly or limits",
            "only steps of kind agent and review do",
        ));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use midwatch_core::pipeline::{Said, SaidIn};

    use super::*;

    #[test]
    fn what_ships_is_valid() {
        for name in shipped_names() {
            let object = shipped(name).unwrap().unwrap();
            assert_eq!(object.metadata.name, name);
            Pipeline::try_from(&object).unwrap();
        }
    }

    #[test]
    fn what_no_step_would_use_is_refused_by_the_steps() {
        let of = |name: &str| {
            let pipeline = Pipeline::try_from(&shipped(name).unwrap().unwrap()).unwrap();
            Pipeline { name: "mine".into(), ..pipeline }
        };
        let checks = ["make".to_owned()];
        let none = Said::default();
        let setup = Some("make");
        for (said, field) in [
            (Said { checks: &checks, ..none }, "--check"),
            (Said { setup, ..none }, "--setup"),
            (Said { known_failures: true, ..none }, "--known-failures"),
            (Said { branch: Some("b"), ..none }, "--branch"),
            (Said { push: true, ..none }, "--push"),
        ] {
            let refused = of("answer").uses(&said, SaidIn::Flags).unwrap_err();
            assert_eq!(refused.field, field);
        }
        let no_setup = Said { setup: Some(""), ..none };
        assert_eq!(of("answer").uses(&no_setup, SaidIn::Flags), Ok(()), "no setup is what it has");
        let all =
            Said { checks: &checks, setup, known_failures: true, branch: Some("b"), push: true };
        for name in ["quick", "change", "approved-change"] {
            assert_eq!(of(name).uses(&all, SaidIn::Flags), Ok(()), "{name}");
        }
    }

    #[test]
    fn another_kind_is_told_as_such() {
        let head = "apiVersion: midwatch.dev/v1alpha1\nkind: AgentProfile\nmetadata: {name: p}\n";
        let text = format!("{head}spec: {{agent: codex}}\n");
        let error = read_object::<PipelineSpec>("p.yaml", KIND, &text).unwrap_err().to_string();
        assert_eq!(error, "p.yaml: kind is 'AgentProfile', expected 'AgentPipeline'");
    }

    #[test]
    fn faults_name_field_and_fix() {
        let read = |steps: &str| {
            let text = format!(
                "apiVersion: midwatch.dev/v1alpha1\nkind: AgentPipeline\nmetadata: {{name: x}}\nspec:\n  steps: {steps}\n"
            );
            let object =
                read_object::<PipelineSpec>("x.yaml", KIND, &text).map_err(|e| e.to_string())?;
            Pipeline::try_from(&object).map(|_| ()).map_err(|e| e.to_string())
        };
        let agent = "{name: a, kind: agent, prompt: 'p'}";
        let cases = [
            (format!("[{agent}, {{name: p, kind: publish}}]"), "check"),
            (format!("[{agent}, {{name: c, kind: check}}]"), "publish"),
            ("[{name: c, kind: check}, {name: p, kind: publish}]".to_owned(), "implement"),
            ("[{name: a, kind: agent, promt: x}]".to_owned(), "promt"),
            ("[{name: a, kind: agnet}]".to_owned(), "agnet"),
            (format!("[{agent}, {{name: a, kind: check}}, {{name: p, kind: publish}}]"), "twice"),
            ("[{name: a, kind: agent, prompt: '{{gaol}}'}]".to_owned(), "gaol"),
        ];
        for (steps, word) in cases {
            let error = read(&steps).unwrap_err();
            assert!(error.contains(word), "{steps}: {error}");
        }
        read(&format!("[{agent}, {{name: c, kind: check}}, {{name: p, kind: publish}}]")).unwrap();
    }
}
