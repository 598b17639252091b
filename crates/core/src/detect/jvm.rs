//! Maven and gradle.

use super::{Detected, Tree};

/// Not `-q`, which is silent about green tests; every module even after a red one.
pub(super) fn maven_check(tree: &Tree<'_>) -> Option<Detected> {
    let mvn = maven(tree)?;
    Some(
        Detected::new(&format!("{mvn} -B -fae test"), "pom.xml")
            .offline(&format!("{mvn} -B -o -fae test")),
    )
}

/// `dependency:go-offline`, and a run without tests, leave out what surefire loads when it
/// meets the first test (a build with `-o` after them fails [measured, Maven 3.8.7]), so the
/// tests are run once, whatever they say. `clean` behind it: classes of the base, left in the
/// layer, would be run again after a change deleted their source.
pub(super) fn maven_setup(tree: &Tree<'_>) -> Option<Detected> {
    let mvn = maven(tree)?;
    let command = format!("{mvn} -B -Dmaven.test.failure.ignore=true test clean");
    Some(Detected::new(&command, "pom.xml").keeping(&[".m2/repository", ".m2/wrapper"]))
}

fn maven(tree: &Tree<'_>) -> Option<&'static str> {
    tree.has("pom.xml").then(|| if tree.has("mvnw") { "./mvnw" } else { "mvn" })
}

/// `--rerun-tasks`, so that results that setup left behind are not taken for new ones.
pub(super) fn gradle_check(tree: &Tree<'_>) -> Option<Detected> {
    let (gradle, why) = gradle(tree)?;
    let command = format!("{gradle} --no-daemon --continue --rerun-tasks test");
    let offline = format!("{gradle} --no-daemon --offline --continue --rerun-tasks test");
    Some(Detected::new(&command, why).offline(&offline))
}

/// Gradle has no command that downloads everything: the tests are run once; where they are
/// red, what they are made of must at least compile.
pub(super) fn gradle_setup(tree: &Tree<'_>) -> Option<Detected> {
    let (gradle, why) = gradle(tree)?;
    let command =
        format!("{{ {gradle} --no-daemon --continue test || {gradle} --no-daemon testClasses; }}");
    Some(Detected::new(&command, why).keeping(&[".gradle/caches", ".gradle/wrapper"]))
}

fn gradle(tree: &Tree<'_>) -> Option<(&'static str, &'static str)> {
    let why = tree.first(&[
        "settings.gradle.kts",
        "settings.gradle",
        "build.gradle.kts",
        "build.gradle",
    ])?;
    Some((if tree.has("gradlew") { "./gradlew" } else { "gradle" }, why))
}
