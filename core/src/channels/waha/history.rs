//! The history of a WhatsApp line as WAHA tells it: its chats, and the messages of each, page by page.
//!
//! A message of the past has the form of a live one without its envelope, and is read by the same rules.

use super::Waha;
use super::envelope::{Delivery, told_time};
use super::identifiers::{Own, jid, name};
use super::json::{self, Json};
use super::message;
use super::sending::{refused, request, segment, session};
use crate::channels::gateway::{
    ChannelSender, ChatClass, GatewayContext, GatewayError, GatewayErrorKind as Kind, GatewayLine, HistoryChat,
    HistoryEntry, HistoryRange, HistorySource, HistoryWhat, InboundItem, Normalised,
};
use crate::engine::Answer;
use crate::http::{HttpFailure, HttpMethod, HttpRequest};
use std::borrow::Cow;
use std::time::Duration;
use url::form_urlencoded::Serializer;

/// How long one page may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of one page.
const MAX_PAGE: usize = 10 * 1024 * 1024;

impl HistorySource for Waha {
    fn code(&self) -> &'static str {
        "waha"
    }

    fn can_reach(&self, line: &GatewayLine) -> bool {
        self.is_reachable(line)
    }

    fn chats(&self, line: &GatewayLine, offset: u64, limit: u32) -> Result<HttpRequest, GatewayError> {
        let query = Serializer::new(String::new())
            .append_pair("limit", &limit.to_string())
            .append_pair("offset", &offset.to_string())
            .append_pair("sortBy", "messageTimestamp")
            .append_pair("sortOrder", "desc")
            .finish();
        page(line, &format!("chats?{query}"))
    }

    fn read_chats(&self, answer: &Answer) -> Result<Vec<HistoryChat>, GatewayError> {
        let body = body(answer)?;
        let chat = |entry: &Json<'_>| {
            let mut chat = jid(entry.get("id"))?.chat();
            let name = ["name", "subject", "pushName"].iter().find_map(|key| entry.get(key).text().map(name));
            chat.subject = name.clone().filter(|_| chat.class != ChatClass::Individual);
            Some(HistoryChat { chat, name })
        };
        Ok(list(&body)?.iter().filter_map(chat).collect())
    }

    fn messages(&self, line: &GatewayLine, range: &HistoryRange<'_>) -> Result<HttpRequest, GatewayError> {
        let mut query = Serializer::new(String::new());
        query.append_pair("limit", &range.limit.to_string());
        query.append_pair("offset", &range.offset.to_string());
        query.append_pair("downloadMedia", "false");
        if let Some(from) = range.from {
            query.append_pair("filter.timestamp.gte", &from.micros().div_euclid(1_000_000).to_string());
        }
        if let Some(until) = range.until {
            query.append_pair("filter.timestamp.lte", &until.micros().div_euclid(1_000_000).to_string());
        }
        let query = query.finish();
        page(line, &format!("chats/{}/messages?{query}", segment(range.chat)?))
    }

    fn read_messages(&self, context: &GatewayContext, answer: &Answer) -> Result<Vec<HistoryEntry>, GatewayError> {
        let body = body(answer)?;
        let own = Own::new(context, &Json::Null);
        Ok(list(&body)?.iter().map(|payload| entry(context, &own, payload)).collect())
    }
}

fn entry(context: &GatewayContext, own: &Own, payload: &Json<'_>) -> HistoryEntry {
    let mut read = Normalised::new(Some("history"), b"");
    message::read(&Delivery::past(context, own.clone(), payload), &mut read);
    let at = told_time(payload);
    let what = match read.items.into_iter().next() {
        Some(InboundItem::Message(message)) if at.is_some() => HistoryWhat::Message(message),
        Some(_) => HistoryWhat::Unreadable,
        None => HistoryWhat::Nothing,
    };
    HistoryEntry { id: message::identify(payload).map(|id| id.stanza), at, what }
}

fn page(line: &GatewayLine, path: &str) -> Result<HttpRequest, GatewayError> {
    let path = format!("/api/{}/{path}", segment(session(line)?)?);
    let request = request(line, HttpMethod::Get, &path, TIMEOUT)?;
    Ok(HttpRequest { max_response: MAX_PAGE, ..request })
}

/// The text of an answer, in a form that can be read.
struct Body<'b>(Cow<'b, [u8]>);

/// The body of an answer that is JSON, or what went wrong. Nothing was changed by asking, so nothing is ambiguous.
fn body(answer: &Answer) -> Result<Body<'_>, GatewayError> {
    let response = match answer {
        Ok(response) => response,
        Err(HttpFailure::Blocked { reason }) => return Err(GatewayError::new(Kind::BlockedTarget, reason)),
        Err(failure) => return Err(GatewayError::new(Kind::Unavailable, failure.as_str())),
    };
    if !response.is_success() {
        let said = serde_json::from_slice::<serde_json::Value>(&response.body).ok().filter(|body| body.is_object());
        return Err(refused(response, said.as_ref()));
    }
    if response.is_cut {
        return Err(GatewayError::new(Kind::TooLarge, "the page is larger than what is read of one"));
    }
    // Half an emoji makes a page unreadable, which is seen in the text itself.
    Ok(Body(json::repair(&response.body).map_or(Cow::Borrowed(&response.body), Cow::Owned)))
}

fn list<'b>(body: &'b Body<'_>) -> Result<Vec<Json<'b>>, GatewayError> {
    match json::parse(&body.0) {
        Some(Json::List(entries)) => Ok(entries),
        _ => Err(GatewayError::new(Kind::Unavailable, "the gateway's answer cannot be read")),
    }
}
