//! Maven, and Gradle with it: mirrors of the user's settings, else the repository that Maven's
//! own parent of all projects names.

use std::path::{Path, PathBuf};
use std::process::Command;

use midwatch_api::order::inside::PROXY_PORT;

use super::{Clients, asking};
use crate::environment::Environment;

/// The largest settings file that is read, in bytes.
const SETTINGS_MAX: u64 = 1 << 20;
/// The parent of all projects, in the jar of the model builder.
const SUPER_POM: &str = "org/apache/maven/model/pom-4.0.0.xml";

pub(super) fn ask(environment: &Environment) -> Option<Clients> {
    let mut clients = Clients::default();
    let maven = environment.find("mvn");
    if maven.is_none() && environment.find("gradle").is_none() {
        return Some(clients);
    }
    let settings = environment.home().join(".m2/settings.xml");
    let small = settings.metadata().is_ok_and(|metadata| metadata.len() <= SETTINGS_MAX);
    let text = small.then(|| std::fs::read_to_string(&settings).ok()).flatten().unwrap_or_default();
    let mirrors = mirrors(&text);
    for mirror in &mirrors {
        clients.add("maven", mirror);
    }
    let kept: Vec<&String> = mirrors.iter().filter(|url| !url.contains('@')).collect();
    if !kept.is_empty() {
        clients.files.insert(".m2/settings.xml".into(), settings_with(&kept));
        return Some(clients);
    }
    if let Some(maven) = maven {
        let jar = builder_jar(&maven)?;
        let pom = unpack(environment, &jar)?;
        for url in elements(&pom, "url") {
            clients.add("maven", &url);
        }
    }
    Some(clients)
}

/// The texts of `<name>..</name>`.
fn elements(text: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = text.split(&open).skip(1);
    parts.filter_map(|part| Some(part.split_once(&close)?.0.trim().to_owned())).collect()
}

fn mirrors(settings: &str) -> Vec<String> {
    elements(settings, "mirror").iter().flat_map(|mirror| elements(mirror, "url")).collect()
}

/// Settings for a sandbox: the mirrors, and our proxy, whose settings these replace.
fn settings_with(mirrors: &[&String]) -> String {
    let mut text = String::from("<settings><mirrors>");
    for (number, url) in mirrors.iter().enumerate() {
        // A URL that would end the element is none.
        if !url.contains(['<', '>', '&', '"']) {
            let of = if number == 0 { "*" } else { "external:*" };
            text.extend([
                format!("<mirror><id>mirror{number}</id><mirrorOf>{of}</mirrorOf>"),
                format!("<url>{url}</url></mirror>"),
            ]);
        }
    }
    text.push_str("</mirrors><proxies>");
    text.extend(["http", "https"].map(|scheme| {
        format!(
            "<proxy><id>{scheme}</id><active>true</active><protocol>{scheme}</protocol>\
             <host>127.0.0.1</host><port>{PROXY_PORT}</port>\
             <nonProxyHosts>localhost|127.0.0.1</nonProxyHosts></proxy>"
        )
    }));
    text.push_str("</proxies></settings>\n");
    text
}

/// `lib/maven-model-builder-*.jar` of the installation that `mvn` belongs to.
fn builder_jar(maven: &Path) -> Option<PathBuf> {
    let real = maven.canonicalize().ok()?;
    let lib = real.parent()?.parent()?.join("lib");
    let mut jars = std::fs::read_dir(lib).ok()?.flatten().map(|entry| entry.path());
    jars.find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("maven-model-builder-") && path.extension() == Some("jar".as_ref())
    })
}

/// A text of a jar, by whichever program can read one.
fn unpack(environment: &Environment, jar: &Path) -> Option<String> {
    let python = "import sys,zipfile; sys.stdout.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode())";
    let ways: [(&str, Vec<&str>); 2] = [("unzip", vec!["-p"]), ("python3", vec!["-c", python])];
    ways.into_iter().find_map(|(program, words)| {
        let mut command = Command::new(environment.find(program)?);
        environment.apply(&mut command);
        command.args(words).arg(jar).arg(SUPER_POM);
        asking::run(command)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_found_and_other_addresses_left() {
        let settings = "<settings><servers><server><password>canary</password></server></servers>\
            <mirrors><mirror><url> https://m.example/x </url><mirrorOf>*</mirrorOf></mirror></mirrors>\
            <profiles><url>https://no.example</url></profiles></settings>";
        let found = mirrors(settings);
        assert_eq!(found, ["https://m.example/x"]);
        let text = settings_with(&found.iter().collect::<Vec<_>>());
        assert!(text.contains("https://m.example/x") && !text.contains("canary"));
    }
}
