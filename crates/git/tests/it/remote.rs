//! A remote over https with a credential: the real git protocol, served by git's own backend.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use midwatch_core::id::{BranchName, CommitId};
use midwatch_git::credential::Credential;
use midwatch_git::deliver::{DeliverError, Delivery};
use midwatch_git::mirror::Access;
use midwatch_git::push::{push, remote_branch};
use midwatch_git::url::{RepositoryUrl, UrlRules};
use midwatch_git::{Git, Mirror};

use crate::sandbox::Sandbox;

const PASSWORD: &str = "t0ken-for-the-remote";

/// Serves bare repositories below its folder to who knows the password.
const SERVER: &str = r"
import base64, http.server, os, ssl, subprocess, sys
root, cert, password = sys.argv[1:]
want = 'Basic ' + base64.b64encode(('user:' + password).encode()).decode()
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        if self.headers.get('Authorization') != want:
            self.send_response(401)
            self.send_header('WWW-Authenticate', 'Basic realm=git')
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        path, _, query = self.path.partition('?')
        if self.headers.get('Transfer-Encoding') == 'chunked':
            body = b''
            while True:
                size = int(self.rfile.readline(), 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    break
        else:
            body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        env = {'PATH': os.environ['PATH'], 'GIT_PROJECT_ROOT': root, 'GIT_HTTP_EXPORT_ALL': '1',
               'REMOTE_USER': 'user', 'REMOTE_ADDR': '127.0.0.1', 'REQUEST_METHOD': self.command,
               'PATH_INFO': path, 'QUERY_STRING': query, 'CONTENT_LENGTH': str(len(body)),
               'CONTENT_TYPE': self.headers.get('Content-Type') or '',
               'HTTP_CONTENT_ENCODING': self.headers.get('Content-Encoding') or '',
               'GIT_PROTOCOL': self.headers.get('Git-Protocol') or '',
               'GIT_CONFIG_COUNT': '1', 'GIT_CONFIG_KEY_0': 'safe.directory', 'GIT_CONFIG_VALUE_0': '*'}
        done = subprocess.run(['git', 'http-backend'], input=body, env=env, stdout=subprocess.PIPE)
        head, _, rest = done.stdout.partition(b'\r\n\r\n')
        fields = dict(line.split(': ', 1) for line in head.decode().split('\r\n'))
        self.send_response(int(fields.pop('Status', '200').split()[0]))
        for key, value in fields.items():
            self.send_header(key, value)
        self.send_header('Content-Length', str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)
    do_GET = do_POST = answer
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(cert)
server.socket = tls.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
";

struct Server {
    child: Child,
    url: RepositoryUrl,
}

impl Server {
    fn start(root: &Path, certificate: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", SERVER])
            .args([root, certificate])
            .arg(PASSWORD)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let rules = UrlRules { private_addresses: true, plain_http: false };
        let url = format!("https://127.0.0.1:{}/origin.git", port.trim());
        Self { child, url: RepositoryUrl::parse(&url, rules).unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn certificate(path: &Path) -> bool {
    Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(path)
        .arg("-out")
        .arg(path.with_extension("crt"))
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn a_branch_is_pushed_over_https_and_read_back() {
    let sandbox = Sandbox::new();
    let world = &sandbox.world;
    let key = world.path().join("server.pem");
    if !certificate(&key) {
        println!("NOT RUN: needs openssl to make a certificate");
        return;
    }
    let crt = key.with_extension("crt");
    let both = [std::fs::read(&key).unwrap(), std::fs::read(&crt).unwrap()].concat();
    std::fs::write(&key, both).unwrap();
    world.git_ok(world.path(), &["clone", "-q", "--bare", "repo", "origin.git"]);
    let server = Server::start(world.path(), &key);

    let first = work(&sandbox, "one\n");
    let second = work(&sandbox, "two\n");
    let trusting = Git::find().unwrap().with_ca_bundle(Some(crt));
    let mirror = Mirror::open(&trusting, &world.path().join("mirror"), false).unwrap();
    let good = Credential { user: "user".into(), password: PASSWORD.into() };
    let access = Access { url: &server.url, credential: Some(&good), ssh_agent: None };
    let (branch, main) =
        (BranchName::parse("midwatch/t").unwrap(), BranchName::parse("main").unwrap());
    let protected = [main.clone()];
    let set = |commit, branch, ours_at| {
        push(&mirror, access, &Delivery { commit, branch, ours_at, protected: &protected })
    };

    assert_eq!(remote_branch(&mirror, access, &branch).unwrap(), None);
    for _ in 0..2 {
        assert_eq!(set(&first, &branch, None).unwrap(), first);
    }
    assert!(matches!(set(&second, &branch, None), Err(DeliverError::NotOurs { .. })));
    assert_eq!(set(&second, &branch, Some(&first)).unwrap(), second);
    assert!(matches!(set(&second, &main, None), Err(DeliverError::Protected(_))));
    let beside = BranchName::parse("midwatch/t/x").unwrap();
    assert!(matches!(set(&second, &beside, None), Err(DeliverError::Conflict { .. })));

    // A mirror of its own fetches the base from there.
    let other = Mirror::open(&trusting, &world.path().join("other"), false).unwrap();
    assert_eq!(other.fetch_branch(access, &main).unwrap(), sandbox.base);
    other.fetch_commit(access, &second).unwrap();
    assert!(other.has_upstream(&second).unwrap());

    // Who refuses says why; a wrong credential is called one; an unknown certificate stops it.
    let hook = world.path().join("origin.git/hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\necho no branches today >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = set(&first, &BranchName::parse("midwatch/u").unwrap(), None).unwrap_err();
    assert!(
        matches!(&error, DeliverError::Rejected { why, .. } if why.contains("no branches today")),
        "{error}"
    );
    let wrong = Credential { user: "user".into(), password: "wr0ng-token".into() };
    let access = Access { credential: Some(&wrong), ..access };
    let error = remote_branch(&mirror, access, &branch).unwrap_err();
    assert!(matches!(error, DeliverError::Authentication(_)), "{error}");
    assert!(!error.to_string().contains("wr0ng"), "{error}");
    let error = remote_branch(&sandbox.mirror, access, &branch).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

fn work(sandbox: &Sandbox, text: &str) -> CommitId {
    sandbox.write("work", text);
    sandbox.commit("work");
    sandbox.imported().commit
}
