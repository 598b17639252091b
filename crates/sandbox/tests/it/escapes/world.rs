//! What the attempts aim at: made by the test, listening, and looked at afterwards.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use midwatch_sandbox::policy::Mount;

use crate::stand::{Stand, Starter, Trial, bind, note};

/// Listens everywhere, tells when it is ready, and answers with a canary.
const LISTENER: &str = r"
import os, socket, sys, threading, ctypes
port, abstract, path, key = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
def serve(s):
    s.listen(64)
    def loop():
        while True:
            c, _ = s.accept()
            c.sendall(b'CANARY'); c.close()
    threading.Thread(target=loop, daemon=True).start()
four = socket.socket(); four.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
four.bind(('0.0.0.0', port)); serve(four)
six = socket.socket(socket.AF_INET6); six.setsockopt(41, 26, 1)
six.bind(('::', port)); serve(six)
for name in ['\0' + abstract, path]:
    s = socket.socket(socket.AF_UNIX); s.bind(name); serve(s)
os.chmod(path, 0o777)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('0.0.0.0', port))
def answer():
    while True:
        _, peer = udp.recvfrom(64); udp.sendto(b'CANARY', peer)
threading.Thread(target=answer, daemon=True).start()
libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p
ident = libc.shmget(key, 4096, 0o1666)
ctypes.memmove(libc.shmat(ident, None, 0), b'CANARY', 6)
print('ready', flush=True)
sys.stdin.read()
libc.shmctl(ident, 0, None)
";

pub(crate) const PORT: u32 = 4817;

/// Addresses that a sandbox must never reach, in a namespace of the test's own.
const ADDRESSES: &str = "ip link set lo up && \
    for a in 169.254.169.254/32 10.9.8.7/32 203.0.113.7/32; do ip addr add $a dev lo; done && \
    ip -6 addr add fd00:ec2::254/128 dev lo nodad && exec \"$@\"";

pub(crate) struct World {
    pub(crate) stand: Stand,
    listener: Child,
    disk: String,
    shm_file: String,
}

impl World {
    pub(crate) fn new(starter: Starter) -> Self {
        let stand = Stand::new(starter);
        for folder in ["ws", "outside", "outside/open", "deps", "base", "upper", "work", "sockets"]
        {
            stand.folder(folder);
        }
        stand.file("outside/secret", "CANARY");
        for name in ["outside/suid", "ws/suid"] {
            let path = stand.path(name);
            // By another process, see `Stand::new`.
            assert!(Command::new("cp").arg("/usr/bin/id").arg(&path).status().unwrap().success());
            if rustix::process::geteuid().is_root() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
            }
        }
        let shm_file = format!("/dev/shm/midwatch-{}-{starter:?}", std::process::id());
        fs::write(&shm_file, "CANARY").unwrap();
        let listener = listener(&stand);
        let disk = ["/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0"]
            .into_iter()
            .find(|disk| Path::new(disk).exists())
            .unwrap_or("/dev/vda")
            .to_owned();
        let world = Self { stand, listener, disk, shm_file };
        world.mend();
        world
    }

    /// Words that put a program into the test's network namespace.
    pub(crate) fn network(&self) -> Vec<String> {
        if !rustix::process::geteuid().is_root() {
            return Vec::new();
        }
        let pid = self.listener.id().to_string();
        ["nsenter", "-t", &pid, "-n", "--"].map(ToOwned::to_owned).to_vec()
    }

    /// Names for the attempts, which mean the same thing inside and outside.
    pub(crate) fn names(&self, inside: bool, victim: u32) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.stand.path(name).display().to_string();
        let choose = |there: &str, here: &str| if inside { there.to_owned() } else { path(here) };
        vec![
            ("SECRET", path("outside/secret")),
            ("VICTIM", path("outside/victim")),
            ("SOCKET", path("outside/socket")),
            ("ABSTRACT", self.abstract_name()),
            ("SHM_KEY", self.shm_key().to_string()),
            ("SHM_FILE", self.shm_file.clone()),
            ("PORT", PORT.to_string()),
            ("DISK", self.disk.clone()),
            ("VICTIM_PID", victim.to_string()),
            ("INIT_PID", if inside { "1".to_owned() } else { victim.to_string() }),
            ("WS", choose("/workspace", "ws")),
            ("DEPS", choose("/deps", "deps")),
            ("LAYER", choose("/layered", "base")),
            ("EXE", choose("/midwatch/midwatch", "outside/exe")),
            ("SUID", choose("/workspace/suid", "outside/suid")),
            // Something that is a mount point on both sides.
            ("TARGET", "/proc".to_owned()),
        ]
    }

    fn abstract_name(&self) -> String {
        format!("midwatch-{}-{:?}", std::process::id(), self.stand.starter)
    }

    fn shm_key(&self) -> u32 {
        key(self.stand.starter)
    }

    pub(crate) fn trial(&self, command: &[&str], victim: u32) -> Trial {
        let mut trial = Trial::of(command)
            .with(bind(&self.stand.path("ws"), "/workspace", true))
            .with(bind(&self.stand.path("deps"), "/deps", false))
            .with(bind(&self.stand.path("sockets"), "/run/midwatch", false))
            .with(Mount::Overlay {
                lowers: vec![self.stand.path("base")],
                upper: self.stand.path("upper"),
                work: self.stand.path("work"),
                target: "/layered".into(),
            });
        for (name, value) in self.names(true, victim) {
            trial.policy.env.insert(name.to_owned(), value);
        }
        trial.timeout = std::time::Duration::from_secs(20);
        trial
    }

    /// A process of the kernel uid of the inside, to be looked at or killed.
    pub(crate) fn victim(&self) -> Victim {
        let mut words = self.stand.starter.inside_prefix();
        words.extend(["sh", "-c", "exec 7>&1; exec sleep 600"].map(ToOwned::to_owned));
        let child = Command::new(&words[0])
            .args(&words[1..])
            .env("MARK", "VICTIM-CANARY")
            .stdin(Stdio::null())
            .stdout(fs::File::create(self.stand.file("victim.log", "")).unwrap())
            .spawn()
            .unwrap();
        let cmdline = format!("/proc/{}/cmdline", child.id());
        crate::stand::eventually("the victim sleeps", || {
            fs::read(&cmdline).is_ok_and(|words| words.starts_with(b"sleep"))
        });
        Victim(child)
    }

    /// Whether everything is as it was made.
    pub(crate) fn is_whole(&self) -> bool {
        let is = |name: &str, text: &str| {
            fs::read(self.stand.path(name)).is_ok_and(|found| found == text.as_bytes())
        };
        let mode = fs::metadata(self.stand.path("deps/file")).map(|meta| meta.permissions().mode());
        is("outside/secret", "CANARY")
            && is("outside/victim", "whole")
            && is("deps/file", "whole")
            && is("base/file", "whole")
            && is("base/deep", "whole")
            && mode.is_ok_and(|mode| mode & 0o777 == 0o644)
    }

    /// Makes everything as it was.
    pub(crate) fn mend(&self) {
        for name in ["outside/victim", "deps/file", "base/file", "base/deep", "outside/exe"] {
            let _ = fs::remove_file(self.stand.path(name));
            self.stand.file(name, "whole");
            fs::set_permissions(self.stand.path(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        for name in ["upper/file", "upper/deep"] {
            let _ = fs::remove_file(self.stand.path(name));
        }
    }
}

fn key(starter: Starter) -> u32 {
    let odd = match starter {
        Starter::Root => 1,
        Starter::User => 2,
    };
    0x4d57_0000 | (std::process::id() & 0x0fff) << 4 | odd
}

fn listener(stand: &Stand) -> Child {
    let name = format!("midwatch-{}-{:?}", std::process::id(), stand.starter);
    let mut words: Vec<String> = Vec::new();
    if rustix::process::geteuid().is_root() {
        let own = ["unshare", "--net", "sh", "-c", ADDRESSES, "sh"];
        words.extend(own.map(ToOwned::to_owned));
    } else {
        note("NOT RUN: addresses other than loopback (a network namespace needs root)");
    }
    let socket = stand.path("outside/socket").display().to_string();
    let port = PORT.to_string();
    let key = key(stand.starter).to_string();
    let python = ["/usr/bin/python3", "-I", "-c", LISTENER, &port, &name, &socket, &key];
    words.extend(python.map(ToOwned::to_owned));
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

impl Drop for World {
    fn drop(&mut self) {
        // The end of its stdin ends it, and it then removes its shared memory.
        drop(self.listener.stdin.take());
        let _ = self.listener.wait();
        let _ = fs::remove_file(&self.shm_file);
        let _ = midwatch_sandbox::overlay::clear_work(&self.stand.path("work"));
    }
}

pub(crate) struct Victim(Child);

impl Victim {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
