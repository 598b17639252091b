//! Programs that mean no harm must not notice. Each row is something that a filter or a
//! missing file has broken before.

use std::path::{Path, PathBuf};

use crate::stand::{Stand, Starter, Trial, bind, note};

/// Runs a shell script with a writable workspace and expects 0.
fn works(stand: &Stand, what: &str, trial: Trial) {
    let workspace = stand.folder("ws");
    let mut trial = trial.with(bind(&workspace, "/workspace", true));
    trial.policy.cwd = "/workspace".into();
    let ended = stand.run(&trial);
    assert_eq!(ended.code, Some(0), "{what} as {:?}: {ended:?}", stand.starter);
}

fn each(what: &str, needs: &[&str], script: &str) {
    if let Some(missing) = needs.iter().find(|path| !Path::new(path).exists()) {
        note(&format!("NOT RUN: {what} (no {missing})"));
        return;
    }
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        works(&stand, what, Trial::shell(&format!("set -e\n{script}")));
    }
}

#[test]
fn node_lists_its_interfaces() {
    let script = "node -e \"const n=require('os').networkInterfaces(); \
        if(!n.lo) process.exit(3); require('os').userInfo()\"";
    each("node", &["/usr/bin/node"], script);
}

#[test]
fn node_serves_itself() {
    let script = "node -e \"const h=require('http'); const s=h.createServer((q,r)=>r.end('x')); \
        s.listen(0,'127.0.0.1',()=>h.get('http://localhost:'+s.address().port,r=>{s.close(); \
        process.exit(r.statusCode==200?0:4)}))\"";
    each("node http", &["/usr/bin/node"], script);
}

#[test]
fn python_speaks_over_loopback_and_uses_processes() {
    let script = r"cat > t.py <<'P'
import socket, multiprocessing, threading, tempfile, subprocess, pwd, os
a = socket.create_server(('localhost', 0))
b = socket.create_connection(a.getsockname()); b.sendall(b'x'); assert a.accept()[0].recv(1) == b'x'
u, v = socket.socketpair(); u.send(b'y'); assert v.recv(1) == b'y'
with multiprocessing.get_context('spawn').Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
lock = multiprocessing.Lock(); lock.acquire(); lock.release()
t = threading.Thread(target=lambda: None, name='named'); t.start(); t.join()
tempfile.TemporaryFile().write(b'z'); assert pwd.getpwuid(os.getuid()).pw_name == 'agent'
assert subprocess.run(['sh', '-c', 'exit 3']).returncode == 3
P
/usr/bin/python3 -I t.py 2>err || { cat err >&2; exit 1; }";
    // spawn re-reads the main module, so it must be guarded.
    let script = script
        .replace("with multiprocessing", "if __name__ == '__main__':\n  with multiprocessing");
    each("python", &["/usr/bin/python3"], &script);
}

#[test]
fn git_works() {
    let script = "git init -q r && cd r && git config user.email a@b && git config user.name n && \
        echo x > f && git add f && git commit -qm m && mkdir d && git mv f d/f && git commit -qm n && \
        git clone -q . ../c && cd ../c && test \"$(git rev-list --count HEAD)\" = 2 && git fsck";
    each("git", &["/usr/bin/git"], script);
}

#[test]
fn a_compiler_and_its_sanitizers() {
    let script = r"cat > t.c <<'C'
#include <stdlib.h>
int main(void) { char *p = malloc(4); p[3] = 1; int r = p[3]; free(p); return r - 1; }
C
cc -g t.c -o plain && ./plain
cc -g -fsanitize=address,undefined t.c -o asan && ./asan
cc -g -fsanitize=thread t.c -o tsan && ./tsan
sed 's/p\[3\] = 1/p[4] = 1/' t.c > bad.c && cc -g -fsanitize=address bad.c -o bad
if ./bad 2>report; then exit 9; fi
grep -q heap-buffer-overflow report";
    each("cc and sanitizers", &["/usr/bin/cc"], script);
}

#[test]
fn debuggers_attach_to_their_children() {
    let program = "printf 'int main(void){return 3;}' > t.c && cc -g t.c -o t";
    let gdb = format!(
        "{program}\ngdb -nx -batch -ex 'break main' -ex run -ex 'set var $x=1' \
         -ex continue ./t 2>&1 | tee out; grep -q 'exited with code 03' out"
    );
    each("gdb", &["/usr/bin/gdb", "/usr/bin/cc"], &gdb);
    let strace = format!("{program}\nstrace -o log ./t || test $? = 3\ngrep -q execve log");
    each("strace", &["/usr/bin/strace", "/usr/bin/cc"], &strace);
}

#[test]
fn a_shell_has_what_shells_have() {
    let script = "echo out > /dev/stdout; echo err > /dev/stderr; echo x > /dev/null; \
        test -r /dev/urandom; mkfifo p; (echo hi > p &) ; read l < p; test $l = hi; \
        t=$(mktemp); echo y > $t; mv $t here; ln here there; \
        ln -s here link; mkdir a b; mv here a/; mv a/here b/; test -f b/here; \
        test -w /dev/shm; date; id -un; ls -l /proc/self/fd >/dev/null; \
        kill -0 $$; nice -n 5 true; timeout 5 true; ulimit -n 64; umask 077; \
        perl -e 'print getpwuid($<)' >/dev/null; script -qec true /dev/null >/dev/null";
    each("the shell", &["/usr/bin/perl", "/usr/bin/script"], script);
}

#[test]
fn java_starts() {
    let script = "printf 'class T{public static void main(String[] a)throws Exception{\
        java.security.SecureRandom.getInstanceStrong();new java.net.ServerSocket(0).close();}}' \
        > T.java && java T.java";
    each("java", &["/usr/bin/java"], script);
}

/// Cargo is usually below a home that others may not enter: staged for root, and here for the
/// ordinary user only where it can be read.
#[test]
fn cargo_builds_offline() {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let rustup = std::env::var_os("RUSTUP_HOME").map_or(home.join(".rustup"), PathBuf::from);
    let cargo = std::env::var_os("CARGO_HOME").map_or(home.join(".cargo"), PathBuf::from);
    let bin = cargo.join("bin");
    if !bin.join("cargo").exists() || !rustup.join("toolchains").exists() {
        note("NOT RUN: cargo (no rustup)");
        return;
    }
    for starter in Starter::all() {
        if starter == Starter::User && rustix::process::geteuid().is_root() {
            note("NOT RUN: cargo as a user (the toolchain is root's own; root's staging is run)");
            continue;
        }
        let stand = Stand::new(starter);
        let script = "set -e; export CARGO_HOME=/workspace/cargo; cargo init -q --name t --vcs none p; \
            cd p; cargo test -q --offline; cargo run -q --offline";
        let mut trial = Trial::shell(script).with(bind(&rustup, "/opt/rustup", false)).with(bind(
            &bin,
            "/opt/cargo-bin",
            false,
        ));
        trial.expose = vec![rustup.clone(), bin.clone()];
        let env = &mut trial.policy.env;
        env.insert("PATH".into(), "/opt/cargo-bin:/usr/bin:/bin".into());
        env.insert("RUSTUP_HOME".into(), "/opt/rustup".into());
        let toolchain = std::env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "stable".to_owned());
        env.insert("RUSTUP_TOOLCHAIN".into(), toolchain);
        trial.limits.memory_bytes = Some(4 << 30);
        works(&stand, "cargo", trial);
    }
}
