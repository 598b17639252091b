//! `cargo xtask gen` writes generated files; `cargo xtask tidy` prints what breaks a rule.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use xtask::generated::{self, CLI_REFERENCE};
use xtask::repository::Repository;
use xtask::rules;

fn main() -> Result<ExitCode> {
    let root = Repository::root();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["gen"] => write_generated(&root),
        ["gen", "--cli"] => {
            write_generated(&root)?;
            write_cli_reference(&root)
        }
        ["tidy"] => print_findings(&root),
        _ => bail!("usage: cargo xtask gen [--cli] | tidy"),
    }
}

fn write_generated(root: &Path) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for changed in generated::write(root)? {
        writeln!(out, "{changed}: mended")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the binary to describe its command line. Apart from `gen` because it builds the binary.
fn write_cli_reference(root: &Path) -> Result<ExitCode> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--locked", "--package", "midwatch-app", "--", "reference"])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("starting cargo")?;
    if !output.status.success() || output.stdout.is_empty() {
        bail!("`midwatch reference` printed nothing to write: {}", output.status);
    }
    std::fs::write(root.join(CLI_REFERENCE), output.stdout)
        .with_context(|| format!("writing {CLI_REFERENCE}"))?;
    Ok(ExitCode::SUCCESS)
}

fn print_findings(root: &Path) -> Result<ExitCode> {
    let repository = Repository::read(root)?;
    let mut out = std::io::stdout().lock();
    let mut clean = true;
    for (name, rule) in rules::ALL {
        for finding in rule(&repository) {
            clean = false;
            writeln!(out, "{finding}  [{name}]")?;
        }
    }
    for drifted in generated::drift(&repository)? {
        clean = false;
        writeln!(out, "{drifted}: run `make gen`")?;
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
