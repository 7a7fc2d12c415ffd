//! The acceptance cases of messages: sending, dispatch, acknowledgements, changes.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use serde_json::{Value, json};
use ventros::engine::Context;
use ventros::kernel::{Actor, ActorRef, ProjectId, UserId, parse_uuid};
use ventros::storage::{EventQuery, Scope};
use ventros::testing::{World, block_on};

const ANA: &str = "5511999998888";
const BRUNO: &str = "5521988887777";

/// A project with one WhatsApp line that is connected.
struct Shop {
    world: World,
    project: ProjectId,
    channel: String,
}

impl Shop {
    #[track_caller]
    fn new() -> Shop {
        let world = World::new();
        let project = system(&world, "projects.create", json!({"name": "Acme"}));
        let project = ProjectId::from_uuid(parse_uuid(text(&project["id"])).unwrap());
        let mut shop = Shop { world, project, channel: String::new() };
        shop.channel = shop.line("whatsapp_business", "Sales");
        shop
    }

    /// A channel of a kind, connected.
    #[track_caller]
    fn line(&self, kind: &str, name: &str) -> String {
        let channel = self.ok("channels.create", json!({"name": name, "type": kind}));
        let id = text(&channel["id"]).to_owned();
        self.ok("channels.activate", json!({"id": id}));
        self.ok("channels.report_connection", json!({"id": id, "connection": "connected"}));
        id
    }

    /// A kind of channel with abilities of its own.
    #[track_caller]
    fn kind(&self, code: &str, family: &str, capabilities: Value) {
        let mut all = json!({
            "outbound_types": ["text", "image", "voice", "document", "template"],
            "inbound_types": ["text"],
        });
        merge(&mut all, &capabilities);
        let kind = json!({
            "code": code, "display_name": code, "provider": "test", "family": family, "gateway": "waha",
            "capabilities": all,
        });
        system(&self.world, "channel_types.create", kind);
    }

    fn call(&self, operation: &str, input: Value) -> Result<Value, ventros::kernel::Error> {
        self.call_as(self.world.crm.project(self.project).context(), operation, input)
    }

    fn call_as(&self, context: Context, operation: &str, input: Value) -> Result<Value, ventros::kernel::Error> {
        let answer = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()))?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    #[track_caller]
    fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    #[track_caller]
    fn refused(&self, operation: &str, input: Value, code: &str, field: &str) {
        let error = self.call(operation, input).expect_err(operation);
        assert_eq!((error.code().as_str(), error.field().unwrap_or_default()), (code, field), "{error:?}");
    }

    #[track_caller]
    fn hear_on(&self, channel: &str, who: &str, id: &str, body: &str) -> Value {
        let item = json!({
            "type": "message", "channel_message_id": id, "from_me": false,
            "chat": {"external_id": format!("{who}@c.us"), "class": "individual", "kind_detail": "direct"},
            "sender": {"wid": who}, "timestamp": self.now(), "content": {"type": "text", "body": body},
        });
        self.ingest(channel, item)
    }

    /// An inbound text on the line; its outcome.
    #[track_caller]
    fn hear(&self, who: &str, id: &str, body: &str) -> Value {
        self.hear_on(&self.channel, who, id, body)
    }

    /// A text of ours that was written on the paired phone.
    #[track_caller]
    fn echo(&self, who: &str, id: &str, body: &str) -> Value {
        let item = json!({
            "type": "message", "channel_message_id": id, "from_me": true,
            "chat": {"external_id": format!("{who}@c.us"), "class": "individual", "kind_detail": "direct"},
            "sender": {}, "peer": {"wid": who}, "timestamp": self.now(), "content": {"type": "text", "body": body},
        });
        self.ingest(&self.channel, item)
    }

    #[track_caller]
    fn ingest(&self, channel: &str, item: Value) -> Value {
        self.ok("inbound.ingest", json!({"channel_id": channel, "item": item}))[0].clone()
    }

    #[track_caller]
    fn ack(&self, id: &str, status: &str) -> Value {
        self.ok(
            "messages.report_delivery",
            json!({"channel_id": self.channel, "channel_message_id": id, "status": status}),
        )
    }

    /// Ana's chat, with one message of hers.
    #[track_caller]
    fn chat(&self) -> String {
        text(&self.hear(ANA, "A1", "Oi")["chat_id"]).to_owned()
    }

    #[track_caller]
    fn say(&self, chat: &str, body: &str) -> Value {
        self.ok("messages.send", json!({"chat_id": chat, "content": {"type": "text", "body": body}}))
    }

    #[track_caller]
    fn claim(&self) -> Vec<Value> {
        let Value::Array(claimed) = self.ok("messages.claim_due", json!({})) else { panic!("a list") };
        claimed
    }

    #[track_caller]
    fn report(&self, message: &Value, more: Value) -> Value {
        let mut input = json!({"id": message["id"]});
        merge(&mut input, &more);
        self.ok("messages.report_delivery", input)
    }

    /// A message that the provider has taken under an id.
    #[track_caller]
    fn sent(&self, chat: &str, body: &str, id: &str) -> Value {
        let message = self.say(chat, body);
        assert_eq!(self.claim().len(), 1);
        self.report(&message, json!({"status": "sent", "channel_message_id": id}))["message"].clone()
    }

    #[track_caller]
    fn get(&self, message: &Value) -> Value {
        self.ok("messages.get", json!({"id": message["id"]}))
    }

    #[track_caller]
    fn session(&self, message: &Value) -> Value {
        let id = parse_uuid(text(&message["session_id"])).unwrap();
        let scope = Scope::Project(self.project);
        let found =
            block_on(self.world.crm.core().storage().get(scope, ventros::kernel::Kind::Session, &[id])).unwrap();
        serde_json::from_str(&found[0].state).unwrap()
    }

    /// Everything that was recorded about a message itself, in order.
    #[track_caller]
    fn events(&self, message: &Value) -> Vec<Value> {
        let subject =
            ventros::kernel::Subject::new(ventros::kernel::Kind::Message, parse_uuid(text(&message["id"])).unwrap());
        let query = EventQuery { stream: Some(subject), limit: 1_000, ..EventQuery::default() };
        let found = block_on(self.world.crm.core().storage().events(Scope::Project(self.project), &query)).unwrap();
        found.iter().map(|event| serde_json::from_str(event.data.get()).unwrap()).collect()
    }

    #[track_caller]
    fn types(&self, message: &Value) -> Vec<String> {
        self.events(message).iter().map(|event| text(&event["type"]).to_owned()).collect()
    }

    fn now(&self) -> Value {
        json!(self.world.crm.core().now())
    }

    fn wait(&self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        block_on(self.world.crm.run_pending()).unwrap();
    }
}

#[track_caller]
fn system(world: &World, operation: &str, input: Value) -> Value {
    let context = Context::new(None, ActorRef::system(ventros::kernel::Component::Host));
    let answer = block_on(world.crm.call(operation, context, input.to_string().as_bytes()));
    serde_json::from_str(&answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"))).unwrap()
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().unwrap() {
        into[key] = value.clone();
    }
}

#[test]
fn case_05_a_text_has_4096_characters_at_most() {
    let shop = Shop::new();
    let chat = shop.chat();
    assert_eq!(shop.say(&chat, &"é".repeat(4_096))["status"], "queued");
    let long = json!({"chat_id": chat, "content": {"type": "text", "body": "é".repeat(4_097)}});
    shop.refused("messages.send", long, "text_too_long", "content.body");
}

#[test]
fn case_06_a_text_says_something() {
    let shop = Shop::new();
    let blank = json!({"chat_id": shop.chat(), "content": {"type": "text", "body": "   "}});
    shop.refused("messages.send", blank, "text_required", "content.body");
}

#[test]
fn case_08_captions_are_found_and_voice_notes_have_none() {
    let shop = Shop::new();
    let chat = shop.chat();
    let image =
        json!({"type": "image", "media": {"url": "https://x/y.jpg", "mime": "image/jpeg"}, "caption": "comprovante"});
    let sent = shop.ok("messages.send", json!({"chat_id": chat, "content": image}));
    assert_eq!(sent["content"]["caption"], "comprovante");
    let hits = shop.ok("messages.search", json!({"text": "Comprovante"}));
    assert_eq!((&hits[0]["message"]["id"], &hits[0]["snippet"]), (&sent["id"], &json!("comprovante")));
    let only_text = json!({"text": "comprovante", "filter": {"field": "content_type", "op": "eq", "value": "text"}});
    assert_eq!(shop.ok("messages.search", only_text), json!([]));
    let voice = json!({"type": "voice", "media": {"url": "https://x/y.ogg"}, "caption": "oi"});
    shop.refused("messages.send", json!({"chat_id": chat, "content": voice}), "content_not_allowed", "content.caption");
}

#[test]
fn case_09_addresses_and_places_are_checked() {
    let shop = Shop::new();
    let chat = shop.chat();
    let refused = |content: Value, code: &str, field: &str| {
        shop.refused("messages.send", json!({"chat_id": chat, "content": content}), code, field);
    };
    refused(json!({"type": "image", "media": {"url": "ftp://x/y.jpg"}}), "url_scheme_unsupported", "content.media.url");
    refused(json!({"type": "image", "media": {}}), "media_required", "content.media");
    refused(
        json!({"type": "location", "location": {"latitude": 91.0, "longitude": 0.0}}),
        "coordinates_out_of_range",
        "content.location",
    );
    refused(json!({"type": "contact", "cards": []}), "contact_card_required", "content.cards");
    let image = |more: Value| {
        let mut media = json!({"url": "https://x/y"});
        merge(&mut media, &more);
        json!({"type": "image", "media": media})
    };
    refused(image(json!({"mime": "image/tiff"})), "content_type_not_supported", "content.media.mime");
    refused(image(json!({"size_bytes": 70_000_000})), "payload_too_large", "content.media.size_bytes");
    refused(json!({"type": "template", "template": {"name": "welcome"}}), "content_type_not_supported", "content.type");
}

#[test]
fn case_11_acknowledgements_climb() {
    let shop = Shop::new();
    let message = shop.sent(&shop.chat(), "Bom dia", "S1");
    let at = "2025-01-06T08:59:00.000000Z";
    let read = json!({"channel_id": shop.channel, "channel_message_id": "S1", "status": "read", "at": at});
    assert_eq!(shop.ok("messages.report_delivery", read)["outcome"], "applied");
    assert_eq!(shop.ack("S1", "delivered")["outcome"], "unchanged");
    let events = shop.events(&message);
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["implied_delivered_at"], &last["read_at"]),
        (&json!("message.read"), &json!(at), &json!(at))
    );
    let message = shop.get(&message);
    assert_eq!((&message["status"], &message["delivered_at"]), (&json!("read"), &json!(at)));
}

#[test]
fn case_12_only_sounds_are_played() {
    let shop = Shop::new();
    let chat = shop.chat();
    let send = |kind: &str, id: &str| {
        let content = json!({"type": kind, "media": {"url": "https://x/y"}});
        let message = shop.ok("messages.send", json!({"chat_id": chat, "content": content}));
        assert_eq!(shop.claim().len(), 1);
        shop.report(&message, json!({"status": "sent", "channel_message_id": id}));
        shop.ack(id, "played")["message"]["status"].clone()
    };
    assert_eq!(send("image", "S1"), "read");
    assert_eq!(send("voice", "S2"), "played");
}

#[test]
fn case_13_a_late_failure_fails_only_what_was_not_delivered() {
    let shop = Shop::new();
    let chat = shop.chat();
    shop.sent(&chat, "um", "S1");
    let failed = shop.ack("S1", "failed");
    assert_eq!((&failed["outcome"], &failed["message"]["status"]), (&json!("applied"), &json!("failed")));
    assert_eq!(failed["message"]["failure"]["code"], "provider_error");
    shop.sent(&chat, "dois", "S2");
    shop.ack("S2", "delivered");
    let ignored = shop.ack("S2", "failed");
    assert_eq!((&ignored["outcome"], &ignored["message"]["status"]), (&json!("unchanged"), &json!("delivered")));
}

#[test]
fn case_15_the_same_token_sends_once() {
    let shop = Shop::new();
    let chat = shop.chat();
    let order =
        |body: &str| json!({"chat_id": chat, "content": {"type": "text", "body": body}, "client_token": "ord-77"});
    let first = shop.ok("messages.send", order("Pedido pronto"));
    assert_eq!(shop.ok("messages.send", order("Pedido pronto"))["id"], first["id"]);
    assert_eq!(shop.types(&first), ["message.created"]);
    shop.refused("messages.send", order("Pedido cancelado"), "client_token_reused", "client_token");
    assert_eq!(shop.ok("messages.find", json!({"client_token": "ord-77"}))["id"], first["id"]);
    let empty = json!({"chat_id": chat, "content": {"type": "text", "body": "Oi"}, "client_token": ""});
    shop.refused("messages.send", empty, "input_invalid", "client_token");
}

#[track_caller]
fn five_tries(last: Value) -> (Shop, Value) {
    let shop = Shop::new();
    let message = shop.say(&shop.chat(), "Oi");
    for attempt in 1..=5 {
        let claimed = shop.claim();
        assert_eq!((&claimed[0]["message"]["id"], &claimed[0]["attempt"]), (&message["id"], &json!(attempt)));
        assert_eq!(shop.claim(), Vec::<Value>::new(), "it is under way");
        let timeout = json!({"status": "failed", "attempt": attempt, "failure": {"code": "timeout"}});
        let outcome = shop.report(&message, if attempt == 5 { last.clone() } else { timeout });
        let expected = if attempt == 5 { "applied" } else { "retrying" };
        assert_eq!(outcome["outcome"], expected);
        assert_eq!(shop.claim(), Vec::<Value>::new(), "not yet");
        shop.wait(5 * (1 << attempt));
    }
    (shop, message)
}

#[test]
fn case_16_a_failure_that_may_pass_is_tried_five_times() {
    let tried = ["message.send_started", "message.retry_scheduled"].repeat(4);
    let (shop, message) = five_tries(json!({"status": "sent", "channel_message_id": "S1"}));
    let expected = [&["message.created"], tried.as_slice(), &["message.send_started", "message.sent"]].concat();
    assert_eq!(shop.types(&message), expected);
    shop.world.assert_log_matches();

    let (shop, message) =
        five_tries(json!({"status": "failed", "failure": {"code": "timeout", "reason": "no answer"}}));
    let expected = [&["message.created"], tried.as_slice(), &["message.send_started", "message.failed"]].concat();
    assert_eq!(shop.types(&message), expected);
    let failure = &shop.get(&message)["failure"];
    assert_eq!((&failure["code"], &failure["retryable"]), (&json!("timeout"), &json!(true)));
    shop.world.assert_log_matches();
}

#[test]
fn case_17_a_planned_message_can_be_cancelled() {
    let shop = Shop::new();
    let chat = shop.chat();
    let later = json!({"chat_id": chat, "content": {"type": "text", "body": "Feliz ano novo"}, "scheduled_at": "2031-01-01T09:00:00Z"});
    let message = shop.ok("messages.send", later);
    assert_eq!((&message["status"], &message["session_id"]), (&json!("scheduled"), &Value::Null));
    let cancelled = shop.ok("messages.cancel", json!({"id": message["id"], "reason": "changed plans"}));
    assert_eq!(cancelled["status"], "cancelled");
    shop.world.clock.set("2031-01-01T09:00:01Z");
    shop.wait(0);
    assert_eq!(shop.types(&message), ["message.created", "message.cancelled"]);
    shop.refused("messages.retry", json!({"id": message["id"]}), "invalid_state", "");
    shop.refused("messages.cancel", json!({"id": message["id"]}), "invalid_state", "");
    let report = json!({"id": message["id"], "status": "sent"});
    shop.refused("messages.report_delivery", report, "invalid_state", "");
    shop.world.assert_log_matches();
}

#[test]
fn case_18_plans_lie_ahead() {
    let shop = Shop::new();
    let chat = shop.chat();
    let planned = |times: Value| {
        let mut input = json!({"chat_id": chat, "content": {"type": "text", "body": "Oi"}});
        merge(&mut input, &times);
        input
    };
    let refused = |times: Value, code: &str, field: &str| shop.refused("messages.send", planned(times), code, field);
    refused(json!({"scheduled_at": "2025-01-06T08:00:00Z"}), "schedule_in_past", "scheduled_at");
    refused(json!({"expires_at": "2025-01-06T09:00:00Z"}), "expiry_invalid", "expires_at");
    refused(
        json!({"scheduled_at": "2025-01-06T10:00:00Z", "expires_at": "2025-01-06T10:00:00Z"}),
        "expiry_invalid",
        "expires_at",
    );
    let moment_ago = shop.ok("messages.send", planned(json!({"scheduled_at": "2025-01-06T08:59:30Z"})));
    assert_eq!(moment_ago["status"], "queued");
}

#[test]
fn case_19_one_reaction_per_party() {
    let shop = Shop::new();
    let message = json!({"id": shop.hear(ANA, "A1", "Oi")["message_id"]});
    let react = |emoji: &str| shop.ok("messages.react", json!({"id": message["id"], "emoji": emoji}));
    react("👍");
    let now = react("❤️");
    assert_eq!((now["reactions"].as_array().unwrap().len(), &now["reactions"][0]["emoji"]), (1, &json!("❤️")));
    assert_eq!(shop.events(&message).last().unwrap()["previous_emoji"], "👍");
    assert_eq!(react("")["reactions"], json!([]));
    react("");
    assert_eq!(
        shop.types(&message),
        ["message.received", "message.reaction_added", "message.reaction_added", "message.reaction_removed"]
    );
    shop.refused("messages.react", json!({"id": message["id"], "emoji": "👍".repeat(9)}), "emoji_invalid", "emoji");
    shop.world.assert_log_matches();
}

#[test]
fn case_20_an_edit_comes_in_time_or_not_at_all() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.sent(&chat, "12h", "S1");
    let edit = |text: &str| json!({"id": message["id"], "text": text});
    let edited = shop.ok("messages.edit", edit("13h"));
    assert_eq!((&edited["content"]["body"], &edited["edit_count"]), (&json!("13h"), &json!(1)));
    let event = shop.events(&message).last().unwrap().clone();
    assert_eq!((&event["previous_text"], &event["edit_no"]), (&json!("12h"), &json!(1)));
    shop.refused("messages.edit", edit(" "), "text_required", "text");
    shop.wait(20 * 60);
    shop.refused("messages.edit", edit("14h"), "edit_window_closed", "");
    let theirs = shop.hear(ANA, "A2", "Oi")["message_id"].clone();
    shop.refused("messages.edit", json!({"id": theirs, "text": "Tchau"}), "message_not_editable", "");
    let waiting = shop.say(&chat, "Até já");
    let changed = shop.ok("messages.edit", json!({"id": waiting["id"], "text": "Até logo"}));
    assert_eq!((&changed["status"], &changed["content"]["body"]), (&json!("queued"), &json!("Até logo")));
    shop.world.assert_log_matches();
}

#[test]
fn case_22_an_answer_stays_in_its_chat() {
    let shop = Shop::new();
    let chat = shop.chat();
    let theirs = shop.hear(BRUNO, "B1", "Olá");
    let answer =
        |quoted: &Value| json!({"chat_id": chat, "content": {"type": "text", "body": "Oi"}, "reply_to_id": quoted});
    shop.refused("messages.send", answer(&theirs["message_id"]), "reply_target_mismatch", "reply_to_id");
    let mine = shop.hear(ANA, "A2", "Tudo bem?")["message_id"].clone();
    let sent = shop.ok("messages.send", answer(&mine));
    assert_eq!((&sent["reply_to_id"], &sent["reply_to_channel_message_id"]), (&mine, &json!("A2")));
    let mixed = json!({"chat_id": chat, "contact_id": theirs["contact_id"], "content": {"type": "text", "body": "Oi"}});
    shop.refused("messages.send", mixed, "message_contact_mismatch", "contact_id");
}

#[test]
fn case_24_an_acknowledgement_heals_a_failure() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.sent(&chat, "Oi", "S1");
    assert_eq!(shop.session(&message)["metrics"]["message_count"], 2);
    shop.ack("S1", "failed");
    assert_eq!(shop.session(&message)["metrics"]["message_count"], 1);
    let healed = shop.ack("S1", "delivered")["message"].clone();
    assert_eq!((&healed["status"], &healed["failure"]), (&json!("delivered"), &Value::Null));
    assert_eq!(shop.session(&message)["metrics"]["message_count"], 2);
    shop.world.assert_log_matches();
}

#[test]
fn case_25_other_projects_and_strangers_see_nothing() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.say(&chat, "Oi");
    let other = system(&shop.world, "projects.create", json!({"name": "Other"}));
    let other = ProjectId::from_uuid(parse_uuid(text(&other["id"])).unwrap());
    let there = shop.world.crm.project(other).context();
    let error = shop.call_as(there, "messages.get", json!({"id": message["id"]})).unwrap_err();
    assert_eq!(error.code().as_str(), "message_not_found");
    let stranger = ActorRef::new(Actor::User(UserId::from_uuid(shop.world.crm.project(shop.project).id().uuid())));
    let stranger = Context::new(Some(shop.project), stranger);
    let content = json!({"type": "text", "body": "Oi"});
    let error = shop.call_as(stranger, "messages.send", json!({"chat_id": chat, "content": content})).unwrap_err();
    assert_eq!(error.kind(), ventros::kernel::ErrorKind::Forbidden);
}

#[test]
fn a_send_opens_the_chat_and_the_session_of_a_contact() {
    let shop = Shop::new();
    let contact = shop.hear(ANA, "A1", "Oi")["contact_id"].clone();
    let second = shop.line("whatsapp_business", "Support");
    let content = json!({"type": "text", "body": "Bom dia"});
    let sent = shop.ok("messages.send", json!({"contact_id": contact, "channel_id": second, "content": content}));
    assert_eq!((&sent["contact_id"], &sent["channel_id"]), (&contact, &json!(second)));
    let session = shop.session(&sent);
    assert_eq!((&session["origin"], &session["metrics"]["awaiting"]), (&json!("outbound"), &json!("contact")));
    let again = shop.ok("messages.send", json!({"contact_id": contact, "channel_id": second, "content": content}));
    assert_eq!((&again["chat_id"], &again["session_id"]), (&sent["chat_id"], &sent["session_id"]));
    assert_eq!(shop.claim()[0]["chat_external_id"], format!("{ANA}@c.us"));
    let answer = shop.hear_on(&second, ANA, "A2", "Oi");
    assert_eq!((&answer["chat_id"], &answer["session_id"]), (&sent["chat_id"], &sent["session_id"]));
    shop.refused("messages.send", json!({"contact_id": contact, "content": content}), "field_required", "channel_id");
    shop.refused("messages.send", json!({"content": content}), "field_required", "contact_id");
    shop.world.assert_log_matches();
}

#[test]
fn flow_case_29_a_message_needs_a_way_to_its_contact() {
    let shop = Shop::new();
    shop.kind("mail", "email", json!({}));
    let mail = shop.line("mail", "Mail");
    let lid = json!({
        "type": "message", "channel_message_id": "L1", "from_me": false,
        "chat": {"external_id": "19104132006020@lid", "class": "individual", "kind_detail": "direct"},
        "sender": {"lid": "19104132006020"}, "timestamp": shop.now(), "content": {"type": "text", "body": "Oi"},
    });
    let hidden = shop.ingest(&shop.channel, lid);
    let content = json!({"type": "text", "body": "Oi"});
    let by_mail = json!({"contact_id": hidden["contact_id"], "channel_id": mail, "content": content});
    shop.refused("messages.send", by_mail, "recipient_unreachable", "contact_id");

    shop.ok("channels.report_connection", json!({"id": shop.channel, "connection": "stopped"}));
    let waiting = shop.ok("messages.send", json!({"chat_id": hidden["chat_id"], "content": content}));
    assert_eq!((&waiting["status"], shop.claim().len()), (&json!("queued"), 0));
    shop.ok("channels.report_connection", json!({"id": shop.channel, "connection": "connected"}));
    assert_eq!(shop.claim().len(), 1);

    shop.ok("channels.deactivate", json!({"id": shop.channel}));
    shop.refused(
        "messages.send",
        json!({"chat_id": hidden["chat_id"], "content": content}),
        "channel_not_active",
        "channel_id",
    );
}

#[test]
fn flow_case_30_a_closed_window_takes_templates_only() {
    let shop = Shop::new();
    shop.kind("cloud", "whatsapp", json!({"reply_window_hours": 24}));
    let cloud = shop.line("cloud", "Cloud");
    let chat = shop.hear_on(&cloud, ANA, "A1", "Oi")["chat_id"].clone();
    let send = |content: Value| json!({"chat_id": chat, "content": content});
    let free = json!({"type": "text", "body": "Oi"});
    shop.ok("messages.send", send(free.clone()));
    let planned = json!({"chat_id": chat, "content": free, "scheduled_at": "2025-01-07T10:00:00Z"});
    let planned = shop.ok("messages.send", planned);
    shop.wait(25 * 3_600);
    shop.refused("messages.send", send(free), "reply_window_closed", "");
    let template = shop.ok("messages.send", send(json!({"type": "template", "template": {"name": "welcome"}})));
    assert_eq!(template["status"], "queued");
    let planned = shop.get(&planned);
    assert_eq!((&planned["status"], &planned["failure"]["code"]), (&json!("failed"), &json!("reply_window_closed")));
}

#[test]
fn flow_case_31_messages_of_a_chat_go_out_in_their_order() {
    let shop = Shop::new();
    let chat = shop.chat();
    let messages = ["um", "dois", "três"].map(|body| shop.say(&chat, body));
    assert_eq!(shop.claim()[0]["message"]["id"], messages[0]["id"]);
    shop.report(&messages[0], json!({"status": "failed", "failure": {"code": "timeout"}}));
    assert_eq!(shop.claim(), Vec::<Value>::new(), "the first waits, and so do those behind it");
    shop.wait(10);
    for (number, message) in messages.iter().enumerate() {
        let claimed = shop.claim();
        assert_eq!((claimed.len(), &claimed[0]["message"]["id"]), (1, &message["id"]));
        shop.report(message, json!({"status": "sent", "channel_message_id": format!("S{number}")}));
    }
}

#[test]
fn urgent_messages_jump_the_queue() {
    let shop = Shop::new();
    let send = |chat: &Value, priority: &str| {
        let content = json!({"type": "text", "body": priority});
        shop.ok("messages.send", json!({"chat_id": chat, "content": content, "priority": priority}))
    };
    let chats: Vec<Value> =
        (0..3).map(|n| shop.hear(&format!("551190000000{n}"), &format!("A{n}"), "Oi")["chat_id"].clone()).collect();
    send(&chats[0], "low");
    send(&chats[1], "normal");
    send(&chats[2], "urgent");
    let order: Vec<Value> = shop.claim().iter().map(|claimed| claimed["message"]["priority"].clone()).collect();
    assert_eq!(order, ["urgent", "normal", "low"]);
    shop.refused("messages.claim_due", json!({"limit": 0}), "limit_out_of_range", "limit");
}

#[test]
fn flow_case_33_a_channel_keeps_its_rate() {
    let shop = Shop::new();
    for number in 0..70 {
        let chat = shop.hear(&format!("55119{number:08}"), &format!("A{number}"), "Oi")["chat_id"].clone();
        shop.say(text(&chat), "Oi");
    }
    let claim = || shop.ok("messages.claim_due", json!({"limit": 100})).as_array().unwrap().len();
    assert_eq!(claim(), 60);
    assert_eq!(claim(), 0);
    shop.wait(59);
    assert_eq!(claim(), 0);
    shop.wait(1);
    assert_eq!(claim(), 60, "ten that wait, and fifty whose lease ended");
}

#[test]
fn a_try_that_never_reported_comes_again_once() {
    let shop = Shop::new();
    let message = shop.say(&shop.chat(), "Oi");
    assert_eq!(shop.claim()[0]["lease_until"], "2025-01-06T09:01:00.000000Z");
    shop.wait(61);
    let again = shop.claim();
    assert_eq!(
        (&again[0]["attempt"], &again[0]["message"]["metadata"]["possible_duplicate"]),
        (&json!(2), &json!(true))
    );
    shop.wait(61);
    assert_eq!(shop.claim(), Vec::<Value>::new());
    let given_up = shop.get(&message);
    assert_eq!((&given_up["status"], &given_up["failure"]["code"]), (&json!("failed"), &json!("unconfirmed")));
    shop.world.assert_log_matches();
}

#[test]
fn an_old_try_cannot_fail_a_new_one() {
    let shop = Shop::new();
    let message = shop.say(&shop.chat(), "Oi");
    shop.refused("messages.report_delivery", json!({"id": message["id"], "status": "failed"}), "invalid_state", "");
    shop.claim();
    shop.wait(61);
    assert_eq!(shop.claim()[0]["attempt"], 2);
    let stale = shop.report(&message, json!({"status": "failed", "attempt": 1, "failure": {"code": "timeout"}}));
    assert_eq!((&stale["outcome"], &stale["message"]["status"]), (&json!("unchanged"), &json!("sending")));
}

#[test]
fn flow_case_08_an_echo_that_is_faster_than_the_gateway_waits_for_it() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.say(&chat, "Bom dia");
    shop.claim();
    let echo = shop.echo(ANA, "S1", "Bom dia");
    assert_eq!(echo, json!({"type": "parked", "reason": "own_send_in_flight"}));
    shop.report(&message, json!({"status": "sent", "channel_message_id": "S1"}));
    shop.wait(5);
    let rows = shop.ok("inbound.list", json!({"state": "done"}));
    assert_eq!(rows["items"][0]["outcomes"], json!([{"type": "echo", "message_id": message["id"]}]));
    assert_eq!(shop.ok("messages.count", json!({})), 2);
    assert_eq!(shop.types(&message), ["message.created", "message.send_started", "message.sent"]);
    // Once it is known to have arrived, its echo is nothing but a repetition.
    shop.ack("S1", "delivered");
    assert_eq!(shop.echo(ANA, "S1", "Bom dia")["type"], "duplicate");
    shop.world.assert_log_matches();
}

#[test]
fn flow_case_09_an_echo_that_was_stored_first_gives_way() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.say(&chat, "Bom dia");
    shop.claim();
    shop.world.clock.advance_seconds(61);
    let echo = shop.echo(ANA, "S1", "Bom dia");
    assert_eq!(echo["type"], "recorded");
    shop.ack("S1", "read");
    assert_eq!(shop.session(&message)["metrics"]["message_count"], 3);
    let report = shop.report(&message, json!({"status": "sent", "channel_message_id": "S1"}));
    assert_eq!(
        (&report["message"]["status"], &report["message"]["channel_message_id"]),
        (&json!("read"), &json!("S1"))
    );
    assert_eq!(shop.session(&message)["metrics"]["message_count"], 2);
    let visible = shop.ok("messages.count", json!({"filter": {"field": "direction", "op": "eq", "value": "outbound"}}));
    assert_eq!(visible, 1);
    shop.world.assert_log_matches();
}

#[test]
fn an_id_of_another_message_is_taken() {
    let shop = Shop::new();
    let message = shop.say(&shop.chat(), "Oi");
    shop.claim();
    let taken = json!({"id": message["id"], "status": "sent", "channel_message_id": "A1"});
    shop.refused("messages.report_delivery", taken, "channel_message_id_taken", "channel_message_id");
}

#[test]
fn flow_case_26_a_report_that_comes_too_early_waits() {
    let shop = Shop::new();
    let message = shop.say(&shop.chat(), "Oi");
    shop.claim();
    assert_eq!(shop.ack("S1", "read"), json!({"outcome": "parked", "message": null}));
    let report = shop.report(&message, json!({"status": "sent", "channel_message_id": "S1"}));
    assert_eq!(report["message"]["status"], "read");
    let unknown = json!({"channel_id": shop.project, "channel_message_id": "S1", "status": "read"});
    shop.refused("messages.report_delivery", unknown, "channel_not_found", "");
    shop.refused("messages.report_delivery", json!({"status": "read"}), "field_required", "id");
    let ahead = json!({"id": message["id"], "status": "read", "at": "2025-01-06T10:00:00Z"});
    shop.refused("messages.report_delivery", ahead, "timestamp_in_future", "at");
}

#[test]
fn flow_case_34_a_final_failure_gives_the_turn_back() {
    let shop = Shop::new();
    let chat = shop.chat();
    shop.wait(60);
    let message = shop.say(&chat, "Bom dia");
    let session = shop.session(&message);
    assert_eq!(
        (&session["metrics"]["awaiting"], &session["metrics"]["agent_response_time_seconds"]),
        (&json!("contact"), &json!(60))
    );
    shop.claim();
    shop.report(&message, json!({"status": "failed", "failure": {"code": "invalid_recipient"}}));
    let session = shop.session(&message);
    assert_eq!(
        (&session["metrics"]["awaiting"], &session["metrics"]["agent_response_time_seconds"]),
        (&json!("agent"), &Value::Null)
    );
    let again = shop.ok("messages.retry", json!({"id": message["id"]}));
    assert_eq!((&again["status"], &again["attempts"], &again["failure"]), (&json!("queued"), &json!(0), &Value::Null));
    assert_eq!(shop.session(&message)["metrics"]["awaiting"], "contact");
    shop.ok("messages.cancel", json!({"id": message["id"]}));
    assert_eq!(shop.session(&message)["metrics"]["awaiting"], "agent");
    shop.world.assert_log_matches();
}

#[test]
fn a_planned_message_is_released_into_the_session_of_its_moment() {
    let shop = Shop::new();
    let chat = shop.chat();
    let content = json!({"type": "text", "body": "Lembrete"});
    let planned = json!({"chat_id": chat, "content": content, "scheduled_at": "2025-01-06T12:00:00Z"});
    let message = shop.ok("messages.send", planned);
    let row = shop.ok("chats.get", json!({"id": chat}));
    assert_eq!((&row["message_count"], &row["last_message"]["preview"]), (&json!(1), &json!("Oi")));
    shop.world.clock.set("2025-01-06T12:00:00Z");
    shop.wait(0);
    let released = shop.get(&message);
    assert_eq!(
        (&released["status"], &released["timestamp"]),
        (&json!("queued"), &json!("2025-01-06T12:00:00.000000Z"))
    );
    let session = shop.session(&released);
    assert_eq!((&session["origin"], &session["metrics"]["message_count"]), (&json!("outbound"), &json!(1)));
    let row = shop.ok("chats.get", json!({"id": chat}));
    assert_eq!((&row["message_count"], &row["last_message"]["preview"]), (&json!(2), &json!("Lembrete")));
    assert_eq!(shop.claim().len(), 1);
    shop.world.assert_log_matches();
}

#[test]
fn a_message_expires_when_nobody_sends_it() {
    let shop = Shop::new();
    let chat = shop.chat();
    let content = json!({"type": "text", "body": "Só hoje"});
    let message =
        shop.ok("messages.send", json!({"chat_id": chat, "content": content, "expires_at": "2025-01-06T09:10:00Z"}));
    assert_eq!(shop.session(&message)["metrics"]["message_count"], 2);
    shop.wait(600);
    assert_eq!(shop.get(&message)["status"], "expired");
    assert_eq!(shop.session(&message)["metrics"]["message_count"], 1);
    assert_eq!(shop.claim(), Vec::<Value>::new());
    shop.world.assert_log_matches();
}

#[test]
fn a_closed_chat_withdraws_what_waits_in_it() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.say(&chat, "Oi");
    shop.ok("chats.close", json!({"id": chat}));
    shop.wait(0);
    assert_eq!(shop.get(&message)["status"], "cancelled");
    let content = json!({"type": "text", "body": "Oi"});
    shop.refused("messages.send", json!({"chat_id": chat, "content": content}), "chat_closed", "chat_id");
    shop.world.assert_log_matches();
}

#[test]
fn automatic_sends_open_no_session() {
    let shop = Shop::new();
    let contact = shop.hear(ANA, "A1", "Oi")["contact_id"].clone();
    let second = shop.line("whatsapp_business", "Campaigns");
    let content = json!({"type": "text", "body": "Promoção"});
    let sent = shop.ok(
        "messages.send",
        json!({"contact_id": contact, "channel_id": second, "content": content, "source": "broadcast"}),
    );
    assert_eq!((&sent["source"], &sent["session_id"]), (&json!("broadcast"), &Value::Null));
    let forged = json!({"contact_id": contact, "channel_id": second, "content": content, "source": "contact"});
    shop.refused("messages.send", forged, "enum_unknown", "source");
}

#[test]
fn a_forward_repeats_the_content_in_other_chats() {
    let shop = Shop::new();
    let chat = shop.chat();
    let original = shop.say(&chat, "Endereço: Rua A, 1");
    let other = shop.hear(BRUNO, "B1", "Onde é?")["chat_id"].clone();
    let copies = shop.ok("messages.forward", json!({"id": original["id"], "chat_ids": [other]}));
    assert_eq!((&copies[0]["chat_id"], &copies[0]["content"]), (&other, &original["content"]));
    assert_eq!(copies[0]["forward"], json!({"score": 0, "from_message_id": original["id"]}));
    shop.refused("messages.forward", json!({"id": original["id"], "chat_ids": []}), "limit_out_of_range", "chat_ids");
    let sent = shop.claim();
    assert_eq!(sent.len(), 2);
    shop.report(&original, json!({"status": "sent", "channel_message_id": "S1"}));
    shop.ok("messages.revoke", json!({"id": original["id"]}));
    let revoked = json!({"id": original["id"], "chat_ids": [other]});
    shop.refused("messages.forward", revoked, "message_not_forwardable", "");
    let at_place = json!({"id": copies[0]["id"], "chat_ids": [chat, shop.project]});
    shop.refused("messages.forward", at_place, "chat_not_found", "chat_ids[1]");
}

#[test]
fn a_message_can_be_taken_back_for_sixty_hours() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.sent(&chat, "Ops", "S1");
    let late = shop.sent(&chat, "Tarde", "S2");
    let revoked = shop.ok("messages.revoke", json!({"id": message["id"]}));
    assert_eq!((&revoked["revoked_at"], &revoked["status"]), (&shop.now(), &json!("sent")));
    shop.ok("messages.revoke", json!({"id": message["id"]}));
    assert_eq!(shop.types(&message).iter().filter(|kind| *kind == "message.revoked").count(), 1);
    shop.wait(60 * 3_600 + 1);
    shop.refused("messages.revoke", json!({"id": late["id"]}), "revoke_window_closed", "");
    let waiting = shop.say(&chat, "Ainda aqui");
    shop.refused("messages.revoke", json!({"id": waiting["id"]}), "invalid_state", "");
}

#[test]
fn reading_is_noted_once() {
    let shop = Shop::new();
    let theirs = shop.hear(ANA, "A1", "Oi");
    let id = theirs["message_id"].clone();
    let read = shop.ok("messages.mark_read", json!({"ids": [id], "played": true}));
    assert_eq!((&read[0]["status"], &read[0]["read_at"]), (&json!("read"), &shop.now()));
    shop.ok("messages.mark_read", json!({"ids": [id]}));
    assert_eq!(shop.types(&json!({"id": id})), ["message.received", "message.read"]);
    let ours = shop.say(text(&theirs["chat_id"]), "Olá");
    shop.refused("messages.mark_read", json!({"ids": [id, ours["id"]]}), "invalid_state", "ids[1]");
    shop.refused("messages.mark_read", json!({"ids": [shop.project]}), "message_not_found", "ids[0]");
}

#[test]
fn a_hidden_message_keeps_its_place() {
    let shop = Shop::new();
    let id = shop.hear(ANA, "A1", "Oi")["message_id"].clone();
    shop.ok("messages.delete", json!({"id": id, "reason": "spam"}));
    shop.ok("messages.delete", json!({"id": id}));
    shop.refused("messages.get", json!({"id": id}), "message_not_found", "");
    assert_eq!(shop.ok("messages.list", json!({}))["items"], json!([]));
    assert_eq!(shop.hear(ANA, "A1", "Oi"), json!({"type": "duplicate", "message_id": id}));
    assert_eq!(shop.types(&json!({"id": id})), ["message.received", "message.deleted"]);
    shop.world.assert_log_matches();
}

#[test]
fn a_file_is_known_bit_by_bit() {
    let shop = Shop::new();
    let item = json!({
        "type": "message", "channel_message_id": "V1", "from_me": false,
        "chat": {"external_id": format!("{ANA}@c.us"), "class": "individual", "kind_detail": "direct"},
        "sender": {"wid": ANA}, "timestamp": shop.now(),
        "content": {"type": "sticker", "media": {"state": "pending"}},
    });
    let id = shop.ingest(&shop.channel, item)["message_id"].clone();
    let attach = |media: Value| json!({"id": id, "media": media});
    let linked = shop.ok("messages.attach_media", attach(json!({"url": "https://x/y.webp", "mime": "Image/WEBP"})));
    assert_eq!(linked["content"]["media"]["state"], "remote");
    assert_eq!(linked["content"]["media"]["mime"], "image/webp");
    let copied = shop.ok("messages.attach_media", attach(json!({"storage_key": "files/1", "size_bytes": 120})));
    assert_eq!(copied["content"]["media"]["state"], "stored");
    assert_eq!(copied["content"]["media"]["url"], "https://x/y.webp");
    shop.refused("messages.attach_media", attach(json!({"sha256": "abc"})), "input_invalid", "media.sha256");
    shop.refused("messages.attach_media", attach(json!({"url": "ftp://x"})), "url_scheme_unsupported", "media.url");
    let plain = shop.hear(ANA, "A2", "Oi")["message_id"].clone();
    let wrong = json!({"id": plain, "media": {"url": "https://x/y"}});
    shop.refused("messages.attach_media", wrong, "content_not_allowed", "media");
}

#[test]
fn particulars_change_key_by_key() {
    let shop = Shop::new();
    let id = shop.hear(ANA, "A1", "Oi")["message_id"].clone();
    let update = |more: Value| {
        let mut input = json!({"id": id});
        merge(&mut input, &more);
        input
    };
    shop.ok("messages.update", update(json!({"language": "pt-BR", "metadata": {"a": 1, "b": 2}})));
    let now = shop.ok("messages.update", update(json!({"metadata": {"a": null, "c": 3}})));
    assert_eq!((&now["language"], &now["metadata"]), (&json!("pt"), &json!({"b": 2, "c": 3})));
    let version = now["version"].clone();
    assert_eq!(
        shop.ok("messages.update", update(json!({"language": "pt", "metadata": {"a": null}})))["version"],
        version
    );
    shop.refused("messages.update", update(json!({"language": "xx"})), "language_invalid", "language");
    let many: serde_json::Map<String, Value> = (0..65).map(|n| (format!("k{n}"), json!(n))).collect();
    shop.refused("messages.update", update(json!({"metadata": many})), "json_too_large", "metadata");
}

#[test]
fn messages_are_listed_newest_first_and_threads_by_session() {
    let shop = Shop::new();
    let first = shop.hear(ANA, "A1", "um");
    shop.wait(60);
    shop.say(text(&first["chat_id"]), "dois");
    shop.wait(3_600);
    shop.hear(ANA, "A2", "três");
    let bodies = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|message| text(&message["content"]["body"]).to_owned()).collect()
    };
    assert_eq!(bodies(&shop.ok("messages.list", json!({}))["items"]), ["três", "dois", "um"]);
    let inbound = json!({"field": "direction", "op": "eq", "value": "inbound"});
    assert_eq!(shop.ok("messages.count", json!({"filter": inbound})), 2);
    let thread = shop.ok("messages.thread", json!({"contact_id": first["contact_id"]}));
    let sessions: Vec<Vec<String>> =
        thread["items"].as_array().unwrap().iter().map(|session| bodies(&session["messages"])).collect();
    assert_eq!(sessions, [vec!["três".to_owned()], vec!["um".to_owned(), "dois".to_owned()]]);
    let found = shop.ok("messages.find", json!({"channel_id": shop.channel, "channel_message_id": "A2"}));
    assert_eq!(found["content"]["body"], "três");
    shop.refused("messages.find", json!({"channel_message_id": "A2"}), "field_required", "channel_id");
    shop.refused(
        "messages.list",
        json!({"filter": {"field": "due_at", "op": "is_null"}}),
        "filter_field_unknown",
        "filter.field",
    );
}

#[test]
fn case_21_a_late_quote_is_resolved_when_it_is_read() {
    let shop = Shop::new();
    let item = json!({
        "type": "message", "channel_message_id": "A2", "from_me": false,
        "chat": {"external_id": format!("{ANA}@c.us"), "class": "individual", "kind_detail": "direct"},
        "sender": {"wid": ANA}, "timestamp": shop.now(), "content": {"type": "text", "body": "Sim"},
        "reply_to_channel_message_id": "X9",
    });
    let answer = json!({"id": shop.ingest(&shop.channel, item)["message_id"]});
    assert_eq!(
        (&shop.get(&answer)["reply_to_id"], &shop.get(&answer)["reply_to_channel_message_id"]),
        (&Value::Null, &json!("X9"))
    );
    let quoted = shop.hear(ANA, "X9", "Vamos?")["message_id"].clone();
    assert_eq!(shop.get(&answer)["reply_to_id"], quoted);
    assert_eq!(shop.types(&answer), ["message.received"]);
}
