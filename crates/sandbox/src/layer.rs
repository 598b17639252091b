//! The layers of a sandbox, each a defence of its own.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One defence. They overlap on purpose: what one lets through another should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The kernel lets us make user namespaces; nothing else works without.
    UserNamespace,
    /// The program that builds the namespaces.
    Bubblewrap,
    /// Our system call filter.
    Seccomp,
    /// The kernel's path rules, put on by our init.
    Landlock,
    /// Limits on memory and processes, kept by the kernel.
    Cgroup,
    /// Layered workspaces. A matter of speed, not of defence: without it a copy is used.
    Overlay,
}

impl Layer {
    /// Every layer, from the ground up.
    pub const ALL: [Self; 6] = [
        Self::UserNamespace,
        Self::Bubblewrap,
        Self::Seccomp,
        Self::Landlock,
        Self::Cgroup,
        Self::Overlay,
    ];

    /// The name on every wire and of `--accept-missing`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserNamespace => "user-namespace",
            Self::Bubblewrap => "bubblewrap",
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::Cgroup => "cgroup",
            Self::Overlay => "overlay",
        }
    }

    /// Reads a name made by [`Layer::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.as_str() == text)
    }

    /// Whether a person may accept that it is missing. The first two cannot be gone without.
    pub const fn may_be_missing(self) -> bool {
        match self {
            Self::UserNamespace | Self::Bubblewrap => false,
            Self::Seccomp | Self::Landlock | Self::Cgroup | Self::Overlay => true,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which of the layers that can be left out a sandbox is built with.
///
/// A run gets [`Layers::all`], or what [`crate::probe::require`] made of measured states and
/// what a person accepted. There is no third way outside of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    off: BTreeSet<Layer>,
}

impl Layers {
    /// Every layer. Where one is missing the start fails.
    pub const fn all() -> Self {
        Self { off: BTreeSet::new() }
    }

    /// All but these. For [`crate::probe::require`], and to measure what a layer holds.
    pub fn without(off: impl IntoIterator<Item = Layer>) -> Self {
        Self { off: off.into_iter().collect() }
    }

    /// Whether the layer is to be there.
    pub fn has(&self, layer: Layer) -> bool {
        !self.off.contains(&layer)
    }

    /// What is left out, to be recorded in the evidence.
    pub fn missing(&self) -> impl Iterator<Item = Layer> + '_ {
        self.off.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for layer in Layer::ALL {
            assert_eq!(Layer::parse(layer.as_str()), Some(layer));
        }
        assert_eq!(Layer::parse("Seccomp"), None);
    }

    #[test]
    fn all_means_all() {
        let all = Layers::all();
        assert!(Layer::ALL.into_iter().all(|layer| all.has(layer)));
        assert!(!Layers::without([Layer::Landlock]).has(Layer::Landlock));
    }
}
