//! What each layer holds by itself: the same attempt with the layer off must do something that
//! it does not do with the layer on. A layer that holds nothing would only be decoration.

use crate::stand::{Stand, Starter, Trial, bind, note};

/// A script that prints `REACHED` when it gets past one layer.
struct Row {
    layer: &'static str,
    what: &'static str,
    script: &'static str,
}

const ROWS: [Row; 6] = [
    Row {
        layer: "seccomp",
        what: "a ring of requests",
        script: "import ctypes; l=ctypes.CDLL(None); \
                 print('REACHED' if l.syscall(425,4,ctypes.create_string_buffer(120))>=0 else 'held')",
    },
    Row {
        layer: "seccomp",
        what: "a keyring",
        script: "import ctypes,os; l=ctypes.CDLL(None); \
                 n=250 if os.uname().machine=='x86_64' else 219; \
                 print('REACHED' if l.syscall(n,1,b'midwatch-test')>=0 else 'held')",
    },
    Row {
        layer: "seccomp",
        what: "kernel events",
        script: "import socket\ntry:\n socket.socket(16,3,15); print('REACHED')\n\
                 except OSError: print('held')",
    },
    Row {
        layer: "seccomp",
        what: "init's limits",
        script: "import resource\ntry:\n resource.prlimit(1,resource.RLIMIT_CPU,(600,600)); \
                 print('REACHED')\nexcept OSError: print('held')",
    },
    Row {
        layer: "landlock",
        what: "writing below /proc",
        script: "try:\n open('/proc/self/comm','w').write('x'); print('REACHED')\n\
                 except OSError: print('held')",
    },
    Row {
        layer: "landlock",
        what: "a signal to init",
        script: "import os\ntry:\n os.kill(1,0); print('REACHED')\nexcept OSError: print('held')",
    },
];

#[test]
fn each_layer_holds_something_alone() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let mut held = 0;
        for row in &ROWS {
            let mut trial = Trial::of(&["/usr/bin/python3", "-I", "-S", "-c", row.script]);
            let on = stand.run(&trial);
            assert_eq!(on.stdout.trim(), "held", "{} as {starter:?}: {on:?}", row.what);
            trial.without = vec![row.layer];
            let off = stand.run(&trial);
            assert_eq!(off.stdout.trim(), "REACHED", "{} as {starter:?}: {off:?}", row.what);
            held += 1;
        }
        note(&format!("depth as {starter:?}: {held} ways are held by one layer alone"));
    }
}

/// With a mount that is writable by mistake, Landlock still knows what was meant.
#[test]
fn landlock_knows_what_was_meant() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let folder = stand.folder("ws");
        stand.file("ws/inner", "x");
        let script = "echo y > /workspace/inner && echo wrote";
        let mut trial = Trial::shell(script).with(bind(&folder, "/workspace", true));
        assert_eq!(stand.run(&trial).stdout, "wrote\n");
        // The control is the mount: read-only, without any Landlock.
        trial.policy.mounts = vec![bind(&folder, "/workspace", false)];
        trial.without = vec!["landlock"];
        assert_eq!(stand.run(&trial).stdout, "");
    }
}

/// A layer that was switched off is not put on in secret, and one that is on is really there.
#[test]
fn the_status_says_which_layers_are_on() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let mut trial = Trial::shell("grep Seccomp: /proc/self/status");
        assert_eq!(stand.run(&trial).stdout, "Seccomp:\t2\n");
        trial.without = vec!["seccomp"];
        assert_eq!(stand.run(&trial).stdout, "Seccomp:\t0\n");
    }
}
