//! The `OpenAPI` document and the router: the one served, the one committed, and what is answered.

use std::path::Path;

use midwatch_api::endpoint::{Endpoint, Method};
use midwatch_api::openapi;
use serde_json::Value;

use crate::peer::{ask, ask_as, world};

/// Answers of the router itself, not of a handler.
const UNKNOWN: &str = "there is no such path";
const OTHER_METHOD: &str = "this path is not for that method";

fn filled(path: &str) -> String {
    path.replace("{name}", "fix-login").replace("{kind}", "profiles")
}

#[tokio::test]
async fn every_route_is_in_the_document_and_every_path_of_it_is_routed() {
    let world = world();
    let (status, body) = ask(&world.socket, "GET", "/openapi.json", "").await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document, openapi::document());
    let (mut walked, mut described) = (0, 0);
    for endpoint in Endpoint::ALL {
        let (method, path) = (endpoint.method(), endpoint.path());
        assert!(
            document["paths"][path][method.as_str().to_lowercase()].is_object(),
            "{endpoint:?}"
        );
        walked += 1;
    }
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in [Method::Get, Method::Post, Method::Delete] {
            let name = method.as_str();
            let (status, body) = ask(&world.socket, name, &filled(path), "{").await;
            assert!(!body.contains(UNKNOWN), "{name} {path}");
            let routed = !body.contains(OTHER_METHOD);
            let told = methods.get(name.to_lowercase()).is_some();
            assert_eq!(routed, told, "{name} {path}: {status} {body}");
            assert_eq!(status == 405, !routed, "{name} {path}");
            described += usize::from(told);
        }
    }
    assert_eq!((walked, described), (Endpoint::ALL.len(), Endpoint::ALL.len()));
    println!("routes walked {walked} / described {described}");
}

#[test]
fn the_committed_document_is_of_this_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
    let text = std::fs::read_to_string(path).unwrap();
    let committed: Value = serde_json::from_str(&text).unwrap();
    assert!(committed == openapi::document(), "out of date: run `cargo xtask gen`");
}

#[tokio::test]
async fn requests_of_other_sites_are_refused_before_any_desk_hears_of_them() {
    let world = world();
    let cancel = r#"{"verb":"cancel","by":"me"}"#;
    let path = "/v1/tasks/t/commands";
    for headers in [
        &[("host", "evil.example")][..],
        &[("host", "evil.example:80")],
        &[("host", "midwatch"), ("origin", "https://evil.example")],
        &[("host", "midwatch"), ("origin", "null")],
        &[("host", "midwatch"), ("sec-fetch-site", "cross-site")],
        &[],
    ] {
        let (status, body) = ask_as(&world.socket, "POST", path, cancel, headers).await;
        assert_eq!(status, 403, "{headers:?}: {body}");
    }
    assert_eq!(world.clerk.asked(), [""; 0]);
    for host in ["midwatch", "localhost", "127.0.0.1:80"] {
        let (status, _) = ask_as(&world.socket, "POST", path, cancel, &[("host", host)]).await;
        assert_eq!(status, 200, "the control: {host}");
    }
    assert_eq!(world.clerk.asked().len(), 3);
}

#[tokio::test]
async fn huge_headers_paths_and_bodies_are_refused_within_bounds() {
    let world = world();
    for bytes in [20_000, 1 << 20] {
        let long = "x".repeat(bytes);
        let headers = [("host", "midwatch"), ("x-long", long.as_str())];
        let (status, _) = ask_as(&world.socket, "GET", "/v1/server", "", &headers).await;
        assert_eq!(status, 431, "{bytes}");
    }
    let path = format!("/v1/tasks/{}", "x".repeat(5000));
    assert_eq!(ask(&world.socket, "GET", &path, "").await.0, 414);
    let body = format!(r#"{{"objects":["{}"]}}"#, "x".repeat(65 << 20));
    assert_eq!(ask(&world.socket, "POST", "/v1/apply", &body).await.0, 413);
    assert_eq!(world.clerk.asked(), [""; 0]);
    assert_eq!(ask(&world.socket, "GET", "/v1/server", "").await.0, 200, "it goes on");
}
