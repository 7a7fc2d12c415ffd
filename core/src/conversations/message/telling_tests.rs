//! What a provider hears of edits, taking back, reactions and reading: in which order, how often, and of what it hears nothing.

use super::dispatch_tests::{Shop, willing};
use crate::http::{HttpFailure, HttpMethod, HttpRequest, HttpResponse};
use crate::kernel::ErrorCode;
use crate::testing::block_on;
use serde_json::{Value, json};

type Answer = Result<HttpResponse, HttpFailure>;

const CHAT: &str = "551190000001@c.us";
/// A message of ours with the text `Oi`, as a path.
const OURS: &str = "/api/session-one/chats/551190000001%40c.us/messages/true_551190000001%40c.us_IDOi";
const KINDS: [&str; 4] = ["channel.message_edit", "channel.message_revoke", "channel.reaction", "channel.mark_read"];

/// A gateway that does everything, and says so in one word.
fn obliging(request: &HttpRequest) -> Answer {
    let is_send = request.url.contains("/check-exists") || request.url.ends_with("/sendText");
    if is_send { willing(request) } else { Ok(HttpResponse::new(200, "true")) }
}

fn says(status: u16, body: &'static str) -> impl FnMut(&HttpRequest) -> Answer + Send + 'static {
    move |_| Ok(HttpResponse::new(status, body))
}

impl Shop {
    /// With a message of ours that was sent.
    fn with_sent() -> (Shop, Value) {
        let shop = Shop::new(obliging);
        let id = shop.send(&shop.contact("+5511990000001"), "Oi");
        shop.run();
        assert_eq!(shop.message(&id)["status"], "sent");
        shop.outside.asked();
        (shop, id)
    }

    /// Methods, paths and bodies since the last look.
    fn told(&self) -> Vec<(HttpMethod, String, Value)> {
        let path = |request: &HttpRequest| request.url.trim_start_matches("https://waha.example.com").to_owned();
        let body = |request: &HttpRequest| serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        self.outside.asked().iter().map(|request| (request.method, path(request), body(request))).collect()
    }

    /// The jobs that tell providers, oldest first: kinds, states, errors.
    fn jobs(&self) -> Vec<(String, String, String)> {
        let page = self.call("jobs.list", json!({"limit": 100}));
        let mut jobs = page["items"].as_array().expect("a page").clone();
        jobs.retain(|job| KINDS.iter().any(|kind| job["kind"] == *kind));
        jobs.sort_by_key(|job| job["id"].to_string());
        let text = |job: &Value, field: &str| job[field].as_str().unwrap_or_default().to_owned();
        jobs.iter().map(|job| (text(job, "kind"), text(job, "state"), text(job, "last_error"))).collect()
    }

    fn states(&self) -> Vec<String> {
        self.jobs().into_iter().map(|(_, state, _)| state).collect()
    }

    /// What the gateway tells, as the host hands it over.
    #[track_caller]
    fn deliver(&self, kind: &str, payload: Value) {
        let raw = json!({
            "event": kind, "session": "session-one", "timestamp": 1_736_154_000_000_i64, "payload": payload,
            "me": {"id": "551150000001@c.us", "pushName": "Business One"},
        });
        self.call("inbound.accept", json!({"channel_id": self.channel, "raw": raw.to_string()}));
        self.run();
    }

    /// A message of the contact.
    #[track_caller]
    fn hear(&self, stanza: &str, chat: &str, participant: Option<&str>) -> Value {
        let id = participant
            .map_or(format!("false_{chat}_{stanza}"), |participant| format!("false_{chat}_{stanza}_{participant}"));
        let payload = json!({
            "id": id, "timestamp": 1_736_154_000, "from": chat, "participant": participant, "fromMe": false,
            "body": "Bom dia", "hasMedia": false, "media": null,
        });
        self.deliver("message.any", payload);
        let found = self.call("messages.find", json!({"channel_id": self.channel, "channel_message_id": stanza}));
        assert!(found["id"].is_string(), "{found}");
        found["id"].clone()
    }

    /// In seconds, as providers tell the time.
    fn now(&self) -> i64 {
        self.world.crm.core().now().micros() / 1_000_000
    }

    fn version(&self, id: &Value) -> Value {
        let message = self.message(id);
        json!([message["version"], message["reactions"], message["edits"], message["content"], message["revoked_at"]])
    }

    #[track_caller]
    fn refused(&self, operation: &str, input: Value) -> ErrorCode {
        let input = input.to_string();
        let call = self.world.crm.call(operation, self.project.context(), input.as_bytes());
        block_on(call).expect_err("it is refused").code()
    }
}

#[test]
fn an_edit_is_told_with_its_text() {
    let (shop, id) = Shop::with_sent();
    shop.call("messages.edit", json!({"id": id, "text": "Olá"}));
    assert!(shop.told().is_empty(), "nothing is called inside a command");
    shop.run();
    assert_eq!(shop.told(), [(HttpMethod::Put, OURS.to_owned(), json!({"text": "Olá"}))]);
    assert_eq!(shop.jobs(), [(KINDS[0].to_owned(), "succeeded".to_owned(), String::new())]);
    shop.world.assert_log_matches();
}

#[test]
fn taking_back_is_told_once() {
    let (shop, id) = Shop::with_sent();
    for _ in 0..2 {
        shop.call("messages.revoke", json!({"id": id}));
        shop.run();
    }
    assert_eq!(shop.told(), [(HttpMethod::Delete, OURS.to_owned(), Value::Null)]);
    assert_eq!(shop.states(), ["succeeded"]);
}

#[test]
fn reactions_go_out_and_are_taken_back() {
    let (shop, ours) = Shop::with_sent();
    let theirs = shop.hear("2A01", CHAT, None);
    let long = [format!("true_{CHAT}_IDOi"), format!("false_{CHAT}_2A01")];
    for (id, long) in [&ours, &theirs].into_iter().zip(&long) {
        for emoji in ["👍", "👍", ""] {
            shop.call("messages.react", json!({"id": id, "emoji": emoji}));
            shop.run();
        }
        let body = |emoji: &str| json!({"session": "session-one", "messageId": long, "reaction": emoji});
        let put = |emoji: &str| (HttpMethod::Put, "/api/reaction".to_owned(), body(emoji));
        assert_eq!(shop.told(), [put("👍"), put("")]);
    }
    assert_eq!(shop.states(), ["succeeded"; 4]);
}

#[test]
fn only_the_last_of_several_changes_is_told() {
    let (shop, id) = Shop::with_sent();
    for text in ["1", "2", "3"] {
        shop.call("messages.edit", json!({"id": id, "text": text}));
        shop.call("messages.react", json!({"id": id, "emoji": format!("{text}\u{20e3}")}));
    }
    assert_eq!(shop.message(&id)["content"]["body"], "3", "the clock stands still, and the last edit is the text");
    shop.run();
    let told: Vec<Value> = shop.told().into_iter().map(|(_, _, body)| body).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((&told[0]["text"], &told[1]["reaction"]), (&json!("3"), &json!("3\u{20e3}")));
    assert_eq!(shop.states(), ["succeeded"; 6]);
}

/// A change made while the one before it is on its way is told after it.
#[test]
fn a_change_during_the_call_is_told_too() {
    let (shop, id) = Shop::with_sent();
    shop.call("messages.edit", json!({"id": id, "text": "first"}));
    let call = block_on(shop.world.crm.claim_calls(1)).expect("it is due").remove(0);
    let (crm, context, input) = (shop.world.crm.clone(), shop.project.context(), json!({"id": id, "text": "second"}));
    shop.outside.answer(move |_| {
        block_on(crm.call("messages.edit", context.clone(), input.to_string().as_bytes())).expect("it is edited");
        Ok(HttpResponse::new(200, "{}"))
    });
    assert!(block_on(call.run()).expect("it ends"));
    shop.outside.answer(obliging);
    shop.run();
    let texts: Vec<Value> = shop.told().into_iter().map(|(_, _, body)| body["text"].clone()).collect();
    assert_eq!(texts, ["first", "second"]);
}

#[test]
fn what_was_taken_back_is_neither_edited_nor_reacted_to_any_more() {
    let (shop, id) = Shop::with_sent();
    shop.call("messages.edit", json!({"id": id, "text": "Olá"}));
    shop.call("messages.react", json!({"id": id, "emoji": "👍"}));
    shop.call("messages.revoke", json!({"id": id}));
    shop.run();
    let methods: Vec<HttpMethod> = shop.told().into_iter().map(|(method, ..)| method).collect();
    assert_eq!(methods, [HttpMethod::Delete]);
}

#[test]
fn what_waits_goes_out_changed_and_its_reaction_after_it() {
    let (shop, sent) = Shop::with_sent();
    shop.outside.answer(|_| Err(HttpFailure::Connect));
    let chat = shop.message(&sent)["chat_id"].clone();
    let input = json!({"chat_id": chat, "content": {"type": "text", "body": "12h"}});
    let waiting = shop.call("messages.send", input)["id"].clone();
    shop.run();
    shop.call("messages.edit", json!({"id": waiting, "text": "13h"}));
    shop.call("messages.react", json!({"id": waiting, "emoji": "👍"}));
    shop.run();
    assert!(shop.told().iter().all(|(_, path, _)| path == "/api/sendText"), "what was not sent cannot be reacted to");
    shop.outside.answer(obliging);
    for _ in 0..4 {
        shop.wait(80);
    }
    let told: Vec<(String, Value)> = shop.told().into_iter().map(|(_, path, body)| (path, body)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((told[0].0.as_str(), &told[0].1["text"]), ("/api/sendText", &json!("13h")));
    assert_eq!((told[1].0.as_str(), &told[1].1["reaction"]), ("/api/reaction", &json!("👍")));
    assert_eq!(shop.jobs().len(), 1, "the edit needs no job");
}

#[test]
fn reading_is_told_once_for_each_chat_and_author() {
    let (shop, _) = Shop::with_sent();
    shop.call("channels.update", json!({"id": shop.channel, "allow_groups": true}));
    let group = "120363000000000001@g.us";
    let (ana, bia) = ("551190000001@c.us", "551190000002@c.us");
    let own = ["2A01", "2A02"].map(|stanza| shop.hear(stanza, CHAT, None));
    let in_group = [("2A03", ana), ("2A04", bia)].map(|(stanza, who)| shop.hear(stanza, group, Some(who)));
    let ids: Vec<Value> = own.into_iter().chain(in_group).collect();
    for _ in 0..2 {
        shop.call("messages.mark_read", json!({"ids": ids}));
        shop.run();
    }
    let mut told: Vec<Value> = shop.told().into_iter().map(|(_, path, body)| json!([path, body])).collect();
    told.sort_by_key(|told| told[1]["messageIds"].to_string());
    let seen = |chat: &str, ids: Value, participant: Option<&str>| {
        let mut body = json!({"session": "session-one", "chatId": chat, "messageIds": ids});
        if let Some(participant) = participant {
            body["participant"] = participant.into();
        }
        json!(["/api/sendSeen", body])
    };
    let expected = [
        seen(group, json!([format!("false_{group}_2A03_{ana}")]), Some(ana)),
        seen(group, json!([format!("false_{group}_2A04_{bia}")]), Some(bia)),
        seen(CHAT, json!([format!("false_{CHAT}_2A01"), format!("false_{CHAT}_2A02")]), None),
    ];
    assert_eq!(told, expected);
}

#[test]
fn reading_a_chat_is_told_of_what_was_not_read_before() {
    let (shop, id) = Shop::with_sent();
    let chat = shop.message(&id)["chat_id"].clone();
    let seen = |shop: &Shop| -> Vec<Value> {
        shop.run();
        shop.told().into_iter().map(|(_, _, body)| body["messageIds"].clone()).collect()
    };
    let first = shop.hear("2A01", CHAT, None);
    shop.hear("2A02", CHAT, None);
    shop.call("messages.mark_read", json!({"ids": [first]}));
    assert_eq!(seen(&shop), [json!([format!("false_{CHAT}_2A01")])]);
    shop.call("chats.mark_read", json!({"id": chat}));
    assert_eq!(seen(&shop), [json!([format!("false_{CHAT}_2A02")])]);
    shop.call("chats.mark_read", json!({"id": chat}));
    assert!(seen(&shop).is_empty());
}

#[test]
fn trouble_passes_within_five_tries() {
    for (name, answer) in [
        ("down", Ok(HttpResponse::new(503, "down"))),
        ("not reached", Err(HttpFailure::Connect)),
        ("silent", Err(HttpFailure::Timeout { was_sent: true })),
    ] {
        let (shop, id) = Shop::with_sent();
        shop.outside.answer(move |_| answer.clone());
        shop.call("messages.revoke", json!({"id": id}));
        shop.run();
        shop.wait(7);
        assert_eq!((shop.told().len(), shop.states()), (2, vec!["scheduled".to_owned()]), "{name}");
        shop.outside.answer(obliging);
        shop.wait(13);
        assert_eq!((shop.told().len(), shop.states()), (1, vec!["succeeded".to_owned()]), "{name}");
    }
    let (shop, id) = Shop::with_sent();
    shop.outside.answer(says(503, "down"));
    shop.call("messages.edit", json!({"id": id, "text": "x"}));
    shop.run();
    for _ in 0..20 {
        shop.wait(100);
    }
    assert_eq!(shop.told().len(), 5);
    let dead = (KINDS[0].to_owned(), "dead".to_owned(), "unavailable 503: no reason given".to_owned());
    assert_eq!(shop.jobs(), [dead]);
}

#[test]
fn what_is_refused_is_dead_at_once_and_says_why() {
    for (status, body, error) in [
        (404, r#"{"message":"no such message"}"#, "not_found 404: no such message"),
        (400, r#"{"message":"too old"}"#, "invalid_request 400: too old"),
        (403, "", "auth 403: no reason given"),
        (401, r#"{"message":"Unauthorized","statusCode":401}"#, "auth 401: Unauthorized"),
    ] {
        let (shop, id) = Shop::with_sent();
        shop.outside.answer(says(status, body));
        shop.call("messages.edit", json!({"id": id, "text": "x"}));
        shop.run();
        shop.wait(24 * 3_600);
        assert_eq!(shop.told().len(), 1, "{status}");
        assert_eq!(shop.jobs(), [(KINDS[0].to_owned(), "dead".to_owned(), error.to_owned())]);
        let dead = shop.call("events.list", json!({"filter": {"field": "type", "op": "eq", "value": "job.dead"}}));
        assert_eq!(dead["items"][0]["data"]["job_kind"], KINDS[0], "{dead}");
        let channel = shop.call("channels.get", json!({"id": shop.channel}));
        let is_refused = error.starts_with("auth");
        assert_eq!(channel["connection"] == "unauthorized", is_refused, "{channel}");
        assert_eq!(channel["status"] == "error", is_refused, "{channel}");
        assert_eq!(shop.message(&id)["content"]["body"], "x");
    }
}

#[test]
fn being_put_off_costs_no_try_and_ends_after_a_day() {
    let (shop, id) = Shop::with_sent();
    let headers = vec![("Retry-After".to_owned(), "300".to_owned())];
    shop.outside.answer(move |_| Ok(HttpResponse { headers: headers.clone(), ..HttpResponse::new(429, "{}") }));
    shop.call("messages.react", json!({"id": id, "emoji": "👍"}));
    shop.run();
    shop.wait(299);
    assert_eq!(shop.told().len(), 1, "it said when");
    for _ in 0..9 {
        shop.wait(300);
    }
    assert_eq!((shop.told().len(), shop.states()), (9, vec!["scheduled".to_owned()]));
    shop.wait(24 * 3_600);
    for _ in 0..9 {
        shop.wait(300);
    }
    assert_eq!((shop.told().len(), shop.states()), (5, vec!["dead".to_owned()]));
}

#[test]
fn a_line_that_is_away_is_waited_for_and_not_for_ever() {
    let (shop, id) = Shop::with_sent();
    shop.call("channels.report_connection", json!({"id": shop.channel, "connection": "stopped"}));
    shop.call("messages.edit", json!({"id": id, "text": "x"}));
    shop.run();
    shop.wait(3_600);
    assert_eq!((shop.told().len(), shop.states()), (0, vec!["scheduled".to_owned()]));
    shop.call("channels.report_connection", json!({"id": shop.channel, "connection": "connected"}));
    shop.outside.answer(says(422, r#"{"statusCode":422,"error":"x","session":"session-one","status":"STARTING"}"#));
    for _ in 0..8 {
        shop.wait(720);
    }
    assert_eq!((shop.told().len(), shop.states()), (8, vec!["scheduled".to_owned()]), "no try is lost by that");
    shop.outside.answer(obliging);
    shop.wait(720);
    assert_eq!((shop.told().len(), shop.states()), (1, vec!["succeeded".to_owned()]));
}

#[test]
fn a_line_that_is_away_for_a_day_is_given_up() {
    let (shop, id) = Shop::with_sent();
    shop.call("channels.report_connection", json!({"id": shop.channel, "connection": "stopped"}));
    shop.call("messages.edit", json!({"id": id, "text": "x"}));
    shop.wait(24 * 3_600 - 1);
    assert_eq!(shop.states(), ["scheduled"]);
    shop.wait(100);
    let dead = (KINDS[0].to_owned(), "dead".to_owned(), "the channel was away for a day".to_owned());
    assert_eq!(shop.jobs(), [dead]);
    assert!(shop.told().is_empty());
}

#[test]
fn what_cannot_be_done_is_not_asked_for() {
    let (shop, _) = Shop::with_sent();
    let context = crate::engine::Context::new(None, crate::kernel::ActorRef::system(crate::kernel::Component::Host));
    let kind = json!({
        "code": "plain", "gateway": "waha", "display_name": "Plain", "provider": "waha", "family": "whatsapp",
        "config_schema": [{"key": "base_url", "type": "string", "label": "Address"}],
        "capabilities": {"outbound_types": ["text"], "inbound_types": ["text"]},
    });
    block_on(shop.world.crm.call("channel_types.create", context, kind.to_string().as_bytes())).expect("it is made");
    let channel = json!({
        "name": "Plain", "type": "plain", "external_id": "session-one",
        "config": {"base_url": "https://waha.example.com"},
    });
    let channel = shop.call("channels.create", channel)["id"].clone();
    shop.call("channels.activate", json!({"id": channel}));
    shop.call("channels.report_connection", json!({"id": channel, "connection": "connected"}));
    let plain = Shop { channel, ..shop };
    let ours = plain.send(&plain.contact("+5511990000009"), "Oi");
    plain.run();
    assert_eq!(plain.message(&ours)["status"], "sent");
    let theirs = plain.hear("2A01", CHAT, None);
    plain.told();
    for (operation, input) in [
        ("messages.edit", json!({"id": ours, "text": "x"})),
        ("messages.revoke", json!({"id": ours})),
        ("messages.react", json!({"id": ours, "emoji": "👍"})),
    ] {
        assert_eq!(plain.refused(operation, input), ErrorCode::CapabilityMissing, "{operation}");
    }
    plain.call("messages.mark_read", json!({"ids": [theirs]}));
    plain.run();
    assert_eq!((plain.told().len(), plain.jobs().len()), (0, 0));
}

/// A kind of channel that lost an ability since the command.
#[test]
fn gateway_case_10_without_the_capability_no_request_is_built() {
    let (shop, id) = Shop::with_sent();
    shop.call("messages.edit", json!({"id": id, "text": "x"}));
    let system = || crate::engine::Context::new(None, crate::kernel::ActorRef::system(crate::kernel::Component::Host));
    let mut kind = shop.call("channel_types.find", json!({"code": "waha"}));
    kind["capabilities"]["edit"] = json!(false);
    let less = json!({"id": kind["id"], "capabilities": kind["capabilities"]}).to_string();
    block_on(shop.world.crm.call("channel_types.update", system(), less.as_bytes())).expect("it is changed");
    shop.run();
    assert!(shop.told().is_empty());
    let dead = (KINDS[0].to_owned(), "dead".to_owned(), "unsupported: the channel cannot do this".to_owned());
    assert_eq!(shop.jobs(), [dead]);
}

/// Who sends by itself tells its provider by itself, and hears of it in the log.
#[test]
fn a_channel_without_an_address_is_the_host_s_to_tell() {
    let (shop, _) = Shop::with_sent();
    let channel = shop.call("channels.create", json!({"name": "Other", "type": "whatsapp_business"}))["id"].clone();
    shop.call("channels.activate", json!({"id": channel}));
    shop.call("channels.report_connection", json!({"id": channel, "connection": "connected"}));
    let other = Shop { channel, ..shop };
    let id = other.send(&other.contact("+5511990000002"), "Oi");
    other.call("messages.claim_due", json!({"channel_id": other.channel}));
    other.call("messages.report_delivery", json!({"id": id, "status": "sent", "channel_message_id": "S1"}));
    other.call("messages.edit", json!({"id": id, "text": "Olá"}));
    other.call("messages.react", json!({"id": id, "emoji": "👍"}));
    other.call("messages.revoke", json!({"id": id}));
    other.run();
    assert_eq!((other.told().len(), other.jobs().len()), (0, 0));
    let subject =
        json!({"field": "subject", "op": "contains", "value": format!("message/{}", id.as_str().expect("an id"))});
    let events = other.call("events.list", json!({"filter": subject, "limit": 50}));
    let mut by_agents: Vec<&str> = Vec::new();
    for event in events["items"].as_array().expect("a page") {
        if event["data"]["by"]["type"] == "agent" || event["data"]["actor"]["type"] == "agent" {
            by_agents.push(event["type"].as_str().expect("a type"));
        }
    }
    by_agents.sort_unstable();
    assert_eq!(by_agents, ["message.edited", "message.reaction_added", "message.revoked"]);
}

#[test]
fn a_notice_is_unknown_there() {
    let (shop, sent) = Shop::with_sent();
    let call = json!({"id": "C1", "from": CHAT, "timestamp": 1_736_154_000, "isVideo": false, "isGroup": false});
    shop.deliver("call.received", call);
    let of_chat = json!({"field": "chat_id", "op": "eq", "value": shop.message(&sent)["chat_id"]});
    let found = shop.call("messages.list", json!({"filter": of_chat}));
    let notice = found["items"].as_array().expect("a page").iter().find(|it| it["direction"] == "internal");
    let notice = notice.expect("a notice of the call")["id"].clone();
    shop.call("messages.react", json!({"id": notice, "emoji": "👍"}));
    shop.run();
    assert_eq!((shop.told().len(), shop.jobs().len()), (0, 0));
}

/// Whatever the other side or our phone does is never sent back out.
#[test]
fn what_the_provider_tells_is_never_told_to_it() {
    let (shop, ours) = Shop::with_sent();
    shop.hear("2A01", CHAT, None);
    let me = "551150000001@c.us";
    for (from_me, from, to, stanza) in [(false, CHAT, me, "2A01"), (true, me, CHAT, "IDOi")] {
        let id = |stanza: &str| format!("{from_me}_{CHAT}_{stanza}");
        let base = json!({
            "id": id("9Z"), "timestamp": 1_736_154_100, "from": from, "to": to, "fromMe": from_me, "hasMedia": false,
        });
        let with = |more: Value| {
            let mut all = base.clone();
            all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            all
        };
        for text in ["👍", ""] {
            let reaction = json!({"reaction": {"text": text, "messageId": id(stanza)}});
            shop.deliver("message.reaction", with(reaction));
        }
        shop.deliver("message.edited", with(json!({"body": "other words", "editedMessageId": stanza})));
        shop.deliver("message.revoked", json!({"after": with(json!({})), "revokedMessageId": stanza, "before": null}));
        shop.deliver("message.ack", with(json!({"id": id(stanza), "ack": 3})));
    }
    let message = shop.message(&ours);
    assert_eq!(message["content"]["body"], "other words");
    assert!(message["revoked_at"].is_string(), "{message}");
    shop.wait(3_600);
    assert_eq!((shop.told().len(), shop.jobs().len()), (0, 0));
}

/// The gateway tells our own changes back, with its own times: before, in and after the second of ours, early or late.
#[test]
fn the_echo_of_our_own_changes_changes_nothing() {
    for seconds in [-2, 0, 30] {
        let (shop, id) = Shop::with_sent();
        let now = shop.now() + seconds;
        let own = |more: Value| {
            let mut all = json!({
                "id": format!("true_{CHAT}_9Z"), "timestamp": now, "from": "551150000001@c.us", "to": CHAT,
                "fromMe": true, "source": "api", "hasMedia": false,
            });
            all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            all
        };
        let react = |text: &str| own(json!({"reaction": {"text": text, "messageId": format!("true_{CHAT}_IDOi")}}));
        let edit = |text: &str| own(json!({"body": text, "editedMessageId": "IDOi"}));
        shop.call("messages.edit", json!({"id": id, "text": "a"}));
        shop.call("messages.edit", json!({"id": id, "text": "b"}));
        shop.call("messages.react", json!({"id": id, "emoji": "👍"}));
        shop.run();
        let before = shop.version(&id);
        for text in ["b", "a", "b"] {
            shop.deliver("message.edited", edit(text));
        }
        shop.deliver("message.reaction", react("👍"));
        assert_eq!(shop.version(&id), before, "{seconds}");
        shop.call("messages.react", json!({"id": id, "emoji": ""}));
        shop.run();
        let before = shop.version(&id);
        shop.deliver("message.reaction", react(""));
        assert_eq!(shop.version(&id), before, "{seconds}");
        let waiting = shop.call("jobs.list", json!({"kind": "inbound.target"}));
        assert_eq!(waiting["items"], json!([]), "nothing waits for a reaction that never comes");
        shop.call("messages.revoke", json!({"id": id}));
        shop.run();
        let before = shop.version(&id);
        shop.deliver("message.revoked", json!({"after": own(json!({})), "revokedMessageId": "IDOi", "before": null}));
        assert_eq!(shop.version(&id), before, "{seconds}");
        shop.told();
        shop.wait(3_600);
        assert!(shop.told().is_empty());
        shop.world.assert_log_matches();
    }
}

/// What the phone does after us is no echo.
#[test]
fn the_phone_may_change_what_we_changed() {
    let (shop, id) = Shop::with_sent();
    shop.call("messages.edit", json!({"id": id, "text": "ours"}));
    shop.call("messages.react", json!({"id": id, "emoji": "👍"}));
    shop.run();
    let own = |after: i64, more: Value| {
        let mut all = json!({
            "id": format!("true_{CHAT}_9Z"), "timestamp": shop.now() + after, "from": "551150000001@c.us",
            "to": CHAT, "fromMe": true, "hasMedia": false,
        });
        all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        all
    };
    for (after, text) in [(10, "theirs"), (20, "ours")] {
        shop.deliver("message.edited", own(after, json!({"body": text, "editedMessageId": "IDOi"})));
        assert_eq!(shop.message(&id)["content"]["body"], text);
    }
    let reaction = json!({"reaction": {"text": "❤️", "messageId": format!("true_{CHAT}_IDOi")}});
    shop.deliver("message.reaction", own(30, reaction));
    let reactions = shop.message(&id)["reactions"].clone();
    assert!(reactions.as_array().expect("a list").iter().any(|it| it["emoji"] == "❤️"), "{reactions}");
}

/// The process dies between the call and its commit: the call is made again, and comes to the same.
#[test]
fn who_dies_after_the_call_is_followed() {
    for (operation, input) in [("messages.edit", json!({"text": "x"})), ("messages.revoke", json!({}))] {
        let (shop, id) = Shop::with_sent();
        let mut input = input;
        input["id"] = id.clone();
        shop.call(operation, input);
        let call = block_on(shop.world.crm.claim_calls(1)).expect("it is due").remove(0);
        shop.outside.answer(|_| panic!("the process dies here"));
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block_on(call.run()).map(drop)));
        assert!(died.is_err());
        // An edit is made again; what was taken back is not there any more.
        match operation {
            "messages.edit" => shop.outside.answer(obliging),
            _ => shop.outside.answer(says(404, "")),
        }
        shop.run();
        assert!(shop.told().is_empty(), "its lease runs");
        shop.wait(61);
        assert_eq!((shop.told().len(), shop.states()), (1, vec!["succeeded".to_owned()]), "{operation}");
    }
}
