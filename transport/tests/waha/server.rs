//! A WAHA of this machine: it listens on a socket, writes down what it was asked and what reached whom, and misbehaves when told.
//!
//! WAHA has no idempotency keys: the same request twice is two messages. So does this one, unless it is told to honour keys, as a
//! gateway may that stands before WAHA.

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

pub const BUSINESS: &str = "551150000001@c.us";

/// What it does with one message.
#[derive(Clone, Debug)]
pub enum Manner {
    Takes,
    /// Answers this, and nothing reaches anybody.
    Refuses(u16, Option<&'static str>, &'static str),
    /// Takes the message and answers so.
    Says(Vec<u8>),
    /// Closes before it has read everything; nothing reaches anybody.
    CutsTheQuestion,
    /// Takes the message and closes in the middle of the answer.
    CutsTheAnswer,
    /// Takes the message and never answers.
    Hangs,
    /// Takes the message, and answers byte by byte.
    Dribbles,
    /// Takes the message and tells of it before it answers.
    EchoesFirst,
    /// Takes the message and acknowledges it before it answers.
    AcknowledgesFirst,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub key: Option<String>,
    pub api_key: Option<String>,
    pub body: Value,
}

/// What was done at WhatsApp with a message that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Edited {
        id: String,
        text: String,
    },
    Revoked {
        id: String,
    },
    /// Without an emoji it was removed.
    Reacted {
        id: String,
        emoji: String,
    },
    Seen {
        chat: String,
        ids: Vec<String>,
    },
}

/// A message that reached its recipient.
#[derive(Clone, Debug)]
pub struct Reached {
    pub id: String,
    pub chat: String,
    pub text: String,
    key: Option<String>,
}

impl Reached {
    /// What WAHA tells of it: `message.any`, from the number itself.
    pub fn echo(&self) -> Value {
        event(
            "message.any",
            json!({
                "id": format!("true_{}_{}", self.chat, self.id), "timestamp": 1_736_154_000, "from": BUSINESS, "to": self.chat,
                "fromMe": true, "source": "api", "body": self.text, "hasMedia": false, "media": null, "ack": 1,
            }),
        )
    }

    /// An acknowledgement: 1 taken, 2 delivered, 3 read, 4 played, -1 failed.
    pub fn ack(&self, ack: i64) -> Value {
        event(
            "message.ack",
            json!({
                "id": format!("true_{}_{}", self.chat, self.id), "timestamp": 1_736_154_000, "from": BUSINESS, "to": self.chat,
                "fromMe": true, "ack": ack,
            }),
        )
    }
}

fn event(kind: &str, payload: Value) -> Value {
    json!({
        "event": kind, "session": "session-one", "timestamp": 1_736_154_000_000_i64, "metadata": {}, "payload": payload,
        "me": {"id": BUSINESS, "pushName": "Business One"},
    })
}

type Told = Arc<dyn Fn(Value) + Send + Sync>;

#[derive(Default)]
struct State {
    honours_keys: bool,
    next: VecDeque<Manner>,
    of_texts: BTreeMap<String, VecDeque<Manner>>,
    asked: Vec<Asked>,
    reached: Vec<Reached>,
    changes: Vec<Change>,
    told: Option<Told>,
}

struct Listening {
    stops: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

pub struct FakeWaha {
    pub port: u16,
    state: Arc<Mutex<State>>,
    listening: Option<Listening>,
}

impl FakeWaha {
    pub fn start() -> FakeWaha {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = FakeWaha { port, state: Arc::default(), listening: None };
        server.listen(listener);
        server
    }

    pub fn honouring_keys() -> FakeWaha {
        let server = FakeWaha::start();
        server.state.lock().unwrap().honours_keys = true;
        server
    }

    fn listen(&mut self, listener: TcpListener) {
        let stops = Arc::new(AtomicBool::new(false));
        let (state, stop) = (self.state.clone(), stops.clone());
        let thread = std::thread::spawn(move || {
            let mut conversations = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let state = state.clone();
                conversations.push(std::thread::spawn(move || converse(stream, &state)));
            }
            drop(listener);
            for conversation in conversations {
                conversation.join().unwrap();
            }
        });
        self.listening = Some(Listening { stops, thread });
    }

    /// Ends; whoever calls finds nobody.
    pub fn stop(&mut self) {
        let Some(Listening { stops, thread }) = self.listening.take() else { return };
        stops.store(true, Ordering::SeqCst);
        // It waits for somebody to come.
        let _woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        thread.join().unwrap();
    }

    /// Begins again where it was, and knows what it knew.
    pub fn start_again(&mut self) {
        self.listen(TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).unwrap());
    }

    /// What it does with the next messages, one after the other; then it takes them.
    pub fn next(&self, manners: impl IntoIterator<Item = Manner>) {
        self.state.lock().unwrap().next.extend(manners);
    }

    /// What it does with the messages of this text.
    pub fn with_text(&self, text: &str, manners: Vec<Manner>) {
        self.state.lock().unwrap().of_texts.insert(text.to_owned(), manners.into());
    }

    /// Hears what it tells while it has not answered yet.
    pub fn tell(&self, told: Told) {
        self.state.lock().unwrap().told = Some(told);
    }

    /// The requests to send something, since the last look.
    pub fn sends(&self) -> Vec<Asked> {
        let asked = std::mem::take(&mut self.state.lock().unwrap().asked);
        asked.into_iter().filter(|asked| asked.path.starts_with("/api/send") && !asked.is_change()).collect()
    }

    /// The methods and paths of requests to change something that is there, since the last look.
    pub fn asked_changes(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.state.lock().unwrap().asked);
        asked.into_iter().filter(Asked::is_change).map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }

    /// What was changed, in order.
    pub fn changes(&self) -> Vec<Change> {
        self.state.lock().unwrap().changes.clone()
    }

    /// How much has happened.
    pub fn happened(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.reached.len() + state.changes.len()
    }

    pub fn reached(&self) -> Vec<Reached> {
        self.state.lock().unwrap().reached.clone()
    }

    /// How often a text has reached somebody.
    pub fn count(&self, text: &str) -> usize {
        self.reached().iter().filter(|reached| reached.text == text).count()
    }
}

impl Drop for FakeWaha {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Asked {
    /// It is about a message that is there.
    fn is_change(&self) -> bool {
        self.path == "/api/sendSeen" || self.path == "/api/reaction" || self.path.contains("/messages/")
    }
}

/// The request, once all of it is there; `None` when the caller went away, or the manner is not to listen to the end.
fn read(stream: &mut TcpStream) -> Option<Asked> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let length = stream.read(&mut part).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&part[..length]);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length = header("content-length").map_or(0, |length| length.parse::<usize>().unwrap());
    while bytes.len() < end + length {
        let length = stream.read(&mut part).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&part[..length]);
    }
    let (method, path) = (head.split(' ').next()?.to_owned(), head.split(' ').nth(1)?.to_owned());
    let body = serde_json::from_slice(&bytes[end..]).unwrap_or(Value::Null);
    Some(Asked { method, path, key: header("idempotency-key"), api_key: header("x-api-key"), body })
}

fn converse(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(asked) = read(&mut stream) else { return };
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    if path == "/api/contacts/check-exists" {
        let phone = query.trim_start_matches("phone=").split('&').next().unwrap();
        let known = json!({"numberExists": true, "chatId": format!("{phone}@c.us")});
        return answer(&mut stream, 200, None, &known.to_string());
    }
    if asked.api_key.as_deref() != Some("k-0123456789abcdef") {
        return answer(&mut stream, 401, None, r#"{"message":"Unauthorized","statusCode":401}"#);
    }
    let text = asked.body["text"].as_str().unwrap_or_default().to_owned();
    let manner = {
        let mut state = state.lock().unwrap();
        state.asked.push(asked.clone());
        let own = state.of_texts.get_mut(&text).and_then(VecDeque::pop_front);
        own.or_else(|| state.next.pop_front()).unwrap_or(Manner::Takes)
    };
    match manner {
        Manner::Refuses(status, retry_after, body) => return answer(&mut stream, status, retry_after, body),
        // What was read is lost, and so is whatever the other side was about to hear.
        Manner::CutsTheQuestion => return drop(stream.shutdown(Shutdown::Both)),
        _ => {}
    }
    if asked.is_change() {
        let is_known = state.lock().unwrap().change(&asked);
        return match manner {
            Manner::Hangs => drop(stream.read(&mut [0])),
            _ if is_known => answer(&mut stream, 200, None, "true"),
            _ => answer(&mut stream, 404, None, r#"{"message":"Message not found","statusCode":404}"#),
        };
    }
    let (reached, told) = {
        let mut state = state.lock().unwrap();
        (state.take(&asked, text), state.told.clone())
    };
    let said = json!({"id": format!("true_{}_{}", reached.chat, reached.id), "timestamp": 1_736_154_000}).to_string();
    let tell = |event: Value| told.as_ref().expect("somebody listens")(event);
    match manner {
        Manner::Says(bytes) => {
            let _sent = stream.write_all(&bytes);
            let _closed = stream.shutdown(Shutdown::Both);
        }
        Manner::CutsTheAnswer => {
            let _sent = stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 80\r\n\r\n{\"id\":\"true_");
            let _closed = stream.shutdown(Shutdown::Both);
        }
        // Until the caller has had enough.
        Manner::Hangs => drop(stream.read(&mut [0])),
        Manner::Dribbles => {
            let whole = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{said}", said.len());
            for byte in whole.as_bytes() {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Manner::EchoesFirst => {
            tell(reached.echo());
            answer(&mut stream, 201, None, &said);
        }
        Manner::AcknowledgesFirst => {
            tell(reached.ack(3));
            answer(&mut stream, 201, None, &said);
        }
        Manner::Takes | Manner::Refuses(..) | Manner::CutsTheQuestion => answer(&mut stream, 201, None, &said),
    }
}

impl State {
    /// Does what was asked with a message, by its long id; false when there is none, or none any more.
    fn change(&mut self, asked: &Asked) -> bool {
        let text = |name: &str| asked.body[name].as_str().expect("a text").to_owned();
        let segments: Vec<String> = asked.path.split('/').map(|segment| segment.replace("%40", "@")).collect();
        let id = match segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["", "api", "session-one", "chats", chat, "messages", id] if id.contains(chat) => id.to_owned(),
            ["", "api", "reaction"] => text("messageId"),
            _ => String::new(),
        };
        let is_here = |it: &Reached| format!("true_{}_{}", it.chat, it.id) == id;
        let revoked = Change::Revoked { id: id.clone() };
        let is_known = self.reached.iter().any(is_here) && !self.changes.contains(&revoked);
        let change = match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/api/sendSeen") => {
                let ids =
                    asked.body["messageIds"].as_array().expect("ids").iter().map(|id| id.as_str().unwrap().to_owned());
                Change::Seen { chat: text("chatId"), ids: ids.collect() }
            }
            ("PUT", "/api/reaction") => Change::Reacted { id, emoji: text("reaction") },
            ("PUT", _) if is_known => Change::Edited { id, text: text("text") },
            ("DELETE", _) if is_known => revoked,
            _ => return false,
        };
        self.changes.push(change);
        true
    }

    /// Brings a message to its recipient; where keys are honoured, once.
    fn take(&mut self, asked: &Asked, text: String) -> Reached {
        let known = |reached: &&Reached| self.honours_keys && reached.key.is_some() && reached.key == asked.key;
        if let Some(known) = self.reached.iter().find(known) {
            return known.clone();
        }
        let id = format!("3EB0{:016X}", self.reached.len() + 1);
        let chat = asked.body["chatId"].as_str().expect("a chat").to_owned();
        self.reached.push(Reached { id, chat, text, key: asked.key.clone() });
        self.reached[self.reached.len() - 1].clone()
    }
}

fn answer(stream: &mut TcpStream, status: u16, retry_after: Option<&str>, body: &str) {
    let pause = retry_after.map(|after| format!("retry-after: {after}\r\n")).unwrap_or_default();
    let whole = format!("HTTP/1.1 {status} Said\r\n{pause}content-length: {}\r\n\r\n{body}", body.len());
    // Who has gone hears nothing.
    let _sent = stream.write_all(whole.as_bytes());
}
