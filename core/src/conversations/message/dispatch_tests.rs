//! Sending over a gateway, from `messages.send` to what the gateway was asked: the acceptance cases of the gateway, WAHA and inbound
//! flow pages that are about it.

use crate::engine::Project;
use crate::http::{HttpFailure, HttpMethod, HttpRequest, HttpResponse};
use crate::kernel::ProjectId;
use crate::storage::MemoryStorage;
use crate::testing::{FakeOutside, World, block_on};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// What a provider says. The library has an error of the same name, which this is not.
const LIMITED: &str = concat!("rate", "_limited");
const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));

pub(super) struct Shop {
    pub world: World,
    pub project: Project,
    pub outside: Arc<FakeOutside>,
    pub channel: Value,
}

type Answer = Result<HttpResponse, HttpFailure>;

/// A gateway that knows every number and takes every message.
pub(super) fn willing(request: &HttpRequest) -> Answer {
    if request.url.contains("/check-exists") {
        return Ok(HttpResponse::new(200, r#"{"numberExists":true,"chatId":"551190000001@c.us"}"#));
    }
    let body: Value = serde_json::from_slice(&request.body).expect("a body is JSON");
    let id = format!("true_{}_ID{}", body["chatId"].as_str().expect("a chat"), body["text"].as_str().unwrap_or("F"));
    Ok(HttpResponse::new(201, json!({"id": id, "timestamp": 1}).to_string()))
}

impl Shop {
    pub fn new(script: impl FnMut(&HttpRequest) -> Answer + Send + 'static) -> Shop {
        let outside = FakeOutside::new(script);
        let world = World::with_http(Arc::new(MemoryStorage::default()), outside.clone());
        let project = world.found(PROJECT);
        let mut shop = Shop { world, project, outside, channel: Value::Null };
        let channel = json!({
            "name": "Line", "type": "waha", "external_id": "session-one",
            "config": {"base_url": "https://waha.example.com/", "api_key": "k-0123456789abcdef"},
        });
        shop.channel = shop.call("channels.create", channel)["id"].clone();
        shop.call("channels.activate", json!({"id": shop.channel}));
        shop.call("channels.report_connection", json!({"id": shop.channel, "connection": "connected"}));
        shop
    }

    #[track_caller]
    pub fn call(&self, operation: &str, input: Value) -> Value {
        let output = block_on(self.world.crm.call(operation, self.project.context(), input.to_string().as_bytes()));
        let output = output.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
        serde_json::from_str(&output).expect("an output is JSON")
    }

    #[track_caller]
    pub fn contact(&self, phone: &str) -> Value {
        self.call("contacts.create", json!({"name": "Ana", "phone": phone}))["id"].clone()
    }

    #[track_caller]
    pub fn send(&self, contact: &Value, body: &str) -> Value {
        self.send_content(contact, json!({"type": "text", "body": body}))
    }

    #[track_caller]
    pub fn send_content(&self, contact: &Value, content: Value) -> Value {
        let input = json!({"contact_id": contact, "channel_id": self.channel, "content": content});
        self.call("messages.send", input)["id"].clone()
    }

    pub fn run(&self) {
        block_on(self.world.crm.run_pending()).expect("it runs");
    }

    pub fn wait(&self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        self.run();
    }

    #[track_caller]
    pub fn message(&self, id: &Value) -> Value {
        self.call("messages.get", json!({"id": id}))
    }

    /// The paths and bodies that the gateway was asked for.
    pub fn asked(&self) -> Vec<(String, Value)> {
        let path = |request: &HttpRequest| request.url.trim_start_matches("https://waha.example.com").to_owned();
        let body = |request: &HttpRequest| serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        self.outside.asked().iter().map(|request| (path(request), body(request))).collect()
    }
}

/// Case 23 of the WAHA page.
#[test]
fn waha_case_23_a_number_is_asked_for_once_and_then_written_to() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    let first = shop.send(&ana, "Oi");
    shop.run();
    let asked = shop.outside.asked();
    assert_eq!((asked[0].method, asked[1].method), (HttpMethod::Get, HttpMethod::Post));
    assert_eq!(
        asked[0].url,
        "https://waha.example.com/api/contacts/check-exists?phone=5511990000001&session=session-one"
    );
    for request in &asked {
        assert!(request.headers.contains(&("x-api-key".to_owned(), "k-0123456789abcdef".to_owned())));
        assert!(!format!("{request:?}").contains("k-0123456789abcdef"));
    }
    assert_eq!(asked[1].url, "https://waha.example.com/api/sendText");
    let body: Value = serde_json::from_slice(&asked[1].body).expect("JSON");
    let told = json!({
        "chatId": "551190000001@c.us", "session": "session-one", "text": "Oi", "linkPreview": true,
        "linkPreviewHighQuality": false,
    });
    assert_eq!(body, told);
    let sent = shop.message(&first);
    assert_eq!(
        (&sent["status"], &sent["channel_message_id"], &sent["attempts"]),
        (&json!("sent"), &json!("IDOi"), &json!(1))
    );
    shop.send(&ana, "Tudo bem?");
    shop.run();
    assert_eq!(shop.asked().len(), 1, "the chat is known now");
    shop.world.assert_log_matches();
}

#[test]
fn waha_case_23_a_number_that_is_not_there_gets_nothing() {
    let shop = Shop::new(|_| Ok(HttpResponse::new(200, r#"{"numberExists":false}"#)));
    let id = shop.send(&shop.contact("+5511990000001"), "Oi");
    shop.run();
    let failed = shop.message(&id);
    assert_eq!((&failed["status"], &failed["failure"]["code"]), (&json!("failed"), &json!("invalid_recipient")));
    assert_eq!(shop.asked().len(), 1);
}

/// Case 31 of the inbound flow page.
#[test]
fn flow_case_31_a_chat_keeps_its_order() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    shop.send(&ana, "0");
    shop.run();
    shop.asked();
    for body in ["1", "2", "3"] {
        shop.send(&ana, body);
    }
    shop.outside.answer(|_| Err(HttpFailure::Connect));
    shop.run();
    assert_eq!(shop.asked().len(), 1, "the others wait for the first");
    shop.outside.answer(willing);
    shop.wait(7);
    let texts: Vec<Value> = shop.asked().into_iter().map(|(_, body)| body["text"].clone()).collect();
    assert_eq!(texts, ["1", "2", "3"]);
}

/// Case 14 of the gateway page.
#[test]
fn gateway_case_14_a_refused_credential_is_not_tried_again() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    shop.send(&ana, "0");
    shop.run();
    shop.asked();
    shop.outside.answer(|_| Ok(HttpResponse::new(401, r#"{"message":"Unauthorized","statusCode":401}"#)));
    let id = shop.send(&ana, "1");
    shop.run();
    shop.wait(3_600);
    let failed = shop.message(&id);
    assert_eq!((&failed["status"], &failed["failure"]["code"]), (&json!("failed"), &json!("auth_failed")));
    assert_eq!(
        (&failed["failure"]["reason"], &failed["failure"]["provider_code"]),
        (&json!("Unauthorized"), &json!("401"))
    );
    assert_eq!(shop.asked().len(), 1);
}

/// Case 16 of the gateway page: what did not arrive is sent again, what may have arrived waits for its echo.
#[test]
fn gateway_case_16_trouble_passes() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    shop.send(&ana, "0");
    shop.run();
    shop.asked();
    shop.outside.answer(|_| Ok(HttpResponse::new(503, "down")));
    let id = shop.send(&ana, "1");
    shop.run();
    assert_eq!(shop.message(&id)["status"], "queued");
    shop.outside.answer(willing);
    shop.wait(7);
    assert_eq!(shop.message(&id)["status"], "sent");
    assert_eq!(shop.asked().len(), 2);
}

/// Case 17 of the gateway page.
#[test]
fn gateway_case_17_silence_is_tried_once_more_and_marked() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    shop.send(&ana, "0");
    shop.run();
    shop.asked();
    shop.outside.answer(|_| Err(HttpFailure::Timeout { was_sent: true }));
    let id = shop.send(&ana, "1");
    shop.run();
    shop.wait(59);
    assert_eq!((shop.asked().len(), &shop.message(&id)["status"]), (1, &json!("sending")));
    shop.wait(2);
    assert_eq!(shop.asked().len(), 1);
    assert_eq!(shop.message(&id)["metadata"]["possible_duplicate"], true);
    shop.wait(61);
    shop.wait(120);
    let failed = shop.message(&id);
    assert_eq!((&failed["status"], &failed["failure"]["code"]), (&json!("failed"), &json!("unconfirmed")));
    assert!(shop.asked().is_empty());
}

/// Case 24 of the WAHA page, and the other contents.
#[test]
fn waha_case_24_every_content_goes_its_way() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    let media = |mime: &str| json!({"url": "https://files.example.com/a", "mime": mime, "filename": "a"});
    for (content, path, field, value) in [
        (
            json!({"type": "voice", "media": media("audio/mpeg"), "caption": null}),
            "/api/sendVoice",
            "convert",
            json!(true),
        ),
        (
            json!({"type": "voice", "media": media("audio/ogg; codecs=opus"), "caption": null}),
            "/api/sendVoice",
            "convert",
            json!(false),
        ),
        (
            json!({"type": "image", "media": media("image/png"), "caption": "Oi"}),
            "/api/sendImage",
            "caption",
            json!("Oi"),
        ),
        (
            json!({"type": "video", "media": media("video/mp4"), "caption": null}),
            "/api/sendVideo",
            "convert",
            json!(true),
        ),
        (
            json!({"type": "document", "media": media("application/pdf"), "caption": null}),
            "/api/sendFile",
            "file",
            json!({"url": "https://files.example.com/a", "mimetype": "application/pdf", "filename": "a"}),
        ),
        (
            json!({"type": "location", "location": {"latitude": -23.5, "longitude": -46.6, "name": "Loja", "address": null}}),
            "/api/sendLocation",
            "title",
            json!("Loja"),
        ),
    ] {
        let id = shop.send_content(&ana, content);
        shop.run();
        let asked = shop.asked().pop().expect("the gateway was asked");
        assert_eq!((asked.0.as_str(), &asked.1[field]), (path, &value));
        assert_eq!(shop.message(&id)["status"], "sent", "{path}");
    }
}

/// Case 29 of the inbound flow page: the queue waits for its line.
#[test]
fn flow_case_29_a_line_that_is_away_is_waited_for() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    shop.call("channels.report_connection", json!({"id": shop.channel, "connection": "stopped"}));
    let id = shop.send(&ana, "Oi");
    shop.run();
    assert!(shop.asked().is_empty());
    shop.call("channels.report_connection", json!({"id": shop.channel, "connection": "connected"}));
    shop.wait(100);
    assert_eq!(shop.message(&id)["status"], "sent");
}

/// Case 32 of the inbound flow page, without a key that the gateway knows: who dies after the call is followed by one more try.
#[test]
fn flow_case_32_who_dies_after_the_call_is_followed() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    shop.send(&ana, "0");
    shop.run();
    shop.asked();
    let id = shop.send(&ana, "1");
    // The plan commits, the call is made, and nobody settles it: as if the process had gone.
    let call = block_on(shop.world.crm.claim_calls(1)).expect("it is due").remove(0);
    let world = &shop.world;
    shop.outside.answer(|_| panic!("the process dies here"));
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block_on(call.run()).map(drop)));
    assert!(died.is_err());
    shop.outside.answer(willing);
    world.clock.advance_seconds(59);
    shop.run();
    assert!(shop.asked().is_empty());
    shop.wait(60);
    let sent = shop.message(&id);
    assert_eq!((&sent["status"], &sent["metadata"]["possible_duplicate"]), (&json!("sent"), &json!(true)));
    assert_eq!(shop.asked().len(), 1);
}

#[test]
fn a_scheduled_message_goes_out_in_its_time_and_a_cancelled_one_never() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    let input = |at: &str| json!({"contact_id": ana, "channel_id": shop.channel, "content": {"type": "text", "body": "Oi"}, "scheduled_at": at});
    let soon = shop.call("messages.send", input("2025-01-06T10:00:00Z"))["id"].clone();
    let never = shop.call("messages.send", input("2025-01-06T10:00:00Z"))["id"].clone();
    shop.run();
    assert!(shop.asked().is_empty());
    shop.call("messages.cancel", json!({"id": never}));
    shop.wait(3_600);
    assert_eq!(shop.message(&soon)["status"], "sent");
    assert_eq!(shop.message(&never)["status"], "cancelled");
    assert_eq!(shop.asked().iter().filter(|(path, _)| path == "/api/sendText").count(), 1);
}

/// Who hands messages over by itself need not say where the gateway is, and nobody is in its way.
#[test]
fn a_channel_without_an_address_is_the_host_s() {
    let shop = Shop::new(willing);
    let channel = json!({"name": "Other", "type": "whatsapp_business"});
    let channel = shop.call("channels.create", channel)["id"].clone();
    shop.call("channels.activate", json!({"id": channel}));
    shop.call("channels.report_connection", json!({"id": channel, "connection": "connected"}));
    let contact = shop.contact("+5511990000001");
    let content = json!({"type": "text", "body": "Oi"});
    let input = json!({"contact_id": contact, "channel_id": channel, "content": content});
    let id = shop.call("messages.send", input)["id"].clone();
    shop.wait(120);
    let waiting = shop.message(&id);
    assert_eq!((&waiting["status"], &waiting["attempts"]), (&json!("queued"), &json!(0)));
    let claimed = shop.call("messages.claim_due", json!({}));
    assert_eq!(claimed[0]["message"]["id"], id);
    shop.call("messages.report_delivery", json!({"id": id, "status": "sent", "attempt": 1}));
    shop.wait(120);
    assert!(shop.asked().is_empty());
    let job = shop.call("jobs.list", json!({"kind": "message.send"}));
    assert_eq!(job["items"][0]["state"], "succeeded");
}

#[test]
fn a_reply_names_what_it_answers() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    let first = shop.send(&ana, "Oi");
    shop.run();
    let content = json!({"type": "text", "body": "De novo"});
    let input = json!({"contact_id": ana, "channel_id": shop.channel, "content": content, "reply_to_id": first});
    shop.call("messages.send", input);
    shop.run();
    let (_, body) = shop.asked().pop().expect("it was sent");
    assert_eq!(body["reply_to"], "true_551190000001@c.us_IDOi");
}

#[test]
fn a_channel_sends_with_the_secret_of_its_credential() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    let credential = json!({"credential_type": "waha_instance", "name": "WAHA", "value": "k-of-the-credential"});
    let credential = shop.call("credentials.create", credential)["id"].clone();
    let line = json!({
        "name": "Other", "type": "waha", "external_id": "session-two", "credential_id": credential,
        "config": {"base_url": "https://waha.example.com/"},
    });
    let line = shop.call("channels.create", line)["id"].clone();
    shop.call("channels.activate", json!({"id": line}));
    shop.call("channels.report_connection", json!({"id": line, "connection": "connected"}));
    let send = json!({"contact_id": ana, "channel_id": line, "content": {"type": "text", "body": "Oi"}});
    let id = shop.call("messages.send", send.clone())["id"].clone();
    shop.run();
    assert_eq!(shop.message(&id)["status"], "sent");
    let asked = shop.outside.asked();
    let key = ("x-api-key".to_owned(), "k-of-the-credential".to_owned());
    assert!(!asked.is_empty() && asked.iter().all(|request| request.headers.contains(&key)));
    let used = shop.call("credentials.get", json!({"id": credential}));
    assert!(used["recorded_uses"].get("message.send").is_some(), "{used}");

    let waits = shop.call("messages.send", send)["id"].clone();
    shop.call("credentials.deactivate", json!({"id": credential, "reason": "lost"}));
    shop.wait(100);
    assert_eq!((&shop.message(&waits)["status"], shop.asked().len()), (&json!("queued"), 0));
}

/// A provider that takes no more now is asked again when it says, and the message loses no try by that.
#[test]
fn being_put_off_costs_no_try() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    shop.send(&ana, "first");
    shop.run();
    let busy = |after: Option<&str>| {
        let headers = after.map(|after| ("Retry-After".to_owned(), after.to_owned()));
        let headers: Vec<(String, String)> = headers.into_iter().collect();
        shop.outside.answer(move |_| Ok(HttpResponse { headers: headers.clone(), ..HttpResponse::new(429, "{}") }));
    };
    busy(Some("300"));
    let id = shop.send(&ana, "Oi");
    shop.asked();
    shop.run();
    assert_eq!(shop.asked().len(), 1);
    let waiting = shop.message(&id);
    let shown = (&waiting["status"], &waiting["attempts"], &waiting["failure"]["code"]);
    assert_eq!(shown, (&json!("queued"), &json!(0), &json!(LIMITED)));
    shop.wait(299);
    assert_eq!(shop.asked().len(), 0, "it said when");
    busy(None);
    for _ in 0..11 {
        shop.wait(75);
        assert_eq!((shop.asked().len(), shop.message(&id)["attempts"].clone()), (1, json!(0)));
    }
    shop.outside.answer(willing);
    shop.wait(75);
    let sent = shop.message(&id);
    assert_eq!((&sent["status"], &sent["attempts"]), (&json!("sent"), &json!(1)));
    shop.world.assert_log_matches();
}

#[test]
fn who_is_put_off_for_a_day_uses_up_tries() {
    let shop = Shop::new(willing);
    let ana = shop.contact("+5511990000001");
    shop.send(&ana, "first");
    shop.run();
    shop.outside.answer(|_| Ok(HttpResponse::new(429, "{}")));
    let id = shop.send(&ana, "Oi");
    shop.run();
    shop.wait(24 * 3600);
    assert_eq!(shop.message(&id)["attempts"], 1);
    for _ in 0..6 {
        shop.wait(400);
    }
    let failed = shop.message(&id);
    let shown = (&failed["status"], &failed["attempts"], &failed["failure"]["code"]);
    assert_eq!(shown, (&json!("failed"), &json!(5), &json!(LIMITED)));
    let input = json!({"id": id, "status": "failed", "failure": {"code": LIMITED, "retry_after_seconds": -1}});
    let input = input.to_string();
    let refused = block_on(shop.world.crm.call("messages.report_delivery", shop.project.context(), input.as_bytes()));
    let refused = refused.expect_err("no such pause");
    assert_eq!(refused.field(), Some("failure.retry_after_seconds"));
}
