//! A company's network: nothing but its proxy leads to the server.

use midwatch_testkit::company::Company;
use midwatch_testkit::forge::Forge;
use serde_json::{Value, json};

use super::{PASSWORD, Place};

/// The password that the proxy wants.
const WORD: &str = "canary-word-of-the-proxy";

#[test]
fn a_server_behind_a_companys_proxy_is_asked_fetched_from_and_pushed_to() {
    let origin = format!("https://{}", Forge::NAME);
    let place = Place::at(PASSWORD, |_| origin.clone());
    let there = format!("{}:443", Forge::NAME);
    let places = [(there.as_str(), place.forge.port())];
    let company = Company::start(&format!("user:{WORD}"), &places).unwrap();
    let proxy = company.url(&format!("user:{WORD}@"));
    let house = place.house.with("HTTPS_PROXY", &proxy).with("MIDWATCH_IDLE_SECONDS", "60");
    let place = Place { house, ..place };
    let asked = || {
        let seen = company.take();
        let expected = format!("200 CONNECT {there} HTTP/1.1");
        assert!(seen.iter().all(|line| *line == expected), "{seen:?}");
        seen.len()
    };

    let pushed = place.push(&["--name", "here", "--branch", "fix/here"]);
    pushed.is_done();
    assert!(place.has("fix/here") && asked() >= 2);
    assert!(!pushed.stdout.contains(WORD) && !pushed.stderr.contains(WORD));

    // The same server as a URL, of which there is no checkout.
    let (status, mut order) = place.house.ask("GET", "/v1/tasks/here/order", &Value::Null);
    assert_eq!(status, 200, "{order}");
    order["repository"] = json!({ "url": format!("{origin}/o.git") });
    order["base"] = "".into();
    order["push"] = false.into();
    order["branch"] = "fix/there".into();
    let submit = |resolves: bool, https: Option<&str>| {
        let text = json!({"https": https, "http": null, "noProxy": "", "resolves": resolves});
        let login = json!({"user": "user", "password": PASSWORD});
        let submit = json!({"name": "there", "order": order, "secret": null, "login": login,
                            "proxy": text.to_string()});
        place.house.ask("POST", "/v1/tasks", &submit)
    };
    // The controls: without the proxy, and where a name that is not known here is not handed on.
    let before = place.forge.seen().len();
    let (status, told) = submit(true, None);
    assert!(status >= 400, "{told}");
    let (status, told) = submit(false, Some(&proxy));
    assert!(status >= 400 && told.to_string().contains("MIDWATCH_PROXY_RESOLVES=1"), "{told}");
    assert_eq!((asked(), place.forge.seen().len()), (0, before));

    let (status, told) = submit(true, Some(&proxy));
    assert!(status < 300, "{told}");
    place.house.midwatch(&place.repository, &["wait", "there"]).is_done();
    assert!(place.has("fix/there") && asked() >= 3);
}
