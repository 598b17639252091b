//! Why a task waits or failed: closed sets, with one table of whose fault it is, what is
//! retried and what to do next.

/// A closed set, with its names as they stand on every wire.
macro_rules! names {
    (
        $(#[$about:meta])*
        pub enum $type:ident { $($(#[$meaning:meta])* $variant:ident),+ $(,)? }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type {
            $($(#[$meaning])* $variant),+
        }

        impl $type {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on every wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// Reads a name made by `as_str`.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use names;

mod facts;
mod fail;
mod hold;

pub use facts::{Fault, Pause, ReasonFacts, RetryRule, SessionRule};
pub use fail::FailReason;
pub use hold::HoldReason;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_every_reason_has_a_hint() {
        for reason in FailReason::ALL {
            assert_eq!(FailReason::parse(reason.as_str()), Some(*reason));
            assert!(reason.facts().hint.len() > 10, "{reason}");
        }
        for reason in HoldReason::ALL {
            assert_eq!(HoldReason::parse(reason.as_str()), Some(*reason));
            assert!(reason.hint().len() > 10, "{reason}");
        }
    }
}
