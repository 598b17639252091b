//! What somebody said for a task, and whether a step of the pipeline is there for it: a wish that
//! nobody would look at is refused.

use super::{Pipeline, StepKind};
use crate::input::InvalidInput;

/// What was said that only some pipelines use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said<'a> {
    /// The commands that judge.
    pub checks: &'a [String],
    /// The command that installs dependencies; an empty one says that there is none.
    pub setup: Option<&'a str>,
    /// Whether checks that are red on the base are taken as they are.
    pub known_failures: bool,
    /// The branch for the result.
    pub branch: Option<&'a str>,
    /// Whether it is pushed.
    pub push: bool,
}

/// Where it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaidIn {
    /// In flags of the command line.
    Flags,
    /// In the spec of an object.
    Object,
    /// In an order to the server.
    Order,
}

/// What a step is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Judge,
    Install,
    Publish,
}

impl Pipeline {
    /// Refuses the first thing that no step would use.
    pub fn uses(&self, said: &Said<'_>, place: SaidIn) -> Result<(), InvalidInput> {
        let Said { checks, setup, known_failures, branch, push } = *said;
        let yes = |said: bool| said.then_some("true");
        let all = [
            ("checks", "--check", checks.first().map(String::as_str), Need::Judge),
            ("setup", "--setup", setup.filter(|setup| !setup.trim().is_empty()), Need::Install),
            ("knownFailures", "--known-failures", yes(known_failures), Need::Judge),
            ("branch", "--branch", branch, Need::Publish),
            ("push", "--push", yes(push), Need::Publish),
        ];
        for (name, flag, said, need) in all {
            if let Some(said) = said
                && self.position(|kind| need.is_met_by(kind)).is_none()
            {
                let rule =
                    format!("is of no use: no step of pipeline {} {}", self.name, need.in_words());
                let fix = "leave it away, or choose another pipeline, such as change";
                let field = match place {
                    SaidIn::Flags => flag.to_owned(),
                    SaidIn::Object => format!("spec.{name}"),
                    SaidIn::Order => name.to_owned(),
                };
                return Err(InvalidInput::new(&field, said, &rule, fix));
            }
        }
        Ok(())
    }
}

impl Need {
    fn is_met_by(self, kind: &StepKind) -> bool {
        match kind {
            StepKind::Plan(_) | StepKind::Implement(_) | StepKind::Review(_) => {
                self == Self::Install
            }
            StepKind::Check => matches!(self, Self::Judge | Self::Install),
            StepKind::Publish => self == Self::Publish,
            // Who only answers works where nothing is installed.
            StepKind::Answer(_) | StepKind::Approval => false,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Judge => "runs checks",
            Self::Install => "works where dependencies are installed",
            Self::Publish => "publishes a branch",
        }
    }
}
