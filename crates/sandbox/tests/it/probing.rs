//! What is said about a machine, and that nothing starts where something is missing.

use std::process::{Command, Stdio};

use crate::stand::{Stand, Starter, Trial, note};

#[test]
fn this_machine_has_every_layer() {
    for starter in Starter::all() {
        let said = Stand::new(starter).probe();
        assert_eq!(said.lines().count(), 6, "{said}");
        assert!(!said.contains("missing"), "{starter:?}: {said}");
        assert!(said.contains("overlay: yes"), "{starter:?}: {said}");
    }
}

/// In a user namespace whose owner allows no further ones, as a hardened container is.
const WITHOUT_NAMESPACES: [&str; 7] = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"",
    "sh",
];

#[test]
fn a_missing_layer_is_named_and_nothing_starts() {
    let stand = Stand::new(Starter::User);
    let mut words: Vec<String> = stand.starter.prefix();
    words.extend(WITHOUT_NAMESPACES.map(ToOwned::to_owned));
    words.push(stand.program().display().to_string());
    let said = Command::new(&words[0])
        .args(&words[1..])
        .arg("probe")
        .env("TMPDIR", stand.path("stage"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let row = |name: &str| said.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(row("user-namespace: missing").contains("user.max_user_namespaces"), "{said}");
    assert!(row("bubblewrap: missing").contains("apt install bubblewrap"), "{said}");

    let mut before = stand.starter.prefix();
    before.extend(WITHOUT_NAMESPACES.map(ToOwned::to_owned));
    // Whose words are already in `before`.
    let plain = Stand::new(Starter::Root);
    let line = plain.start(&Trial::shell("echo ran"), &before).line();
    assert_eq!(line["event"], "refused", "{line}");
    note("NOT RUN: AppArmor's restriction of user namespaces: tools/elsewhere/apparmor.sh");
}

#[test]
fn somebodys_uid_is_not_taken() {
    if !Starter::all().contains(&Starter::Root) {
        return;
    }
    // The name service is asked, so a passwd entry in a namespace of our own will do.
    let stand = Stand::new(Starter::Root);
    let passwd =
        stand.file("passwd", "root:x:0:0::/root:/bin/sh\nowner:x:61999:61999::/:/bin/sh\n");
    let script = "mount --bind \"$0\" /etc/passwd && exec \"$@\"";
    let words = ["unshare", "--mount", "sh", "-c", script, &passwd.display().to_string()];
    let before: Vec<String> = words.map(ToOwned::to_owned).to_vec();
    let line = stand.start(&Trial::shell("echo ran"), &before).line();
    assert_eq!(line["event"], "refused", "{line}");
    assert!(line["error"].as_str().unwrap().contains("belongs to owner"), "{line}");
}
