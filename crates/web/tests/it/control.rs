//! What the control socket takes and what it turns away.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use midwatch_api::control::API_NUMBER;
use midwatch_web::ControlSocket;

use crate::peer::{ask, world};

#[tokio::test]
async fn questions_reach_the_desk_and_refusals_come_back_as_json() {
    let world = world();
    let socket = &world.socket;
    let (status, body) = ask(socket, "GET", "/v1/server", "").await;
    assert_eq!(status, 200);
    assert!(
        body.contains(&format!("\"api\":{API_NUMBER}")) && body.contains("\"openTasks\":0"),
        "{body}"
    );
    let (status, body) = ask(socket, "GET", "/v1/tasks/nobody", "").await;
    assert_eq!(status, 422);
    assert_eq!(body, r#"{"message":"there is no task 'nobody'","hint":null,"exit":2}"#);
    assert_eq!(ask(socket, "GET", "/v1/tasks/a/patch?form=stat", "").await.0, 409);
    assert_eq!(ask(socket, "POST", "/v1/tasks/a/open", r#"{"folder":"/x"}"#).await.0, 500);
    let cancel = r#"{"verb":"cancel","by":"me"}"#;
    assert_eq!(ask(socket, "POST", "/v1/tasks/a/commands", cancel).await.0, 200);
    assert_eq!(world.clerk.asked(), ["patch a Stat", "open a /x", "a Cancel { by: Who(\"me\") }"]);
}

#[tokio::test]
async fn events_are_lines_and_the_last_is_the_result() {
    let world = world();
    let (status, body) =
        ask(&world.socket, "GET", "/v1/tasks/t/events?after=6&seen=t-do-4:9", "").await;
    assert_eq!(status, 200);
    assert_eq!(world.clerk.asked(), ["follow t after=6&seen=t-do-4:9"]);
    let lines: Vec<serde_json::Value> =
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["type"], &lines[0]["seq"]), (&"saved".into(), &7.into()));
    assert_eq!((&lines[1]["type"], lines.len()), (&"result".into(), 2));
    assert!(lines[1]["rescueRef"].is_null() && lines[1].get("rescueRef").is_some());
}

#[tokio::test]
async fn odd_requests_are_refused_within_bounds() {
    let world = world();
    let huge = format!(r#"{{"name":"{}"}}"#, "x".repeat(5 << 20));
    for (method, path, body, expected) in [
        ("GET", "/v1/nothing", "", 404),
        ("DELETE", "/v1/tasks", "", 405),
        ("GET", "/v1/tasks?limit=1000000000", "", 422),
        ("GET", "/v1/tasks?limit=0", "", 422),
        ("GET", "/v1/tasks?limit=-1", "", 400),
        ("GET", "/v1/tasks?cursor=x", "", 422),
        ("GET", "/v1/tasks?state=Hold", "", 422),
        ("GET", "/v1/tasks?page=2", "", 400),
        ("GET", "/v1/objects/pods", "", 422),
        ("POST", "/v1/apply", r#"{"objects":[],"task":[]}"#, 422),
        ("GET", "/v1/tasks/t/events?after=x", "", 400),
        ("GET", "/v1/tasks/t/events?seen=x", "", 422),
        ("GET", "/v1/tasks/%ff/order", "", 400),
        ("POST", "/v1/tasks", "{", 400),
        ("POST", "/v1/tasks", r#"{"gaol":1}"#, 422),
        ("POST", "/v1/tasks", &huge, 413),
        ("POST", "/v1/tasks/t/commands", r#"{"verb":"explode","by":"me"}"#, 422),
    ] {
        let (status, body) = ask(&world.socket, method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
        let refusal: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(refusal["message"].as_str().unwrap().len() < 500, "{body}");
    }
    assert_eq!(world.clerk.asked(), [""; 0], "none of it reached the desk");
}

#[tokio::test]
async fn the_socket_is_private_and_replaces_a_leftover() {
    let world = world();
    let mode = std::fs::metadata(&world.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let _second = ControlSocket::listen(&world.socket).unwrap();
    let nowhere = Path::new("/tmp").join("x".repeat(200)).join("server.sock");
    let error = ControlSocket::listen(&nowhere).unwrap_err();
    assert!(error.to_string().contains("server.sock"), "{error}");
}

/// A socket's address holds 107 bytes; a folder's path may have more.
#[tokio::test]
async fn a_socket_in_a_folder_with_a_long_path_answers() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("x".repeat(150)).join("y".repeat(150));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("server.sock");
    let _listening = ControlSocket::listen(&path).unwrap();
    let control = tokio::net::UnixStream::connect(&path).await.unwrap_err();
    assert_eq!(control.kind(), std::io::ErrorKind::InvalidInput, "the usual way does not fit");
    let (address, _folder) = midwatch_web::address_of(&path).unwrap();
    tokio::net::UnixStream::connect(address).await.unwrap();
}

/// Another user is turned away by the kernel's word about the peer, even where the socket's mode
/// would let them in; the control is the same request as ourselves.
#[tokio::test]
async fn another_user_is_turned_away_even_with_an_open_socket() {
    if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/python3").exists() {
        eprintln!("NOT RUN: needs root to become another user, and python3 as a client");
        return;
    }
    let world = world();
    for (path, mode) in [(world.folder.path(), 0o755), (&world.socket, 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let program = "import socket,sys\n\
        s=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.settimeout(10)\n\
        try:\n s.sendall(b'GET /v1/server HTTP/1.1\\r\\nhost: midwatch\\r\\nconnection: close\\r\\n\\r\\n')\n\
        \x20print(s.recv(15).decode())\nexcept OSError: print('cut')\n";
    let socket = world.socket.to_str().unwrap().to_owned();
    let as_user = move |uid: &str| {
        let ids = [format!("--reuid={uid}"), format!("--regid={uid}")];
        let output = Command::new("setpriv")
            .args(ids)
            .args(["--clear-groups", "/usr/bin/python3", "-c", program, &socket])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let (ours, theirs) =
        tokio::task::spawn_blocking(move || (as_user("0"), as_user("61998"))).await.unwrap();
    assert_eq!(ours, "HTTP/1.1 200 OK", "the control");
    assert!(theirs.is_empty() || theirs == "cut", "{theirs}");
}
