//! Namespaces, mounts, and calls into corners of the kernel.

use super::attempt::{Attempt, root, same};

pub(crate) const TABLE: &[Attempt] = &[
    same("a user namespace", "won(libc.unshare(0x10000000) == 0)"),
    same(
        "a user namespace by clone",
        r"
SYS = 56 if os.uname().machine == 'x86_64' else 220
pid, code = call(SYS, 0x10000000 | 17, 0, 0, 0, 0)
if pid == 0: os._exit(0)
won(pid > 0)
",
    ),
    same(
        "a user namespace by clone3",
        r"
args = struct.pack('QQQQQQQQ', 0x10000000, 0, 0, 0, 17, 0, 0, 0)
pid, code = call(435, args, len(args))
if pid == 0: os._exit(0)
won(pid > 0)
",
    ),
    root("a mount namespace", "won(libc.unshare(0x20000) == 0)"),
    root("a network namespace", "won(libc.unshare(0x40000000) == 0)"),
    root(
        "a process namespace by clone",
        r"
SYS = 56 if os.uname().machine == 'x86_64' else 220
pid, code = call(SYS, 0x20000000 | 17, 0, 0, 0, 0)
if pid == 0: os._exit(0)
won(pid > 0)
",
    ),
    root("a time namespace", "won(libc.unshare(0x80) == 0)"),
    root(
        "another's namespace",
        r"
fd = os.open('/proc/self/ns/net', os.O_RDONLY); won(libc.setns(fd, 0) == 0)
",
    ),
    root(
        "init's namespaces by its descriptor",
        r"
fd, _ = call(434, INIT, 0)
won(fd >= 0 and libc.setns(fd, 0x40000000) == 0)
",
    ),
    root("mount a tmpfs", "won(libc.mount(b'x', E['WS'].encode(), b'tmpfs', 0, None) == 0)"),
    root("mount proc", "won(libc.mount(b'x', E['WS'].encode(), b'proc', 0, None) == 0)"),
    root(
        "mount cgroups",
        r"
for kind, data in [(b'cgroup', b'memory'), (b'cgroup', b'pids'), (b'cgroup2', None)]:
    if libc.mount(b'x', E['WS'].encode(), kind, 0, data) == 0: won()
",
    ),
    root(
        "bind a folder",
        "won(libc.mount(E['DEPS'].encode(), E['WS'].encode(), None, 4096, None) == 0)",
    ),
    root(
        "make a bind writable",
        r"
path = E['DEPS'].encode()
libc.mount(path, path, None, 4096, None)
won(libc.mount(None, path, None, 4096 | 32, None) == 0)
",
    ),
    root(
        "mount an overlay",
        r"
for name in ['a', 'b', 'c', 'd']: os.makedirs(E['WS'] + '/ov/' + name, exist_ok=True)
base = (E['WS'] + '/ov/').encode()
data = b'lowerdir=' + base + b'a,upperdir=' + base + b'b,workdir=' + base + b'c'
won(libc.mount(b'overlay', base + b'd', b'overlay', 0, data) == 0)
",
    ),
    root("unmount", "won(libc.umount2(E['TARGET'].encode(), 2) == 0)"),
    root(
        "pivot the root",
        "won(reached(call(155 if os.uname().machine == 'x86_64' else 41, b'/', b'/')))",
    ),
    root("change the root", "won(libc.chroot(E['WS'].encode()) == 0)"),
    root("open a file system", "won(done(call(430, b'tmpfs', 0)))"),
    root("clone a tree of mounts", "won(done(call(428, -100, E['WS'].encode(), 1)))"),
    root(
        "clone a tree with attributes",
        r"
won(done(call(467, -100, E['WS'].encode(), 1, struct.pack('QQQQ', 0, 0, 0, 0), 32)))
",
    ),
    root("move a mount", "won(reached(call(429, -1, b'', -100, E['WS'].encode(), 4)))"),
    root(
        "change a mount's attributes",
        r"
libc.mount(E['DEPS'].encode(), E['DEPS'].encode(), None, 4096, None)
won(done(call(442, -100, E['DEPS'].encode(), 0, struct.pack('QQQQ', 0, 1, 0, 0), 32)))
",
    ),
    root("pick a file system", "won(done(call(433, -100, E['TARGET'].encode(), 0)))"),
    same(
        "a ring of requests",
        r"
params = ctypes.create_string_buffer(120)
won(done(call(425, 4, params)))
",
    ),
    same("register with a ring", "won(reached(call(427, -1, 0, 0, 0)))"),
    same("enter a ring", "won(reached(call(426, -1, 0, 0, 0, 0, 0)))"),
    same(
        "join a keyring",
        "won(done(call(250 if os.uname().machine == 'x86_64' else 219, 1, b'midwatch-test')))",
    ),
    same(
        "add a key",
        r"
won(done(call(248 if os.uname().machine == 'x86_64' else 217, b'user', b'midwatch', b'x', 1, -1)))
",
    ),
    same(
        "ask for a key",
        r"
SYS = 249 if os.uname().machine == 'x86_64' else 218
won(reached(call(SYS, b'user', b'midwatch-none', None, 0)))
",
    ),
    same(
        "the keyring of the user",
        "won(done(call(250 if os.uname().machine == 'x86_64' else 219, 0, -4, 1)))",
    ),
    same(
        "handle faults of memory",
        r"
won(done(call(323 if os.uname().machine == 'x86_64' else 282, 0x80001)))
",
    ),
    root(
        "a program in the kernel",
        r"
SYS = 321 if os.uname().machine == 'x86_64' else 280
won(done(call(SYS, 0, struct.pack('IIIII', 2, 4, 8, 1, 0) + bytes(100), 120)))
",
    ),
    root(
        "counters of the processor",
        r"
SYS = 298 if os.uname().machine == 'x86_64' else 241
won(done(call(SYS, struct.pack('IIQ', 1, 112, 0) + bytes(96), 0, -1, -1, 0)))
",
    ),
    root(
        "load another kernel",
        "won(reached(call(246 if os.uname().machine == 'x86_64' else 104, 0, 0, 0, 0xdead)))",
    ),
    root(
        "load a module",
        "won(reached(call(175 if os.uname().machine == 'x86_64' else 105, b'not a module', 12, b'')))",
    ),
    root(
        "load a module from a file",
        r"
fd = os.open(E['WS'], os.O_RDONLY)
won(reached(call(313 if os.uname().machine == 'x86_64' else 273, fd, b'', 0)))
",
    ),
    root(
        "unload a module",
        "won(reached(call(176 if os.uname().machine == 'x86_64' else 106, b'midwatch_none', 0x800)))",
    ),
    root(
        "restart, with a wrong key",
        "won(reached(call(169 if os.uname().machine == 'x86_64' else 142, 1, 2, 3)))",
    ),
    root(
        "swap, on nothing",
        "won(reached(call(167 if os.uname().machine == 'x86_64' else 224, b'/nonexistent', 0)))",
    ),
    root("rename the machine", "won(libc.sethostname(b'mw', 2) == 0)"),
    root("the domain of the machine", "won(libc.setdomainname(b'mw', 2) == 0)"),
    root(
        "the kernel's log by call",
        r"
won(done(call(103 if os.uname().machine == 'x86_64' else 116, 10, 0, 0)))
",
    ),
    root(
        "watch a file system",
        r"
won(done(call(300 if os.uname().machine == 'x86_64' else 262, 0, 0)))
",
    ),
    same(
        "watch files by another way",
        r"
won(done(call(300 if os.uname().machine == 'x86_64' else 262, 0x200, 0)))
",
    ),
    same("memory that is read as code", "won(libc.personality(0x0400000) != -1)"),
    same("an address space of old", "won(libc.personality(0x0200000) != -1)"),
    root("ports of the machine", "won(libc.iopl(3) == 0)"),
    root("some ports of the machine", "won(libc.ioperm(0x80, 1, 1) == 0)"),
    same("the processor's tables", "won(done(call(154, 0, ctypes.create_string_buffer(64), 64)))"),
    same(
        "place another's memory",
        r"
won(reached(call(279 if os.uname().machine == 'x86_64' else 239, INIT, 0, 0, 0, 0, 0)))
",
    ),
    same(
        "calls of the 32-bit kind",
        r"
import mmap
# push rbx; mov eax, 425 (io_uring_setup); mov ebx, 4; xor ecx, ecx; int 0x80; pop rbx; ret
code = bytes.fromhex('53b8a9010000bb0400000031c9cd805bc3')
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
# A null pointer for the parameters is EFAULT (14): the call was made.
won(run() == -14)
",
    ),
    same(
        "calls of the x32 kind",
        "won(reached(call(0x40000000 | 425, 4, ctypes.create_string_buffer(120))))",
    ),
    same(
        "another call put in a traced child's place",
        r"
# The tracer turns a getppid of the child into unshare(CLONE_NEWUSER).
if os.uname().machine != 'x86_64': won(False)
libc.ptrace.argtypes = [ctypes.c_long] * 4
child = os.fork()
if child == 0:
    libc.ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), 19)
    os._exit(77 if libc.syscall(ctypes.c_long(110), ctypes.c_long(0x10000000)) == 0 else 1)
os.waitpid(child, 0)
ORIG_RAX = 15 * 8
status = 0
while True:
    libc.ptrace(24, child, 0, 0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) or os.WIFSIGNALED(status): break
    ctypes.set_errno(0)
    if libc.ptrace(3, child, ORIG_RAX, 0) == -1: pass
    data = ctypes.c_long()
    raw = libc.syscall(ctypes.c_long(101), ctypes.c_long(3), ctypes.c_long(child), ctypes.c_long(ORIG_RAX), ctypes.byref(data))
    if data.value == 110: libc.ptrace(6, child, ORIG_RAX, 272)
won(os.WIFEXITED(status) and os.WEXITSTATUS(status) == 77)
",
    ),
];
