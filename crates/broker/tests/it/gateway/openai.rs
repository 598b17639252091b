//! OpenAI's two APIs.

use midwatch_broker::{CredentialSource, Egress, LimitState, ModelGrant, Record, WireApi};

use crate::world::{Provider, Step, World, model, whole};

async fn world(answer: Step) -> (Provider, World) {
    let provider = Provider::answering(vec![answer]).await;
    let grant = ModelGrant {
        credential: Some(CredentialSource::OpenAiKey("sk-openai-real".into())),
        api: WireApi::OpenAi,
        ..model(&format!("{}/v1", provider.url()))
    };
    let world = World::new(Some(grant), Egress::None);
    (provider, world)
}

#[tokio::test]
async fn both_apis_pass_with_the_key_and_are_counted() {
    let body = "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":50,\
                \"input_tokens_details\":{\"cached_tokens\":40},\"output_tokens\":6}}}\n\n";
    let (provider, mut world) =
        world(whole("200 OK", "content-type: text/event-stream\r\n", body)).await;
    for path in ["/v1/responses", "/responses", "/v1/chat/completions"] {
        assert_eq!(world.ask("POST", path, "{}").await.status, 200, "{path}");
        let Record::Answer { tokens, cut: false, .. } = world.record().await else { panic!() };
        assert_eq!((tokens.input, tokens.cached, tokens.output), (50, 40, 6));
    }
    let heads = provider.heads();
    assert!(
        heads[0].starts_with("post /v1/responses ") && heads[1].starts_with("post /v1/responses ")
    );
    assert!(heads[2].starts_with("post /v1/chat/completions "));
    assert!(heads.iter().all(|head| head.contains("authorization: bearer sk-openai-real\r\n")));
    assert!(!heads.iter().any(|head| head.contains("x-api-key")));
}

#[tokio::test]
async fn a_websocket_is_answered_426_and_errors_have_openais_shape() {
    let (provider, world) = world(whole("200 OK", "", "{}")).await;
    let headers = format!(
        "authorization: Bearer {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
        world.token
    );
    let ask = crate::world::ask;
    let reply = ask(&world.gateway(), "GET", "/v1/responses", &headers, "").await;
    assert_eq!((reply.status, reply.refusal()), (426, Some("WebSocket")));
    assert_eq!(world.ask("GET", "/v1/responses", "").await.status, 426);
    let reply = ask(&world.gateway(), "POST", "/v1/responses", "", "{}").await;
    assert_eq!(reply.status, 401);
    assert!(reply.body.contains("\"code\":\"TokenMissing\""), "{}", reply.body);
    assert!(provider.heads().is_empty());
}

#[tokio::test]
async fn a_usage_limit_in_the_body_is_kept_with_its_reset() {
    let body = "{\"error\":{\"type\":\"usage_limit_reached\",\"resets_at\":1700000000}}";
    let answer = whole("429 Too Many Requests", "content-type: application/json\r\n", body);
    let (_provider, mut world) = world(answer).await;
    assert_eq!(world.ask("POST", "/v1/responses", "{}").await.status, 429);
    let Record::Answer { limit, .. } = world.record().await else { panic!() };
    assert_eq!(limit, Some(LimitState { reached: true, resets_at: Some(1_700_000_000) }));
}
