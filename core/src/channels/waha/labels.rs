//! Labels of the paired account, and the chats they are on.

use super::envelope::Delivery;
use super::identifiers::jid;
use super::json::Json;
use crate::channels::gateway::{
    InboundChatLabelChange, InboundItem, InboundLabelChange, LabelAssignment, Normalised, ProviderLabel,
};

/// WhatsApp's palette, by the number that a label carries.
pub(crate) const PALETTE: [&str; 20] = [
    "#FF9485", "#64C4FF", "#FFD429", "#DFAEF0", "#99B6C1", "#55CCB3", "#FF9DFF", "#D3A91D", "#6D7CCE", "#D7E752",
    "#00D0E2", "#FFC5C7", "#93CEAC", "#F74848", "#00A0F2", "#83E422", "#FFAF04", "#B5EBFF", "#9BA6FF", "#9368CF",
];

pub(super) fn label(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let Some(label_id) = payload.get("id").word() else { return delivery.incomplete(out) };
    let provider = delivery.provider(delivery.time(payload));
    let label = if delivery.event == "label.deleted" { None } else { read(payload) };
    if label.is_none() && delivery.event != "label.deleted" {
        return delivery.incomplete(out);
    }
    out.push(InboundItem::LabelChange(InboundLabelChange { provider, label_id, label }));
}

pub(super) fn chat_label(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let chat = jid(payload.get("chatId"));
    let label = read(payload.get("label"));
    let label_id = payload.get("labelId").word().or_else(|| label.as_ref().map(|label| label.id.clone()));
    let (Some(chat), Some(label_id)) = (chat, label_id) else { return delivery.incomplete(out) };
    let change = if delivery.event == "label.chat.added" { LabelAssignment::Added } else { LabelAssignment::Removed };
    let provider = delivery.provider(delivery.time(payload));
    let chat = chat.chat();
    out.push(InboundItem::ChatLabelChange(InboundChatLabelChange { provider, chat, label_id, change, label }));
}

fn read(label: &Json<'_>) -> Option<ProviderLabel> {
    let color = label.get("color").count().and_then(|color| u8::try_from(color).ok());
    let palette = color.and_then(|color| PALETTE.get(usize::from(color))).map(|hex| (*hex).to_owned());
    Some(ProviderLabel {
        id: label.get("id").word()?,
        name: label.get("name").text()?.trim().to_owned(),
        color,
        color_hex: label.get("colorHex").text().and_then(hex_color).or(palette),
    })
}

/// `#RGB` or `#RRGGBB`, to the long form in upper case.
fn hex_color(text: &str) -> Option<String> {
    let digits = text.trim().trim_start_matches('#');
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let long = match digits.len() {
        3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
        6 => digits.to_owned(),
        _ => return None,
    };
    Some(format!("#{}", long.to_ascii_uppercase()))
}
