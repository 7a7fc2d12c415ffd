//! Quoted messages that were unknown when their answer arrived are looked up when the answer is read.

use super::Message;
use crate::engine::{Reader, decode};
use crate::kernel::{Kind, Result};
use crate::storage::KeyRef;
use std::collections::BTreeMap;

/// Fills `reply_to_id` where the quoted message has appeared since.
pub(crate) async fn resolve(read: &Reader<'_>, messages: &mut [Message]) -> Result<()> {
    let open = |message: &&mut Message| message.reply_to_id.is_none() && message.reply_to_channel_message_id.is_some();
    let wanted: Vec<(String, String)> = messages
        .iter()
        .filter(|message| message.reply_to_id.is_none())
        .filter_map(|message| {
            message.reply_to_channel_message_id.clone().map(|quoted| (message.channel_id.to_string(), quoted))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let keys: Vec<KeyRef<'_>> = wanted.iter().map(|(scope, key)| KeyRef { scope, key }).collect();
    let scope = read.scope_of(Kind::Message);
    let mut quoted: BTreeMap<(String, String), Message> = BTreeMap::new();
    for holder in read.storage().find_holders(scope, Kind::Message, "message.external", &keys).await? {
        quoted.insert((holder.scope, holder.key), decode(&holder.snapshot)?);
    }
    for message in messages.iter_mut().filter(open) {
        let external_id = message.reply_to_channel_message_id.clone().unwrap_or_default();
        let found = quoted.get(&(message.channel_id.to_string(), external_id));
        message.reply_to_id = found.filter(|found| found.chat_id == message.chat_id).map(|found| found.id);
    }
    Ok(())
}
