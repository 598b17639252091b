//! Other processes, our init above all, and the log.

use super::attempt::{Attempt, root, same};

pub(crate) const TABLE: &[Attempt] = &[
    same(
        "see a process of the host",
        r"
for pid in pids():
    try:
        if b'VICTIM-CANARY' in read(f'/proc/{pid}/environ'): won()
    except OSError: pass
",
    ),
    same(
        "signal a process of the host",
        r"
os.kill(VICTIM, 0)
won(b'sleep' in read(f'/proc/{VICTIM}/cmdline'))
",
    ),
    same(
        "attach to a process of the host",
        r"
import subprocess
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
libc.ptrace.argtypes = [ctypes.c_long] * 4
ok = libc.ptrace(PTRACE_ATTACH, VICTIM, 0, 0) == 0
if ok: os.waitpid(VICTIM, 0x40000000); libc.ptrace(PTRACE_DETACH, VICTIM, 0, 0)
won(ok)
",
    ),
    same(
        "attach to init",
        r"
libc.ptrace.argtypes = [ctypes.c_long] * 4
ok = libc.ptrace(16, INIT, 0, 0) == 0
if ok: os.waitpid(INIT, 0x40000000); libc.ptrace(17, INIT, 0, 0)
won(ok)
",
    ),
    same(
        "seize init",
        r"
libc.ptrace.argtypes = [ctypes.c_long] * 4
won(libc.ptrace(0x4206, INIT, 0, 0) == 0)
",
    ),
    same("read init's environment", "won(len(read(f'/proc/{INIT}/environ')) > 0)"),
    same("read init's memory map", "won(len(read(f'/proc/{INIT}/maps')) > 0)"),
    same("open init's memory", "os.close(os.open(f'/proc/{INIT}/mem', os.O_RDWR)); won()"),
    same("list init's descriptors", "won(len(os.listdir(f'/proc/{INIT}/fd')) > 0)"),
    same("open init's output", "os.close(os.open(f'/proc/{INIT}/fd/1', os.O_WRONLY)); won()"),
    same("open init's executable", "os.close(os.open(f'/proc/{INIT}/exe', os.O_RDONLY)); won()"),
    same("enter init's root", "os.listdir(f'/proc/{INIT}/root'); won()"),
    same("enter init's working folder", "os.listdir(f'/proc/{INIT}/cwd'); won()"),
    same(
        "read init's memory by call",
        r"
SYS = 310 if os.uname().machine == 'x86_64' else 270
buffer = ctypes.create_string_buffer(8)
maps = 0x400000
class Iovec(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]
local, remote = Iovec(ctypes.addressof(buffer), 8), Iovec(maps, 8)
# A wrong address is EFAULT: the right to look was there.
won(reached(call(SYS, INIT, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)))
",
    ),
    same(
        "take a descriptor of init",
        r"
fd, _ = call(434, INIT, 0)
won(fd >= 0 and done(call(438, fd, 0, 0)))
",
    ),
    same(
        "kill init",
        r"
os.kill(INIT, 9)
def gone():
    try: return b') Z' in read(f'/proc/{INIT}/stat')
    except OSError: return True
won(within(0.2, gone))
",
    ),
    same(
        "stop init",
        r"
os.kill(INIT, 19)
won(within(0.2, lambda: b') T' in read(f'/proc/{INIT}/stat')))
",
    ),
    same(
        "change init's limits",
        r"
import resource
resource.prlimit(INIT, resource.RLIMIT_NOFILE, (64, 64)); won()
",
    ),
    same(
        "compare with init",
        "won(reached(call(312 if os.uname().machine == 'x86_64' else 272, INIT, INIT, 0, 0, 0)))",
    ),
    same(
        "a descriptor of another process",
        r"
for pid in [INIT, VICTIM]:
    for fd in range(3, 32):
        try:
            os.close(os.open(f'/proc/{pid}/fd/{fd}', os.O_WRONLY | os.O_NONBLOCK)); won()
        except OSError: pass
",
    ),
    same("shorten the log", "os.ftruncate(1, 0); won()"),
    same("go back in the log", "os.lseek(1, 0, 0); won()"),
    same(
        "shorten the log by its name",
        "os.close(os.open('/proc/self/fd/1', os.O_RDWR | os.O_TRUNC)); won(stat.S_ISREG(os.fstat(1).st_mode))",
    ),
    same("shorten the error log", "os.ftruncate(2, 0); won()"),
    same(
        "become root",
        r"
# The control is the setuid program: nothing else makes a user root.
import subprocess
subprocess.run([E['SUID'], '-u'], capture_output=True).stdout.strip() == b'0' and won()
os.setuid(0); won()
",
    ),
    root("change the uid", "os.setresuid(0, 0, 0); os.setresuid(12345, 12345, 12345); won()"),
    root("change the groups", "os.setgroups([]); won()"),
    root("drop from the bounding set", "won(libc.prctl(24, 0, 0, 0, 0) == 0)"),
    root(
        "raise capabilities",
        r"
header = struct.pack('Ii', 0x20080522, 0)
data = struct.pack('IIIIII', 1 << 21, 1 << 21, 0, 0, 0, 0)
SYS = 126 if os.uname().machine == 'x86_64' else 91
won(done(call(SYS, header, data)))
",
    ),
    root(
        "be spared by the memory killer",
        "open('/proc/self/oom_score_adj', 'w').write('-500'); won()",
    ),
    root(
        "run before all others",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); won()",
    ),
    root("be nicer to oneself", "os.setpriority(os.PRIO_PROCESS, 0, -5); won()"),
    root(
        "lift a hard limit",
        r"
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1)); won()
",
    ),
    same(
        "another's shared memory",
        r"
libc.shmat.restype = ctypes.c_void_p
ident = libc.shmget(int(E['SHM_KEY']), 0, 0)
if ident < 0: won(False)
at = libc.shmat(ident, None, 0o10000)
won(at not in (None, ctypes.c_void_p(-1).value) and b'CANARY' in ctypes.string_at(at, 16))
",
    ),
    root(
        "put a word into a terminal",
        r"
import fcntl
main, side = os.openpty()
fcntl.ioctl(side, 0x5412, b'x'); won()
",
    ),
    root(
        "the same with a bit that the kernel does not look at",
        r"
main, side = os.openpty()
SYS = 16 if os.uname().machine == 'x86_64' else 29
won(done(call(SYS, side, 0x5412 | (1 << 32), ctypes.c_char_p(b'x'))))
",
    ),
    same(
        "another line discipline",
        r"
import fcntl
main, side = os.openpty()
fcntl.ioctl(side, 0x5423, struct.pack('i', 0)); won()
",
    ),
];
