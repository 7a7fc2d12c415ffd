//! What surrounds every event: whose it is, when it was, and what it is about.

use super::identifiers::{Own, changed_identity};
use super::json::Json;
use crate::channels::gateway::{
    GatewayContext, InboundIdentity, InboundItem, Normalised, ProviderEvent, UnknownReason,
};
use crate::kernel::Timestamp;

/// Beyond this a number of seconds is a number of milliseconds: the year 5138.
const MOST_SECONDS: f64 = 1e11;

/// One webhook call, opened.
pub(super) struct Delivery<'p, 'a> {
    pub context: &'p GatewayContext,
    pub event: &'p str,
    pub payload: &'p Json<'a>,
    pub own: Own,
    me: &'p Json<'a>,
    id: Option<String>,
    at: Option<Timestamp>,
}

impl<'p, 'a> Delivery<'p, 'a> {
    pub(super) fn new(context: &'p GatewayContext, json: &'p Json<'a>, event: &'p str) -> Self {
        let me = json.get("me");
        Delivery {
            context,
            event,
            payload: json.get("payload"),
            own: Own::new(context, me),
            me,
            id: json.get("id").string(),
            at: instant(json.get("timestamp")),
        }
    }

    /// A message of the history, which comes without an envelope. `own` is who the line is.
    pub(super) fn past(context: &'p GatewayContext, own: Own, payload: &'p Json<'a>) -> Self {
        Delivery { context, event: "message.any", payload, own, me: &Json::Null, id: None, at: None }
    }

    /// When the payload's fact happened: its own time, the engine's, the envelope's, or the reception.
    pub(super) fn time(&self, payload: &Json<'_>) -> Timestamp {
        told_time(payload).or(self.at).unwrap_or(self.context.now)
    }

    /// The origin of an item that happened then.
    pub(super) fn provider(&self, at: Timestamp) -> ProviderEvent {
        ProviderEvent { provider_event_id: self.id.clone(), provider_at: Some(at), raw_kind: self.event.to_owned() }
    }

    /// Adds our own identity when the envelope tells a new one.
    pub(super) fn identity(&self, out: &mut Normalised) {
        if let Some(identity) = changed_identity(&self.context.identity, self.me) {
            let provider = self.provider(self.at.unwrap_or(self.context.now));
            out.push(InboundItem::Identity(InboundIdentity { provider, identity }));
        }
    }

    /// Gives up on an event that lacks what it is about.
    pub(super) fn incomplete(&self, out: &mut Normalised) {
        out.unknown(self.provider(self.time(self.payload)), UnknownReason::Incomplete);
    }
}

/// When it happened, by the payload's own word or the engine's.
pub(super) fn told_time(payload: &Json<'_>) -> Option<Timestamp> {
    instant(payload.get("timestamp"))
        .or_else(|| payload.at("_data.Info.Timestamp").text().and_then(|text| Timestamp::parse(text).ok()))
        .or_else(|| instant(payload.at("_data.messageTimestamp")))
}

/// Seconds, whole or not, or milliseconds; zero is no time.
pub(super) fn instant(node: &Json<'_>) -> Option<Timestamp> {
    let number = node.number().filter(|number| *number > 0.0)?;
    let micros = if number > MOST_SECONDS { number * 1e3 } else { number * 1e6 };
    // Beyond 2^53 a float is no exact count any more, and no date either.
    if micros > 9e15 {
        return None;
    }
    Timestamp::from_micros(micros.round() as i64)
}
