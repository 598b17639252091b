//! One way out, and how it is known to be one.

/// As whom the control is run, outside of any sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// The kernel uid that the sandbox has: what is tried needs no privilege.
    Same,
    /// Root, in mount, uts and ipc namespaces of its own: what is tried needs one, and the
    /// sandbox must not give it.
    Root,
}

/// Python, run by the same interpreter inside and outside with the same names in its
/// environment. It calls `won(condition)` and touches only what the test made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) control: Control,
    pub(crate) code: &'static str,
}

pub(crate) const fn same(name: &'static str, code: &'static str) -> Attempt {
    Attempt { name, control: Control::Same, code }
}

pub(crate) const fn root(name: &'static str, code: &'static str) -> Attempt {
    Attempt { name, control: Control::Root, code }
}

/// What every attempt starts with. `call` makes a system call by number; `reached` is true
/// where the kernel got past its permission checks.
pub(crate) const PREAMBLE: &str = r"
import os, sys, errno, ctypes, socket, struct, time, stat
E = os.environ
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *args):
    ctypes.set_errno(0)
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(number), *args)
    return result, ctypes.get_errno()
def reached(result):
    return result[0] >= 0 or result[1] not in (errno.EPERM, errno.EACCES, errno.ENOSYS)
def done(result):
    return result[0] >= 0
def won(condition=True):
    sys.stdout.write('ESCAPED\n' if condition else 'held\n')
    sys.stdout.flush()
    os._exit(0)
def read(path, size=4096):
    with open(path, 'rb') as file:
        return file.read(size)
def holds(path, what=b'CANARY'):
    return what in read(path)
def pids():
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]
INIT = int(E['INIT_PID'])
VICTIM = int(E['VICTIM_PID'])
PORT = int(E['PORT'])
def within(seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
    return False
try:
";

/// What every attempt ends with: an error is no way out.
pub(crate) const POSTAMBLE: &str = r"
except (OSError, ValueError) as problem:
    sys.stderr.write(str(problem))
    won(False)
won(False)
";
