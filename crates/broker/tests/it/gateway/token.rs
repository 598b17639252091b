//! The run token: one run, one socket, while it is open.

use midwatch_broker::{Broker, BrokerConfig, Egress, Grant, ServerKey};
use secrecy::ExposeSecret;
use tokio::net::UnixStream;

use crate::world::{Provider, Reply, World, ask, key, model, whole};

async fn with_token(world: &World, headers: &str) -> Reply {
    ask(&world.gateway(), "POST", "/v1/messages", headers, "{}").await
}

async fn provider() -> Provider {
    Provider::answering(vec![whole("200 OK", "", "{}")]).await
}

#[tokio::test]
async fn only_the_runs_own_token_opens_the_gateway() {
    let provider = provider().await;
    let world = World::new(Some(model(&provider.url())), Egress::None);
    let token = &world.token;
    let upper = token.to_uppercase();
    for (headers, status) in [
        (String::new(), 401),
        ("x-api-key: \r\n".into(), 401),
        (format!("x-api-key: {}\r\n", "0".repeat(64)), 401),
        (format!("x-api-key: {upper}\r\n"), 401),
        (format!("x-api-key: {token}0\r\n"), 401),
        (format!("authorization: Basic {token}\r\n"), 401),
        (format!("proxy-authorization: Bearer {token}\r\n"), 401),
        (format!("cookie: x-api-key={token}\r\n"), 401),
        (format!("x-api-key: {token}\r\nauthorization: Bearer other\r\n"), 401),
        (format!("x-api-key: {token}\r\nx-api-key: other\r\n"), 401),
        (format!("x-api-key: {token}\r\n"), 200),
        (format!("authorization: Bearer {token}\r\n"), 200),
        (format!("authorization: bearer {token}\r\nx-api-key: {token}\r\n"), 200),
    ] {
        let reply = with_token(&world, &headers).await;
        assert_eq!(reply.status, status, "{headers} {}", reply.body);
        assert!(!reply.body.contains(token));
    }
    // What was refused never went out.
    assert_eq!(provider.heads().len(), 3);
    let totals = world.broker.close("t-implement-1").await.unwrap();
    assert_eq!((totals.requests, totals.refused), (3, 10));
}

#[tokio::test]
async fn another_runs_token_is_refused_here_and_works_there() {
    let provider = provider().await;
    let world = World::new(Some(model(&provider.url())), Egress::None);
    let other = Grant {
        run: "t-implement-2".into(),
        socket_dir: world.folder.path().join("other"),
        ..world.grant.clone()
    };
    let socket = other.socket_dir.join("gateway.sock");
    let token = world.broker.open(other).unwrap().token;
    let headers = format!("x-api-key: {}\r\n", token.expose_secret());
    assert_eq!(with_token(&world, &headers).await.status, 401);
    assert_eq!(ask(&socket, "POST", "/v1/messages", &headers, "{}").await.status, 200);
}

#[tokio::test]
async fn a_closed_run_is_gone_and_a_reopened_one_has_its_token_again() {
    let provider = provider().await;
    let world = World::new(Some(model(&provider.url())), Egress::None);
    let kept = UnixStream::connect(world.gateway()).await.unwrap();
    assert!(world.broker.close("t-implement-1").await.is_some());
    assert!(world.broker.close("t-implement-1").await.is_none());
    assert!(!world.gateway().exists() && !world.proxy().exists());
    // A connection from before is ended too.
    let mut byte = [0];
    kept.readable().await.unwrap();
    assert!(!matches!(kept.try_read(&mut byte), Ok(1..)));
    world.broker.open(world.grant.clone()).unwrap();
    let headers = format!("x-api-key: {}\r\n", world.token);
    assert_eq!(with_token(&world, &headers).await.status, 200);
}

#[tokio::test]
async fn a_new_server_takes_over_the_folder_and_the_token() {
    let provider = provider().await;
    let world = World::new(Some(model(&provider.url())), Egress::None);
    // The old server's sockets are still there, as after kill -9.
    let next = Broker::new(BrokerConfig::new(key())).unwrap();
    let token = next.open(world.grant.clone()).unwrap().token;
    assert_eq!(token.expose_secret(), world.token);
    let headers = format!("x-api-key: {}\r\n", world.token);
    assert_eq!(with_token(&world, &headers).await.status, 200);
    assert_eq!(next.close("t-implement-1").await.unwrap().requests, 1);
    // A server with another key has other tokens.
    let stranger = Broker::new(BrokerConfig::new(ServerKey::new([4; 32]))).unwrap();
    stranger.open(world.grant.clone()).unwrap();
    assert_eq!(with_token(&world, &headers).await.status, 401);
}

#[tokio::test]
async fn opening_twice_keeps_the_sockets_and_takes_the_new_grant() {
    let provider = provider().await;
    let world = World::new(None, Egress::None);
    let headers = format!("x-api-key: {}\r\n", world.token);
    assert_eq!(with_token(&world, &headers).await.status, 403);
    let grant = Grant { model: Some(model(&provider.url())), ..world.grant.clone() };
    world.broker.open(grant).unwrap();
    assert_eq!(with_token(&world, &headers).await.status, 200);
    let elsewhere =
        Grant { socket_dir: world.folder.path().join("elsewhere"), ..world.grant.clone() };
    let error = world.broker.open(elsewhere).unwrap_err().to_string();
    assert!(error.contains("is open with its sockets in"), "{error}");
}

#[tokio::test]
async fn long_folders_work_and_other_files_are_never_removed() {
    let provider = provider().await;
    let world = World::new(Some(model(&provider.url())), Egress::None);
    let long = world.folder.path().join("x".repeat(150));
    let grant = Grant { run: "long".into(), socket_dir: long.clone(), ..world.grant.clone() };
    world.broker.open(grant.clone()).unwrap();
    assert!(long.join("gateway.sock").exists());
    world.broker.close("long").await.unwrap();
    std::fs::write(long.join("gateway.sock"), "mine").unwrap();
    assert!(world.broker.open(grant.clone()).unwrap_err().to_string().contains("is no socket"));
    std::fs::remove_file(long.join("gateway.sock")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", long.join("gateway.sock")).unwrap();
    assert!(world.broker.open(grant).unwrap_err().to_string().contains("is no socket"));
    let bad = Grant { run: "../x".into(), ..world.grant.clone() };
    assert!(world.broker.open(bad).is_err());
}
