//! The rules of an order that is new, as far as they need no machine: those of the same values in
//! an object, and of what else a client finds.
//!
//! They are about mistakes and not about rights: whoever reaches the server's socket is the user
//! that the server works for, and may read the same files and start the same programs without it.
//! What they save is a task that is found to be nonsense in the night.

use std::path::Path;

use midwatch_core as core;

use core::agent::AgentKind;
use core::input::InvalidInput;

use super::{AgentRef, CheckoutRef, CredentialRef, RemoteRef, RepositoryRef, SetupRef, TaskOrder};
use crate::agent_task::{check_model, check_priority};
use crate::order::{Limits, Toolchain};
use crate::profile::{LimitsSpec, check_custom, check_limits, check_range, check_toolchain};
use crate::repository::{check_command, check_setup};
use crate::{paths, variables};

impl TaskOrder {
    /// Every rule that needs no machine, but for those of [`TaskOrder::to_spec`]. Only for an
    /// order that is new: one that was taken by an earlier version stays what it is.
    pub fn check_new(&self) -> Result<(), InvalidInput> {
        self.uses_all()?;
        check_priority("priority", self.priority)?;
        place(&self.repository)?;
        for (number, command) in self.checks.iter().enumerate() {
            check_command(&format!("checks[{number}]"), command)?;
        }
        if let Some(SetupRef { command, from: _, keep_home }) = &self.setup {
            check_setup("setup", command)?;
            for folder in keep_home {
                paths::below("setup.keepHome", folder, "HOME", ".cargo/registry")?;
            }
        }
        worker("agent", &self.agent)?;
        for (number, other) in self.fallbacks.iter().enumerate() {
            worker(&format!("fallbacks[{number}]"), other)?;
        }
        for (number, Toolchain { name, folder, path, env }) in self.toolchains.iter().enumerate() {
            let field = format!("toolchains[{number}]");
            check_toolchain(&field, name, folder, path)?;
            variables::check_found(&format!("{field}.env"), env)?;
        }
        for folder in &self.workspace_path {
            let field = "workspacePath";
            paths::below(field, Path::new(folder), "the workspace", "node_modules/.bin")?;
            // It becomes a part of PATH in a shell's command.
            if folder.contains(['\'', ':']) {
                let rule = "may hold no quote and no colon";
                return Err(InvalidInput::new(field, folder, rule, "leave it away"));
            }
        }
        if let Some(bundle) = &self.ca_bundle {
            paths::absolute("caBundle", bundle, "/etc/ssl/certs/ca-certificates.crt")?;
        }
        variables::check("clientEnv", &self.client_env)?;
        variables::check("checkEnv", &self.check_env)?;
        for file in self.client_files.keys() {
            paths::below("clientFiles", file, "HOME", ".npmrc")?;
        }
        limits(&self.limits)
    }
}

fn place(repository: &RepositoryRef) -> Result<(), InvalidInput> {
    let socket = match repository {
        RepositoryRef::Checkout(CheckoutRef { identity, path, ssh_agent, .. }) => {
            paths::absolute("repository.identity", Path::new(identity), "/home/me/project/.git")?;
            paths::absolute("repository.path", path, "/home/me/project")?;
            ssh_agent
        }
        // The rules of URLs are told where they are asked.
        RepositoryRef::Remote(RemoteRef { ssh_agent, .. }) => ssh_agent,
    };
    match socket {
        Some(socket) => paths::absolute("repository.sshAgent", socket, "/run/user/1000/agent"),
        None => Ok(()),
    }
}

/// An agent. Its adapter and kind of credential are looked at by `to_spec`.
fn worker(field: &str, worker: &AgentRef) -> Result<(), InvalidInput> {
    paths::absolute(&format!("{field}.program"), &worker.program, "/usr/bin/claude")?;
    if let Some(model) = &worker.model {
        check_model(&format!("{field}.model"), model)?;
    }
    match &worker.credential {
        CredentialRef::ClaudeLogin { path } | CredentialRef::CodexLogin { path } => {
            let field = format!("{field}.credential.path");
            paths::absolute(&field, path, "/home/me/.claude/.credentials.json")?;
        }
        CredentialRef::None | CredentialRef::Stored { .. } => {}
    }
    let AgentRef { max_turns, max_cost_cents, .. } = *worker;
    check_limits(field, &LimitsSpec { max_turns, max_cost_cents, ..LimitsSpec::default() })?;
    let custom = AgentKind::parse(&worker.adapter) == Some(AgentKind::Custom);
    check_custom(field, custom, worker.custom.as_ref())
}

/// The ranges of a profile, in the units of an order.
fn limits(limits: &Limits) -> Result<(), InvalidInput> {
    let Limits {
        wall_seconds: _,
        idle_seconds,
        memory_bytes,
        pids,
        disk_bytes,
        output_bytes,
        grace_seconds,
        loop_rounds,
        no_change_seconds,
    } = *limits;
    let spec = LimitsSpec {
        idle_seconds: Some(idle_seconds),
        memory_mib: Some(memory_bytes >> 20),
        pids: Some(pids),
        disk_mib: Some(disk_bytes >> 20),
        loop_rounds: Some(loop_rounds),
        no_change_seconds: Some(no_change_seconds),
        ..LimitsSpec::default()
    };
    check_limits("limits", &spec).map_err(|error| match error.field.strip_suffix("Mib") {
        // Shown as it was given.
        Some(field) => {
            let bytes = if field == "limits.memory" { memory_bytes } else { disk_bytes };
            let rule = format!("{} MiB", error.rule);
            InvalidInput::new(&format!("{field}Bytes"), &bytes.to_string(), &rule, &error.fix)
        }
        None => error,
    })?;
    check_range("limits.outputBytes", output_bytes, 1 << 10, 1 << 30)?;
    // Of a deadline that is farther away than any clock goes there is none.
    check_range("limits.graceSeconds", grace_seconds, 0, 3_600)
}
