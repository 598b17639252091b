//! Ways to the outside. Every target listens, in a network namespace that the test made.

use super::attempt::{Attempt, root, same};

pub(crate) const TABLE: &[Attempt] = &[
    same(
        "the host's loopback",
        r"
s = socket.create_connection(('127.0.0.1', PORT), 2); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "the host's loopback, version 6",
        r"
s = socket.create_connection(('::1', PORT), 2); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "another address of loopback",
        r"
s = socket.create_connection(('127.8.8.8', PORT), 2); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "the address that means any",
        r"
s = socket.create_connection(('0.0.0.0', PORT), 2); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "the metadata service",
        r"
s = socket.create_connection(('169.254.169.254', PORT), 2); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "the metadata service, version 6",
        r"
s = socket.create_connection(('fd00:ec2::254', PORT), 2); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "a private address",
        r"
s = socket.create_connection(('10.9.8.7', PORT), 2); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "a public address",
        r"
s = socket.create_connection(('203.0.113.7', PORT), 2); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "a mapped address",
        r"
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM); s.settimeout(2)
s.connect(('::ffff:10.9.8.7', PORT)); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "a name server",
        r"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
s.sendto(b'question', ('10.9.8.7', PORT)); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "a connection begun with data",
        r"
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.sendto(b'x', 0x20000000, ('10.9.8.7', PORT)); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "an abstract socket",
        r"
s = socket.socket(socket.AF_UNIX); s.connect('\0' + E['ABSTRACT']); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "a socket in a folder of the host",
        r"
s = socket.socket(socket.AF_UNIX); s.connect(E['SOCKET']); won(b'CANARY' in s.recv(64))
",
    ),
    same(
        "that socket through a link",
        r"
link = E['WS'] + '/socket'
if os.path.lexists(link): os.unlink(link)
os.symlink(E['SOCKET'], link)
s = socket.socket(socket.AF_UNIX); s.connect(link); won(b'CANARY' in s.recv(64))
",
    ),
    root("raw packets", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3); won()"),
    root("raw addresses", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); won()"),
    same("a socket to the hypervisor", "socket.socket(40, socket.SOCK_STREAM); won()"),
    same("the kernel's ciphers", "socket.socket(38, socket.SOCK_SEQPACKET); won()"),
    same("bluetooth", "socket.socket(31, socket.SOCK_RAW, 1); won()"),
    same("kernel events", "socket.socket(16, socket.SOCK_RAW, 15); won()"),
    same("netfilter", "socket.socket(16, socket.SOCK_RAW, 12); won()"),
    same("socket diagnosis", "socket.socket(16, socket.SOCK_RAW, 4); won()"),
    same("the audit log", "socket.socket(16, socket.SOCK_RAW, 9); won()"),
    same("generic netlink", "socket.socket(16, socket.SOCK_RAW, 16); won()"),
    root(
        "a new interface",
        r"
s = socket.socket(16, socket.SOCK_RAW, 0)
# RTM_NEWLINK of a bridge: ifinfomsg, IFLA_LINKINFO{IFLA_INFO_KIND}.
kind = struct.pack('HH', 10, 1) + b'bridge' + bytes(2)
info = struct.pack('HH', 4 + len(kind), 18) + kind
body = struct.pack('BxHiII', 0, 0, 0, 0, 0) + info
s.send(struct.pack('IHHII', 16 + len(body), 16, 0x605, 1, 0) + body)
answer = s.recv(4096)
won(struct.unpack_from('i', answer, 16)[0] == 0)
",
    ),
    root(
        "mark packets",
        r"
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, 36, 1); won()
",
    ),
];
