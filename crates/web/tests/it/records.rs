//! Questions about all tasks together, as they reach the desk.

use midwatch_api::brief::Brief;
use midwatch_api::control::{PauseAll, PausedAll, Refusal};
use midwatch_api::gc::{CollectOrder, Collection};
use midwatch_web::Records;

use crate::peer::{Clerk, ask, world};

impl Records for Clerk {
    async fn brief(&self, since_ms: Option<i64>) -> Result<Brief, Refusal> {
        self.note(format!("brief {since_ms:?}"));
        let exit = 2;
        Err(Refusal { message: "nothing is told".into(), hint: None, exit })
    }

    async fn brief_was_read(&self, until_ms: i64) -> Result<(), Refusal> {
        self.note(format!("read {until_ms}"));
        Ok(())
    }

    async fn pause_all(&self, switch: PauseAll) -> Result<PausedAll, Refusal> {
        self.note(format!("pause {} {}", switch.paused, switch.by.as_str()));
        Ok(PausedAll {
            paused_by: switch.paused.then(|| switch.by.into()),
            tasks: vec![],
            unstored: None,
        })
    }

    async fn collect(&self, order: CollectOrder) -> Result<Collection, Refusal> {
        self.note(format!("collect {} {:?}", order.dry_run, order.age_seconds));
        Ok(Collection {
            kind: "gc".into(),
            version: 1,
            dry_run: order.dry_run,
            freed_bytes: 0,
            kept_bytes: 0,
            gone: vec![],
            kept: vec![],
            busy: vec![],
        })
    }
}

#[tokio::test]
async fn they_are_read_within_bounds() {
    let world = world();
    let socket = &world.socket;
    for (method, path, body, expected) in [
        ("GET", "/v1/brief?sinceMs=5", "", 422),
        ("POST", "/v1/brief/read", r#"{"untilMs":7}"#, 200),
        ("POST", "/v1/gc", r#"{"dryRun":true,"ageSeconds":60}"#, 200),
        ("POST", "/v1/gc", "{}", 200),
        ("POST", "/v1/pause", r#"{"paused":true,"by":"me"}"#, 200),
    ] {
        let (status, body) = ask(socket, method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
    }
    let asked =
        ["brief Some(5)", "read 7", "collect true Some(60)", "collect false None", "pause true me"];
    assert_eq!(world.clerk.asked(), asked);
}

#[tokio::test]
async fn odd_ones_do_not_reach_the_desk() {
    let world = world();
    for (method, path, body, expected) in [
        ("GET", "/v1/brief?sinceMs=x", "", 400),
        ("GET", "/v1/brief?since=1", "", 400),
        ("POST", "/v1/brief", "", 405),
        ("POST", "/v1/brief/read", "{}", 422),
        ("POST", "/v1/gc", r#"{"ageSeconds":-1}"#, 422),
        ("POST", "/v1/gc", r#"{"everything":true}"#, 422),
        ("GET", "/v1/gc", "", 405),
    ] {
        let (status, body) = ask(&world.socket, method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
        let refusal: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(refusal["message"].as_str().is_some_and(|text| text.len() < 500), "{body}");
    }
    assert_eq!(world.clerk.asked(), [""; 0]);
}
