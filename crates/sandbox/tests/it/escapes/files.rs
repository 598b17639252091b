//! Files of the host, and what is bound read-only.

use super::attempt::{Attempt, root, same};

pub(crate) const TABLE: &[Attempt] = &[
    same("read a host file by its path", "won(holds(E['SECRET']))"),
    same(
        "read it by way of a process's root",
        r"
for pid in pids():
    try:
        if holds(f'/proc/{pid}/root' + E['SECRET']): won()
    except OSError: pass
",
    ),
    same(
        "read it by way of a process's working folder",
        r"
for pid in pids():
    try:
        if holds(f'/proc/{pid}/cwd/' + '../' * 20 + E['SECRET']): won()
    except OSError: pass
",
    ),
    same("read it up from the workspace", "won(holds(E['WS'] + '/' + '../' * 20 + E['SECRET']))"),
    same(
        "read it by a symbolic link",
        r"
link = E['WS'] + '/link'
if os.path.lexists(link): os.unlink(link)
os.symlink(E['SECRET'], link)
won(holds(link))
",
    ),
    same(
        "read it by a hard link",
        r"
link = E['WS'] + '/hard'
if os.path.lexists(link): os.unlink(link)
os.link(E['SECRET'], link)
ok = holds(link)
os.unlink(link)
won(ok)
",
    ),
    same(
        "read it by a magic link of a descriptor",
        r"
for pid in [os.getpid(), os.getppid(), INIT]:
    for fd in range(3, 32):
        try:
            # Only files: reading a pipe would take what is in it from its owner.
            path = f'/proc/{pid}/fd/{fd}'
            if os.path.isfile(path) and holds(path): won()
        except OSError: pass
",
    ),
    same(
        "read it from a descriptor left open",
        r"
for fd in range(3, 64):
    try:
        if b'CANARY' in os.pread(fd, 64, 0): won()
    except OSError: pass
",
    ),
    same(
        "change to a folder left open",
        r"
for fd in range(3, 64):
    try:
        os.fchdir(fd)
        if holds(os.path.basename(E['SECRET'])): won()
    except OSError: pass
",
    ),
    same(
        "list the folder of host files",
        "won('secret' in os.listdir(os.path.dirname(E['SECRET'])))",
    ),
    same("write a host file", "open(E['VICTIM'], 'w').write('changed'); won()"),
    same(
        "make a host file",
        r"
path = os.path.dirname(E['VICTIM']) + '/made'
open(path, 'w').close(); os.unlink(path); won()
",
    ),
    same(
        "write through a symbolic link",
        r"
link = E['WS'] + '/wlink'
if os.path.lexists(link): os.unlink(link)
os.symlink(E['VICTIM'], link)
open(link, 'r+').write('changed'); won()
",
    ),
    same(
        "rename over a host file",
        r"
path = E['WS'] + '/over'
open(path, 'w').write('changed')
os.rename(path, E['VICTIM']); won()
",
    ),
    same("write what is bound read-only", "open(E['DEPS'] + '/file', 'w').write('changed'); won()"),
    same("truncate what is bound read-only", "os.truncate(E['DEPS'] + '/file', 0); won()"),
    same("remove what is bound read-only", "os.unlink(E['DEPS'] + '/file'); won()"),
    same(
        "make a file beside it",
        "open(E['DEPS'] + '/new', 'w').close(); os.unlink(E['DEPS'] + '/new'); won()",
    ),
    same("change its mode", "os.chmod(E['DEPS'] + '/file', 0o666); won()"),
    same("change its times", "os.utime(E['DEPS'] + '/file', (1, 1)); won()"),
    same("give it an attribute", "os.setxattr(E['DEPS'] + '/file', 'user.x', b'1'); won()"),
    same(
        "reopen it for writing by its descriptor",
        r"
fd = os.open(E['DEPS'] + '/file', os.O_RDONLY)
os.write(os.open(f'/proc/self/fd/{fd}', os.O_WRONLY | os.O_TRUNC), b'changed'); won()
",
    ),
    same(
        "map it shared for writing",
        r"
import mmap
fd = os.open(E['DEPS'] + '/file', os.O_RDWR)
mmap.mmap(fd, 2)[0:1] = b'X'; won()
",
    ),
    same(
        "write the layer below an overlay",
        r"
# Inside this writes the upper layer; the judge looks at the lower one.
open(E['LAYER'] + '/file', 'w').write('changed')
",
    ),
    same(
        "write the layer below through a descriptor from before the copy",
        r"
fd = os.open(E['LAYER'] + '/deep', os.O_RDONLY)
open(E['LAYER'] + '/deep', 'a').close()
try:
    os.write(os.open(f'/proc/self/fd/{fd}', os.O_RDWR), b'changed')
except OSError: pass
",
    ),
    same("write our executable", "open(E['EXE'], 'r+b').write(b'x'); won()"),
    same(
        "replace our executable",
        r"
new = os.path.dirname(E['EXE']) + '/new'
open(new, 'w').close(); os.unlink(new); won()
",
    ),
    same(
        "run a program with the setuid bit",
        r"
import subprocess
won(subprocess.run([E['SUID'], '-u'], capture_output=True).stdout.strip() == b'0')
",
    ),
    same("another's shared memory file", "won(holds(E['SHM_FILE']))"),
    root("read the host's passwords", "won(b'root:' in read('/etc/shadow'))"),
    root("list root's home", "os.listdir('/root'); won()"),
    same("the identity of the machine", "won(len(read('/etc/machine-id')) > 30)"),
    same("the people of the machine", "won(b'daemon' in read('/etc/passwd'))"),
    same("what is installed", "won(len(os.listdir('/var/lib/dpkg')) > 3)"),
    root(
        "open by handle",
        r"
handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128))
mount = ctypes.c_int()
fd = os.open(E['WS'], os.O_RDONLY)
NAME_TO_HANDLE_AT, OPEN_BY_HANDLE_AT = (303, 304) if os.uname().machine == 'x86_64' else (264, 265)
if not done(call(NAME_TO_HANDLE_AT, fd, b'', handle, ctypes.byref(mount), 0x1000)): won(False)
won(done(call(OPEN_BY_HANDLE_AT, fd, handle, 0)))
",
    ),
    root(
        "make a device",
        r"
path = E['WS'] + '/null'
if os.path.exists(path): os.unlink(path)
os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
os.unlink(path); won()
",
    ),
    root("read the disk", "won(len(read(E['DISK'], 512)) == 512)"),
    root("open the memory", "os.close(os.open('/dev/mem', os.O_RDONLY)); won()"),
    root("read the kernel's log", "os.close(os.open('/dev/kmsg', os.O_RDONLY)); won()"),
    root("open a virtual machine", "os.close(os.open('/dev/kvm', os.O_RDWR)); won()"),
    root("open fuse", "os.close(os.open('/dev/fuse', os.O_RDWR)); won()"),
    root("open a tunnel", "os.close(os.open('/dev/net/tun', os.O_RDWR)); won()"),
    root(
        "the core pattern",
        "os.close(os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)); won()",
    ),
    root(
        "the module loader's path",
        "os.close(os.open('/proc/sys/kernel/modprobe', os.O_WRONLY)); won()",
    ),
    root("the magic keys", "os.close(os.open('/proc/sysrq-trigger', os.O_WRONLY)); won()"),
    root("the kernel's memory", "os.close(os.open('/proc/kcore', os.O_RDONLY)); won()"),
    root(
        "the release agent of cgroups",
        r"
base = '/sys/fs/cgroup'
for name in ['', '/memory', '/pids', '/systemd']:
    try:
        os.close(os.open(f'{base}{name}/release_agent', os.O_WRONLY)); won()
    except OSError: pass
",
    ),
    root(
        "leave the cgroup",
        r"
for path in ['/sys/fs/cgroup/pids/cgroup.procs', '/sys/fs/cgroup/cgroup.procs']:
    try:
        open(path, 'w').write('0'); won()
    except OSError: pass
",
    ),
];
