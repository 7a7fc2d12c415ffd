//! What happens when another writer is faster: each race of the page, with the moments chosen.
//!
//! R1, R2, R5 and R18 are run by crowds; R9 and R10 are cases of echoes and targets.

use crate::line::*;
use serde_json::{Value, json};
use std::sync::mpsc;
use ventros::contacts::contact::Contact;
use ventros::conversations::chat::Chat;
use ventros::conversations::inbound::{Accept, Outcome, ParkedBecause, RawBody};
use ventros::conversations::message::Message;
use ventros::conversations::session::Session;
use ventros::testing::block_on;

impl Line {
    /// Runs `first`, and `second` just before the commit of it; what both gave.
    #[track_caller]
    fn race<A, B: Send + 'static>(
        &self,
        first: impl FnOnce(&Line) -> A,
        second: impl FnOnce(&Line) -> B + Send + 'static,
    ) -> (A, B) {
        let (tell, told) = mpsc::channel();
        let line = self.clone();
        self.store.before_commit(move || tell.send(second(&line)).unwrap());
        let first = first(self);
        (first, told.try_recv().expect("the second one ran before the commit of the first"))
    }
}

#[test]
fn race_03_a_new_person_writes_in_a_group_and_privately() {
    let line = Line::with(json!({"allow_groups": true}));
    let (group, private) = line.race(
        |line| line.item(in_group(message("G1", "10:00:00", "Oi grupo"))),
        |line| line.says("A1", "10:00:00", "Oi"),
    );
    assert!(recorded(&group) && recorded(&private));
    assert_eq!((line.all::<Contact>().len(), line.all::<Chat>().len()), (1, 2));
    line.world.assert_log_matches();
}

#[test]
fn race_04_one_number_on_two_channels() {
    let line = Line::new();
    let other = line.beside("W2");
    let (here, there) =
        line.race(|line| line.says("A1", "10:00:00", "Oi"), move |_| other.says("A1", "10:00:00", "Oi"));
    assert!(recorded(&here) && recorded(&there));
    assert_eq!((line.all::<Contact>().len(), line.all::<Chat>().len()), (1, 2));
    line.world.assert_log_matches();
}

#[test]
fn race_06_the_timer_against_a_message() {
    let line = Line::new();
    line.says("A1", "10:00:00", "1");
    line.set("10:30:01");
    let ((), second) = line.race(Line::run, |line| line.says("A2", "10:30:00", "2"));
    assert!(recorded(&second));
    assert!(line.one::<Session>().is_active());
    let line = Line::new();
    line.says("A1", "10:00:00", "1");
    line.set("10:30:01");
    let (second, ()) = line.race(|line| line.says("A2", "10:30:00", "2"), Line::run);
    assert!(recorded(&second));
    let session = line.one::<Session>();
    assert!(session.is_active() && session.metrics.message_count == 2);
    line.world.assert_log_matches();
}

#[test]
fn race_07_an_agent_closes_while_a_message_arrives() {
    for (time, sessions) in [("10:04:59", 1), ("10:05:01", 2)] {
        let line = Line::new();
        line.says("A1", "10:00:00", "1");
        let id = line.one::<Session>().id;
        line.set("10:05:00");
        let close = move |line: &Line| line.ok("sessions.end", json!({"id": id, "reason": "agent_close"}));
        line.race(|line| line.says("A2", time, "2"), close);
        let all = line.all::<Session>();
        assert_eq!(all.len(), sessions, "{time}");
        assert!(!all.iter().find(|session| session.id == id).unwrap().is_active());
        line.world.assert_log_matches();
    }
}

#[test]
fn race_08_an_agent_sends_while_a_message_opens_the_session() {
    let line = Line::connected();
    line.says("A1", "08:00:00", "1");
    line.run();
    assert!(!line.one::<Session>().is_active());
    let chat = line.one::<Chat>().id;
    let send = json!({"chat_id": chat, "content": {"type": "text", "body": "Bom dia"}});
    let (heard, sent) = line.race(|line| line.says("A2", "10:00:00", "2"), move |line| line.ok("messages.send", send));
    assert!(matches!(heard, Outcome::Recorded { session_id, .. } if json!(session_id) == sent["session_id"]));
    assert_eq!(line.all::<Session>().iter().filter(|session| session.is_active()).count(), 1);
    line.world.assert_log_matches();
}

#[test]
fn race_13_the_contact_is_deleted_meanwhile() {
    let line = Line::new();
    line.says("A1", "09:59:00", "1");
    let old = line.contact().id;
    let (second, _) =
        line.race(|line| line.says("A2", "10:00:00", "2"), move |line| line.ok("contacts.delete", json!({"id": old})));
    let Outcome::Recorded { contact_id: Some(new), created, .. } = second else { panic!("{second:?}") };
    assert!(created.contact && new != old);
    line.world.assert_log_matches();
}

#[test]
fn race_14_the_chat_is_closed_meanwhile() {
    let line = Line::new();
    line.says("A1", "09:59:00", "1");
    let old = line.one::<Chat>().id;
    let (second, _) =
        line.race(|line| line.says("A2", "10:00:00", "2"), move |line| line.ok("chats.close", json!({"id": old})));
    let Outcome::Recorded { chat_id, created, .. } = second else { panic!("{second:?}") };
    assert!(created.chat && chat_id != old);
    line.run();
    let sessions = line.all::<Session>();
    assert_eq!(sessions.iter().filter(|session| session.is_active()).count(), 1);
    line.world.assert_log_matches();
}

#[test]
fn race_15_the_channel_is_switched_off_meanwhile() {
    let line = Line::connected();
    let id = line.channel;
    let (first, _) = line
        .race(|line| line.says("A1", "10:00:00", "1"), move |line| line.ok("channels.deactivate", json!({"id": id})));
    assert!(recorded(&first));
    let off = Outcome::Parked { reason: ParkedBecause::ChannelInactive };
    assert_eq!(line.says("A2", "10:00:00", "2"), off);
}

#[test]
fn race_16_two_assignments_at_once() {
    let line = Line::new();
    line.says("A1", "10:00:00", "1");
    let session = line.one::<Session>();
    let (id, version) = (session.id, session.version);
    let assign = move |line: &Line, agent: u8| {
        let mut context = line.shop.context();
        context.expected_version = Some(version);
        let agent = format!("0199d1c2-0000-7000-8000-00000000000{agent}");
        line.call_in(context, "sessions.assign", json!({"id": id, "agent_id": agent}))
    };
    let (second, first) = line.race(|line| assign(line, 1), move |line| assign(line, 2));
    assert!(first.is_ok());
    assert_eq!(second.unwrap_err().code().as_str(), "version_conflict");
    assert!(line.one::<Session>().current_agent_id.unwrap().to_string().ends_with('2'));
}

#[test]
fn race_18_two_workers_drain_one_inbox() {
    let line = Line::new();
    for number in 0..40 {
        let payload = json!({
            "id": format!("false_55119999900{:02}@c.us_M{number}", number % 7), "timestamp": 1_736_157_600,
            "from": format!("55119999900{:02}@c.us", number % 7), "fromMe": false, "body": format!("{number}"),
        });
        let raw = json!({"event": "message.any", "session": "default", "payload": payload}).to_string();
        let accept = Accept { channel_id: line.channel, raw: RawBody(raw), headers: Default::default() };
        block_on(line.shop.execute(accept)).unwrap();
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| line.run());
        }
    });
    line.run();
    let messages = line.all::<Message>();
    assert_eq!((messages.len(), line.all::<Contact>().len()), (40, 7));
    // Inside a chat in the order of their arrival.
    let mut last = std::collections::BTreeMap::new();
    for event in line.log().iter().filter(|event| event.event_type == "message.received") {
        let data: Value = serde_json::from_str(event.data.get()).unwrap();
        let number: u32 = data["content"]["body"].as_str().unwrap().parse().unwrap();
        let before = last.insert(data["chat_id"].to_string(), number);
        assert!(before.is_none_or(|before| before < number));
    }
    line.world.assert_log_matches();
}

#[test]
fn race_19_case_28_one_client_token_twice_at_once() {
    let line = Line::connected();
    line.says("A1", "09:59:00", "1");
    let send = json!({
        "chat_id": line.one::<Chat>().id, "content": {"type": "text", "body": "Bom dia"}, "client_token": "t1",
    });
    let again = send.clone();
    let (second, first) = line.race(|line| line.ok("messages.send", send), move |line| line.ok("messages.send", again));
    assert_eq!(first["id"], second["id"]);
    assert_eq!(line.all::<Message>().len(), 2);
}

#[test]
fn race_20_a_label_before_its_chat() {
    let line = Line::new();
    let label = json!({
        "type": "chat_label_change", "label_id": "7", "change": "added", "label": null,
        "chat": {"external_id": "5511999998888@c.us", "class": "individual", "kind_detail": "direct", "subject": null},
    });
    assert!(waits(&line.item(label)));
    line.says("A1", "10:00:00", "Oi");
    assert!(line.one::<Chat>().labels.contains("7"));
    line.world.clock.advance_seconds(25 * 3600);
    line.run();
    line.world.assert_log_matches();
}
