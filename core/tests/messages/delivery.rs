//! The way of a message to its provider, and what the provider says about it.

use super::*;

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
