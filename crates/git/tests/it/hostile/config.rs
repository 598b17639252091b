//! A user's repository whose `.git` somebody else has written to.

use super::{Evil, Score, tour};
use crate::sandbox::Sandbox;
use crate::world::{World, write};

type Prepare = fn(&World, &Evil);

/// A way to make git run a program, and the ordinary command that does.
struct Vector {
    name: &'static str,
    prepare: Prepare,
    control: &'static [&'static str],
}

const fn vector(name: &'static str, prepare: Prepare, control: &'static [&'static str]) -> Vector {
    Vector { name, prepare, control }
}

fn set(world: &World, key: &str, value: &str) {
    world.git_ok(&world.repo(), &["config", key, value]);
}

fn dirty(world: &World) {
    write(&world.repo().join("file.x"), "changed\n");
}

fn hook(world: &World, evil: &Evil, name: &str) {
    evil.at(&world.repo().join(".git/hooks").join(name));
}

fn origin(world: &World) {
    let repo = world.repo();
    world.git_ok(world.path(), &["clone", "-q", "--bare", repo.to_str().unwrap(), "origin.git"]);
    world.git_ok(&repo, &["remote", "add", "origin", "../origin.git"]);
}

/// One hook of the repository as the target of a push by path.
macro_rules! target_hook {
    ($name:literal) => {
        vector(
            concat!("push by path runs the target's ", $name),
            |world, evil| {
                set(world, "receive.denyCurrentBranch", "ignore");
                hook(world, evil, $name);
            },
            &["-C", "../inside", "push", "-q", "../repo", "HEAD:refs/heads/pushed"],
        )
    };
}

const VECTORS: &[Vector] = &[
    vector("core.fsmonitor", |w, e| set(w, "core.fsmonitor", e.path()), &["status"]),
    vector(
        "include.path",
        |w, e| {
            write(&w.path().join("inc"), &format!("[core]\n\tfsmonitor = {}\n", e.path()));
            set(w, "include.path", w.path().join("inc").to_str().unwrap());
        },
        &["status"],
    ),
    vector(
        "includeIf",
        |w, e| {
            write(&w.path().join("inc"), &format!("[core]\n\tfsmonitor = {}\n", e.path()));
            set(w, "includeIf.gitdir:/**.path", w.path().join("inc").to_str().unwrap());
        },
        &["status"],
    ),
    vector(
        "extensions.worktreeConfig",
        |w, e| {
            set(w, "extensions.worktreeConfig", "true");
            write(
                &w.repo().join(".git/config.worktree"),
                &format!("[core]\n\tfsmonitor = {}\n", e.path()),
            );
        },
        &["status"],
    ),
    vector(
        ".git file that names another folder",
        |w, e| {
            set(w, "core.fsmonitor", e.path());
            std::fs::rename(w.repo().join(".git"), w.path().join("elsewhere")).unwrap();
            write(&w.repo().join(".git"), "gitdir: ../elsewhere\n");
        },
        &["status"],
    ),
    vector(
        "core.hooksPath",
        |w, e| {
            for name in ["post-checkout", "post-index-change", "reference-transaction"] {
                e.at(&w.path().join("hooks").join(name));
            }
            set(w, "core.hooksPath", w.path().join("hooks").to_str().unwrap());
        },
        &["checkout", "-q", "-b", "other"],
    ),
    vector(
        "hook post-checkout",
        |w, e| hook(w, e, "post-checkout"),
        &["worktree", "add", "-q", "../linked"],
    ),
    vector(
        "hook post-index-change",
        |w, e| {
            hook(w, e, "post-index-change");
            dirty(w);
        },
        &["add", "-A"],
    ),
    vector(
        "hook reference-transaction",
        |w, e| hook(w, e, "reference-transaction"),
        &["update-ref", "refs/heads/x", "HEAD"],
    ),
    vector(
        "hook pre-commit",
        |w, e| hook(w, e, "pre-commit"),
        &["commit", "--allow-empty", "-m", "x"],
    ),
    vector(
        "hook commit-msg",
        |w, e| hook(w, e, "commit-msg"),
        &["commit", "--allow-empty", "-m", "x"],
    ),
    vector(
        "hook post-commit",
        |w, e| hook(w, e, "post-commit"),
        &["commit", "--allow-empty", "-m", "x"],
    ),
    vector(
        "hook pre-push",
        |w, e| {
            origin(w);
            hook(w, e, "pre-push");
        },
        &["push", "-q", "origin", "HEAD:refs/heads/y"],
    ),
    vector(
        "hook pre-auto-gc",
        |w, e| {
            hook(w, e, "pre-auto-gc");
            for number in 0..2000 {
                write(&w.repo().join(format!("many/{number}")), &number.to_string());
            }
            w.commit("many loose objects");
            set(w, "gc.auto", "1");
        },
        &["gc", "--auto", "--quiet"],
    ),
    vector(
        "filter clean",
        |w, e| {
            write(&w.repo().join(".git/info/attributes"), "*.x filter=evil\n");
            set(w, "filter.evil.clean", e.path());
            dirty(w);
        },
        &["add", "-A"],
    ),
    vector(
        "filter smudge",
        |w, e| {
            write(&w.repo().join(".git/info/attributes"), "* filter=evil\n");
            set(w, "filter.evil.smudge", e.path());
        },
        &["worktree", "add", "-q", "../linked"],
    ),
    vector(
        "filter smudge with = in its name",
        |w, e| {
            write(&w.repo().join(".git/info/attributes"), "* filter=a=b\n");
            set(w, "filter.a=b.smudge", e.path());
        },
        &["worktree", "add", "-q", "../linked"],
    ),
    vector(
        "filter process",
        |w, e| {
            write(&w.repo().join(".git/info/attributes"), "*.x filter=evil\n");
            set(w, "filter.evil.process", e.path());
            dirty(w);
        },
        &["add", "-A"],
    ),
    vector(
        "diff textconv",
        |w, e| {
            write(&w.repo().join(".git/info/attributes"), "* diff=evil\n");
            set(w, "diff.evil.textconv", e.path());
        },
        &["diff", "HEAD~1", "HEAD"],
    ),
    vector(
        "diff command",
        |w, e| {
            write(&w.repo().join(".git/info/attributes"), "* diff=evil\n");
            set(w, "diff.evil.command", e.path());
        },
        &["diff", "HEAD~1", "HEAD"],
    ),
    vector("diff.external", |w, e| set(w, "diff.external", e.path()), &["diff", "HEAD~1", "HEAD"]),
    vector(
        "difftool",
        |w, e| {
            set(w, "diff.tool", "evil");
            set(w, "difftool.evil.cmd", e.path());
        },
        &["difftool", "-y", "HEAD~1", "HEAD"],
    ),
    vector(
        "merge driver",
        |w, e| {
            write(&w.repo().join(".git/info/attributes"), "* merge=evil\n");
            set(w, "merge.evil.driver", e.path());
            w.git_ok(&w.repo(), &["branch", "theirs", "HEAD"]);
            w.git_ok(&w.repo(), &["checkout", "-q", "theirs"]);
            w.write("README", "theirs\n");
            w.commit("theirs");
            w.git_ok(&w.repo(), &["checkout", "-q", "main"]);
            w.write("README", "ours\n");
            w.commit("ours");
        },
        &["merge", "-m", "x", "theirs"],
    ),
    vector(
        "gpg.program",
        |w, e| {
            set(w, "commit.gpgSign", "true");
            set(w, "gpg.program", e.path());
        },
        &["commit", "--allow-empty", "-m", "x"],
    ),
    vector(
        "gpg.ssh.program",
        |w, e| {
            set(w, "commit.gpgSign", "true");
            set(w, "gpg.format", "ssh");
            set(w, "user.signingKey", "/etc/hostname");
            set(w, "gpg.ssh.program", e.path());
        },
        &["commit", "--allow-empty", "-m", "x"],
    ),
    vector("core.editor", |w, e| set(w, "core.editor", e.path()), &["commit", "--allow-empty"]),
    vector(
        "sequence.editor",
        |w, e| set(w, "sequence.editor", e.path()),
        &["rebase", "-i", "HEAD~1"],
    ),
    vector(
        "remote.origin.uploadpack",
        |w, e| {
            origin(w);
            set(w, "remote.origin.uploadpack", e.path());
        },
        &["fetch", "origin"],
    ),
    vector(
        "remote.origin.receivepack",
        |w, e| {
            origin(w);
            set(w, "remote.origin.receivepack", e.path());
        },
        &["push", "origin", "HEAD:refs/heads/z"],
    ),
    vector(
        "uploadpack of a remote named like our mirror",
        |w, e| {
            let mirror = w.path().join("mirror/work.git");
            set(w, &format!("remote.{}.uploadpack", mirror.display()), e.path());
            // The control fetches as a delivery by fetch would; its path is the same.
            set(w, "remote.../mirror/work.git.uploadpack", e.path());
        },
        &["fetch", "../mirror/work.git"],
    ),
    vector(
        "insteadOf on our mirror's path",
        |w, e| {
            set(w, "protocol.ext.allow", "always");
            set(w, &format!("url.ext::{} .insteadOf", e.path()), w.path().to_str().unwrap());
            set(w, &format!("url.ext::{}  .insteadOf", e.path()), "../mirror");
        },
        &["fetch", "../mirror/work.git"],
    ),
    vector(
        "remote.origin.vcs",
        |w, e| {
            set(w, "protocol.ext.allow", "always");
            set(w, "remote.origin.vcs", "ext");
            set(w, "remote.origin.url", e.path());
        },
        &["fetch", "origin"],
    ),
    vector(
        "core.sshCommand",
        |w, e| {
            set(w, "remote.origin.url", "ssh://h.example/x");
            set(w, "core.sshCommand", e.path());
        },
        &["fetch", "origin"],
    ),
    vector(
        "core.gitProxy",
        |w, e| {
            set(w, "remote.origin.url", "git://h.example/x");
            set(w, "core.gitProxy", e.path());
        },
        &["fetch", "origin"],
    ),
    vector(
        "core.alternateRefsCommand",
        |w, e| {
            origin(w);
            w.git_ok(w.path(), &["init", "-q", "--bare", "alternate.git"]);
            write(
                &w.repo().join(".git/objects/info/alternates"),
                &format!("{}\n", w.path().join("alternate.git/objects").display()),
            );
            set(w, "core.alternateRefsCommand", e.path());
            w.git_ok(&w.path().join("origin.git"), &["update-ref", "refs/heads/more", "HEAD"]);
        },
        &["fetch", "origin"],
    ),
    vector("alias", |w, e| set(w, "alias.st", &format!("!{}", e.path())), &["st"]),
    vector(
        "alias of the tools that we call by name",
        |w, e| {
            for name in ["index-pack", "pack-objects", "update-ref"] {
                set(w, &format!("alias.{name}"), &format!("!{}", e.path()));
            }
            set(w, "alias.pack-them", &format!("!{}", e.path()));
        },
        &["pack-them"],
    ),
    vector(
        "trailer command",
        |w, e| set(w, "trailer.sign.command", e.path()),
        &["interpret-trailers", "--trailer", "sign=x", "README"],
    ),
    vector(
        "file monitor of a repository inside",
        |w, e| {
            let inner = w.repo().join("inner");
            std::fs::create_dir(&inner).unwrap();
            w.git_ok(&inner, &["init", "-q"]);
            write(&inner.join("f"), "f");
            w.git_ok(&inner, &["add", "-A"]);
            w.git_ok(&inner, &["commit", "-q", "-m", "inner"]);
            let id = w.head(&inner);
            // In the index only, so that the base stays one without submodules.
            w.git_ok(
                &w.repo(),
                &["update-index", "--add", "--cacheinfo", &format!("160000,{id},inner")],
            );
            write(&inner.join("f"), "changed");
            w.git_ok(&inner, &["config", "core.fsmonitor", e.path()]);
        },
        &["status"],
    ),
    target_hook!("pre-receive"),
    target_hook!("update"),
    target_hook!("post-receive"),
    target_hook!("post-update"),
    target_hook!("reference-transaction"),
    target_hook!("proc-receive"),
];

pub(super) fn attack(score: &mut Score) {
    for vector in VECTORS {
        let world = World::new();
        world.write("file.x", "x\n");
        world.commit("second");
        let evil = Evil::in_world(&world);
        let sandbox = Sandbox::of(world);
        let world = &sandbox.world;
        if vector.name.contains("proc-receive") {
            set(world, "receive.procReceiveRefs", "refs/heads/pushed");
        }
        (vector.prepare)(world, &evil);
        evil.runs();
        score.tried += 1;
        let done = tour(&sandbox);
        if evil.runs() > 0 {
            score.programs.push(vector.name);
        }
        if let Err(error) = done {
            score.broke.push(format!("{}: {error}", vector.name));
        }
        world.naive(&world.repo(), vector.control);
        if evil.runs() == 0 {
            score.no_control.push(vector.name);
        }
    }
}
