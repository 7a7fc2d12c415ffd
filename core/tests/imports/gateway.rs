//! A gateway with a history, as WAHA would tell it: pages from the newest message back, ends of seconds included. It may fail, hang and
//! say less than it was asked for.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use ventros::http::{HttpFailure, HttpRequest, HttpResponse, HttpTransport};
use ventros::testing::FakeOutside;

/// One message of a chat.
#[derive(Debug, Clone)]
pub struct Said {
    pub id: String,
    pub at: i64,
    pub from_me: bool,
    /// Of a group, who wrote it.
    pub by: Option<String>,
}

/// What the gateway knows, and how it behaves.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Chats by their ids, in the order of the list.
    pub chats: Vec<(String, Vec<Said>)>,
    /// Messages of one answer at most, whatever is asked for.
    pub most: usize,
    /// The status with which the list of chats is refused.
    pub list_fails: Option<u16>,
    /// How often asking for a chat fails.
    pub fails: BTreeMap<String, u32>,
    /// Pages of more messages than this are cut off in the middle.
    pub cuts_above: Option<usize>,
}

impl Memory {
    pub fn of(chats: Vec<(String, Vec<Said>)>) -> Memory {
        Memory { chats, most: 500, list_fails: None, fails: BTreeMap::new(), cuts_above: None }
    }

    pub fn answer(&mut self, request: &HttpRequest) -> Result<HttpResponse, HttpFailure> {
        if !request.url.starts_with("https://waha.example.com/") {
            return Ok(HttpResponse::new(204, ""));
        }
        assert!(request.headers.contains(&("x-api-key".to_owned(), "k-0123456789abcdef".to_owned())));
        let (path, query) = request.url.split_once('?').unwrap();
        let path = path.strip_prefix("https://waha.example.com/api/session-one/chats").unwrap();
        let number = |name: &str| {
            let found = query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name));
            found.map(|(_, value)| value.parse::<i64>().unwrap())
        };
        let (limit, offset) = (number("limit").unwrap() as usize, number("offset").unwrap() as usize);
        if path.is_empty() {
            assert!(query.contains("sortBy=messageTimestamp&sortOrder=desc"), "{query}");
            if let Some(status) = self.list_fails {
                return Ok(HttpResponse::new(status, r#"{"message":"gateway down"}"#));
            }
            let page: Vec<Value> =
                self.chats.iter().skip(offset).take(limit).map(|(id, _)| json!({"id": id})).collect();
            return Ok(HttpResponse::new(200, json!(page).to_string()));
        }
        let id = path.strip_prefix('/').unwrap().strip_suffix("/messages").unwrap().replace("%40", "@");
        if let Some(left) = self.fails.get_mut(&id).filter(|left| **left > 0) {
            *left -= 1;
            return Ok(HttpResponse::new(500, r#"{"message":"no"}"#));
        }
        let (_, said) = self.chats.iter().find(|(known, _)| *known == id).unwrap();
        let until = number("filter.timestamp.lte").unwrap_or(i64::MAX);
        let from = number("filter.timestamp.gte").unwrap_or(0);
        let mut said: Vec<&Said> = said.iter().filter(|said| (from..=until).contains(&said.at)).collect();
        said.sort_by_key(|said| std::cmp::Reverse((said.at, said.id.clone())));
        let page: Vec<Value> =
            said.into_iter().skip(offset).take(limit.min(self.most)).map(|said| told(&id, said)).collect();
        let is_cut = self.cuts_above.is_some_and(|most| page.len() > most);
        Ok(HttpResponse { is_cut, ..HttpResponse::new(200, json!(page).to_string()) })
    }
}

fn told(chat: &str, said: &Said) -> Value {
    let own = "551150000001@c.us";
    let (from, to) = if said.from_me { (own, chat) } else { (chat, own) };
    let mut told = json!({
        "id": format!("{}_{chat}_{}", said.from_me, said.id), "timestamp": said.at, "from": from, "to": to,
        "fromMe": said.from_me, "body": format!("Text {}", said.id), "hasMedia": false, "ack": 3,
    });
    if let Some(by) = &said.by {
        told["participant"] = json!(by);
    }
    told
}

/// The way to it.
pub struct Gateway {
    pub memory: Arc<Mutex<Memory>>,
    pub outside: Arc<FakeOutside>,
    /// Calls do not come back.
    pub hangs: AtomicBool,
    /// Calls that did not.
    pub hung: AtomicUsize,
}

impl Gateway {
    pub fn new(memory: Memory) -> Arc<Gateway> {
        let memory = Arc::new(Mutex::new(memory));
        let known = memory.clone();
        let outside = FakeOutside::new(move |request| known.lock().unwrap().answer(request));
        Arc::new(Gateway { memory, outside, hangs: AtomicBool::new(false), hung: AtomicUsize::new(0) })
    }

    /// The paths that it was asked for since the last look.
    pub fn asked(&self) -> Vec<String> {
        let of = |request: &HttpRequest| request.url.replace("https://waha.example.com/api/session-one/", "");
        self.outside.asked().iter().map(of).collect()
    }

    pub fn behave(&self, change: impl FnOnce(&mut Memory)) {
        change(&mut self.memory.lock().unwrap());
    }
}

#[async_trait]
impl HttpTransport for Gateway {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        if self.hangs.load(Ordering::SeqCst) {
            self.hung.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        self.outside.send(request).await
    }
}
