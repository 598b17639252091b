//! What git passes over because it cannot open it is named and left out, and all else is saved.

use midwatch_runner::inside_order::Job;

use super::world::World;

/// Moves a chain of folders below another, which gives paths that nobody could have written out:
/// 15 names of 200 letters, and so many more.
fn deep(more: usize, leaf: &str) -> String {
    format!(
        "n=$(printf %0200d 0); a=a; for i in $(seq 15); do a=$a/$n; done; mkdir -p $a; \
         b=b; for i in $(seq {more}); do b=$b/$n; done; mkdir -p $b; echo leaf > $b/{leaf}; \
         mv b $a/b"
    )
}

#[test]
fn a_path_longer_than_the_system_takes_is_left_out_and_named() {
    let long = "l".repeat(200);
    for script in [deep(15, "leaf"), deep(5, &long)] {
        let world = World::new();
        let claim = world.agent(&format!("{script}; echo ok > ok.txt; echo n > a/near"));
        assert_eq!(claim.error, None, "{claim:?}");
        assert_eq!(claim.left_out.len(), 1, "{claim:?}");
        assert!(claim.left_out[0].starts_with("\"a/000"), "{claim:?}");
        let imported = world.imported();
        assert_eq!(
            (imported.text("ok.txt"), imported.text("a/near")),
            ("ok\n".into(), "n\n".into())
        );

        // A rescue goes the same way.
        let job = Job::Rescue { base: world.base.clone(), commit: None, exclude: Vec::new() };
        assert_eq!(world.carry_out(job), 0, "{:?}", world.claim());
        assert_eq!(world.claim().left_out, claim.left_out);
    }
    // What git says of others meanwhile is no answer: here it does not follow links.
    let links = |names: &str| {
        format!("for i in $(seq 9); do mkdir {names}$i; ln -s / {names}$i/.gitignore; done")
    };
    let world = World::new();
    let claim = world.agent(&format!("{}; {}; {}", links("A"), deep(15, "leaf"), links("z")));
    assert_eq!((claim.error, claim.left_out.len()), (None, 1), "{:?}", claim.left_out);
    // The controls: what the system takes is saved, and what is ignored is nobody's work.
    let fits = World::new();
    let claim = fits.agent(&deep(4, "leaf"));
    assert_eq!(claim.left_out, Vec::<String>::new(), "{claim:?}");
    assert!(fits.imported().files().iter().any(|file| file.ends_with("/leaf")));
    let ignored = World::new().agent(&format!("{}; echo /a/ >> .gitignore", deep(15, "leaf")));
    assert_eq!(ignored.left_out, Vec::<String>::new(), "{ignored:?}");
}

/// What a mode hides is not seen by the first look, and was added without its rules.
#[test]
fn what_is_in_a_folder_without_permissions_is_judged_like_all_else() {
    if rustix::process::geteuid().is_root() {
        println!("NOT RUN: root may open a folder without permissions");
        return;
    }
    let world = World::new();
    let nested = "git init -q shut/own; echo o > shut/own/o; git -C shut/own add o; \
        git -C shut/own commit -q -m own";
    let claim = world.agent(&format!(
        "mkdir shut; {nested}; truncate -s 21M shut/big; echo s > shut/s; chmod 000 shut"
    ));
    assert_eq!(claim.left_out[0], "shut/big", "{claim:?}");
    assert_eq!(claim.set_aside, ["shut/own"], "{claim:?}");
    let imported = world.imported();
    assert_eq!(
        (imported.text("shut/s"), imported.text("shut/own/o")),
        ("s\n".into(), "o\n".into())
    );
    assert!(!imported.files().contains(&"shut/big".to_owned()));
}
