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

/// `dependency:go-offline` leaves out what plugins load at run time (a build with `-o` after
/// it fails [measured, Maven 3.8.7]), so the tests are run once, whatever they say.
pub(super) fn maven_setup(tree: &Tree<'_>) -> Option<Detected> {
    let mvn = maven(tree)?;
    let command = format!("{mvn} -B -Dmaven.test.failure.ignore=true test");
    Some(Detected::new(&command, "pom.xml").keeping(&[".m2/repository", ".m2/wrapper"]))
}

fn maven(tree: &Tree<'_>) -> Option<&'static str> {
    tree.has("pom.xml").then(|| if tree.has("mvnw") { "./mvnw" } else { "mvn" })
}

/// `cleanTest`, so that results that setup left behind are not taken for new ones.
pub(super) fn gradle_check(tree: &Tree<'_>) -> Option<Detected> {
    let (gradle, why) = gradle(tree)?;
    Some(
        Detected::new(&format!("{gradle} --no-daemon --continue cleanTest test"), why)
            .offline(&format!("{gradle} --no-daemon --offline --continue cleanTest test")),
    )
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
