//! Items that are no message and name none: groups, labels, calls, archives, profiles and the line itself.

use super::intake::Intake;
use super::message::{clamp, system_agent};
use super::outcome::{IgnoredBecause, Outcome, ParkedBecause};
use super::targets;
use crate::channels::channel::{Report, change_identity, change_label, record_challenge, report_connection};
use crate::channels::gateway::{
    ChatClass, ChatKind, ChatRef, GroupAction, GroupParticipant, GroupRole, Identifiers, InboundCall, InboundCallState,
    InboundChatArchive, InboundChatLabelChange, InboundGroupChange, InboundItem, InboundLabelChange, LabelAssignment,
};
use crate::contacts::contact::resolution as contacts;
use crate::conversations::chat::resolution::{self as chats, ChatFacts};
use crate::conversations::chat::{Chat, ListedMember, MAX_PARTICIPANTS, ParticipantRole};
use crate::conversations::content::{Content, NoticeKind, SystemNotice};
use crate::conversations::message::{
    Direction, Message, MessageEvent, MessageSource, MessageStatus, NewMessage, Priority,
};
use crate::engine::{Root, UnitOfWork};
use crate::kernel::{ContactId, Error, ErrorCode, ErrorKind, MessageId, Result, Timestamp};
use serde_json::{Map, Value, json};

/// Takes in an item that is neither a message nor about one.
pub async fn apply(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, item: &InboundItem) -> Result<Outcome> {
    match item {
        InboundItem::ConnectionStatus(status) => {
            let mut report = Report::connection(status.state);
            report.reason.clone_from(&status.reason);
            report_connection(work, intake.channel.id, report).await?;
        }
        InboundItem::Identity(known) => {
            change_identity(work, intake.channel.id, known).await?;
        }
        InboundItem::Challenge(issued) => {
            record_challenge(work, intake.channel.id, &issued.challenge).await?;
        }
        InboundItem::LabelChange(change) => {
            if let Err(error) = change_label(work, intake.channel.id, change).await {
                return rejected(error);
            }
        }
        InboundItem::ChatLabelChange(change) => return label(work, intake, item, change).await,
        InboundItem::GroupChange(change) => return group(work, intake, change).await,
        InboundItem::Call(call) => return self::call(work, intake, call).await,
        InboundItem::ChatArchive(change) => return archive(work, intake, change).await,
        InboundItem::ContactProfile(profile) if profile.identifiers.has_id() => {
            let resolved = contacts::resolve(work, &intake.line(), &profile.identifiers, work.now()).await;
            resolved.map_err(|e| e.at("identifiers"))?;
        }
        _ => return Ok(Outcome::Ignored { reason: IgnoredBecause::ProtocolMessage }),
    }
    Ok(Outcome::Applied {})
}

/// What a provider tells against the rules is its outcome; anything else is a failure of the call.
fn rejected(error: Error) -> Result<Outcome> {
    match error.kind() {
        ErrorKind::Validation | ErrorKind::LimitExceeded => {
            Ok(Outcome::Rejected { code: error.code().as_str().to_owned(), message: error.to_string() })
        }
        _ => Err(error),
    }
}

async fn label(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    item: &InboundItem,
    change: &InboundChatLabelChange,
) -> Result<Outcome> {
    if let Some(label) = &change.label {
        let told = InboundLabelChange {
            provider: change.provider.clone(),
            label_id: change.label_id.clone(),
            label: Some(label.clone()),
        };
        // A label that breaks the rules of ours still marks the chat.
        if let Err(error) = change_label(work, intake.channel.id, &told).await
            && error.kind() != ErrorKind::Validation
            && error.kind() != ErrorKind::LimitExceeded
        {
            return Err(error);
        }
    }
    let chat = chats::find_by_external_id(work, intake.channel.id, &change.chat.external_id).await?;
    let Some(mut chat) = chat else {
        targets::park(work, intake, item, &targets::prefix("chat", intake.channel.id, &change.chat.external_id))?;
        return Ok(Outcome::Parked { reason: ParkedBecause::TargetUnknown });
    };
    label_chat(&mut chat, change);
    work.save(chat)?;
    Ok(Outcome::Applied {})
}

fn label_chat(chat: &mut Root<Chat>, change: &InboundChatLabelChange) {
    chat.sync_label(&change.label_id, change.change == LabelAssignment::Added);
}

/// Applies a label change whose chat has appeared; false while it has not.
pub async fn apply_to_known_chat(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, item: &InboundItem) -> Result<bool> {
    let InboundItem::ChatLabelChange(change) = item else { return Ok(true) };
    let chat = chats::find_by_external_id(work, intake.channel.id, &change.chat.external_id).await?;
    let Some(mut chat) = chat else { return Ok(false) };
    label_chat(&mut chat, change);
    work.save(chat)?;
    Ok(true)
}

/// Applies what waited for a chat that was opened just now.
pub async fn apply_waiting(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, chat: &ChatRef) -> Result<()> {
    for item in targets::take_waiting(work, &targets::prefix("chat", intake.channel.id, &chat.external_id)).await? {
        if let InboundItem::ChatLabelChange(change) = &item
            && let Some(mut chat) = chats::find_by_external_id(work, intake.channel.id, &chat.external_id).await?
        {
            label_chat(&mut chat, change);
            work.save(chat)?;
        }
    }
    Ok(())
}

async fn archive(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, change: &InboundChatArchive) -> Result<Outcome> {
    let chat = chats::find_by_external_id(work, intake.channel.id, &change.chat.external_id).await?;
    let Some(mut chat) = chat else { return Ok(Outcome::Ignored { reason: IgnoredBecause::NothingToChange }) };
    chat.sync_archived(change.archived);
    work.save(chat)?;
    Ok(Outcome::Applied {})
}

async fn group(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, change: &InboundGroupChange) -> Result<Outcome> {
    if !intake.channel.allow_groups {
        return Ok(Outcome::Ignored { reason: IgnoredBecause::GroupDisabled });
    }
    if change.participants.len() > MAX_PARTICIPANTS {
        return rejected(Error::new(ErrorCode::ChatParticipantLimit).at("participants").with("max", MAX_PARTICIPANTS));
    }
    let (at, _) = clamp(change.at, work.now(), intake.received_at);
    let named =
        ChatRef { subject: change.subject.clone().or_else(|| change.chat.subject.clone()), ..change.chat.clone() };
    let facts = ChatFacts {
        channel_id: intake.channel.id,
        chat: &named,
        contact: None,
        external_sender: None,
        at,
        unarchive: false,
    };
    let opened = chats::resolve(work, &facts).await?;
    if opened.created {
        apply_waiting(work, intake, &named).await?;
    }
    // A large group may make more contacts than a plain commit has events.
    work.import_mode();
    let people = change.participants.iter().map(|participant| &participant.identifiers);
    contacts::prefetch(work, &intake.line(), people).await?;
    let mut members = Vec::new();
    for participant in &change.participants {
        match contacts::resolve(work, &intake.line(), &participant.identifiers, at).await {
            Ok(resolved) => members.push((resolved.contact.id, participant)),
            // Somebody without a readable id hides nobody else.
            Err(error) if error.kind() == ErrorKind::Validation => {}
            Err(error) => return Err(error),
        }
    }
    let mut chat = work.load::<Chat>(opened.chat.id).await?;
    let is_other_name = named.subject.as_deref().is_some_and(|subject| chat.sync_subject(subject));
    let renamed = is_other_name && !opened.created;
    if let Some(description) = &change.description {
        chat.sync_description(description);
    }
    change_members(&mut chat, change.action, &members, at)?;
    let chat = work.save(chat)?;
    let notice = match change.action {
        GroupAction::ParticipantsJoined => Some(NoticeKind::ParticipantJoined),
        GroupAction::ParticipantsLeft => Some(NoticeKind::ParticipantLeft),
        GroupAction::Updated if renamed => Some(NoticeKind::SubjectChanged),
        _ => None,
    };
    if let (Some(kind), Some(event)) = (notice, &change.provider.provider_event_id) {
        let mut params = Map::new();
        if renamed {
            params.insert("subject".to_owned(), json!(chat.subject));
        } else {
            params
                .insert("contact_ids".to_owned(), members.iter().map(|(id, _)| Value::from(id.to_string())).collect());
        }
        self::notice(work, intake, &chat, kind, params, &format!("notice:{event}"), at).await?;
    }
    Ok(Outcome::Applied {})
}

/// Who is in the group now. A list that comes with our own joining, or with the group itself, is the whole list.
fn change_members(
    chat: &mut Root<Chat>,
    action: GroupAction,
    members: &[(ContactId, &GroupParticipant)],
    at: Timestamp,
) -> Result<()> {
    let listed = |(contact_id, participant): &(ContactId, &GroupParticipant)| {
        let external_id = participant.identifiers.wid.as_ref().or(participant.identifiers.lid.as_ref()).cloned();
        let role = match (action, participant.role) {
            (_, GroupRole::Superadmin) => ParticipantRole::Owner,
            (GroupAction::ParticipantsPromoted, _) | (_, GroupRole::Admin) => ParticipantRole::Admin,
            (GroupAction::ParticipantsJoined, _) => current_role(chat, *contact_id),
            _ => ParticipantRole::Member,
        };
        ListedMember { contact_id: *contact_id, role, external_id }
    };
    let (gone, here): (Vec<_>, Vec<_>) =
        members.iter().partition(|(_, participant)| participant.role == GroupRole::Left);
    let listed: Vec<ListedMember> = here.into_iter().map(listed).collect();
    match action {
        GroupAction::Joined | GroupAction::Updated if !members.is_empty() => return chat.sync_members(&listed, at),
        GroupAction::ParticipantsLeft => members.iter().for_each(|(contact, _)| chat.see_off(*contact, at)),
        _ => {
            gone.iter().for_each(|(contact, _)| chat.see_off(*contact, at));
            listed.iter().for_each(|member| chat.sync_member(member, at));
        }
    }
    Ok(())
}

fn current_role(chat: &Chat, contact: ContactId) -> ParticipantRole {
    let known = chat.participant(contact).filter(|known| known.is_current());
    known.map_or(ParticipantRole::Member, |known| known.role)
}

async fn call(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, call: &InboundCall) -> Result<Outcome> {
    if call.group || !call.from.has_id() {
        return Ok(Outcome::Ignored { reason: IgnoredBecause::ProtocolMessage });
    }
    let (at, _) = clamp(call.at, work.now(), intake.received_at);
    let resolved = contacts::resolve(work, &intake.line(), &call.from, at).await.map_err(|e| e.at("from"))?;
    let named = ChatRef::new(chat_id_of(&call.from), ChatKind::Direct);
    debug_assert_eq!(named.class, ChatClass::Individual);
    let facts = ChatFacts {
        channel_id: intake.channel.id,
        chat: &named,
        contact: Some(resolved.contact.id),
        external_sender: None,
        at,
        unarchive: false,
    };
    let opened = chats::resolve(work, &facts).await?;
    if opened.created {
        apply_waiting(work, intake, &named).await?;
    }
    let (kind, state) = match call.state {
        InboundCallState::Received => (NoticeKind::CallReceived, "received"),
        InboundCallState::Accepted => (NoticeKind::CallAccepted, "accepted"),
        InboundCallState::Rejected => (NoticeKind::CallRejected, "rejected"),
        InboundCallState::Missed => (NoticeKind::CallRejected, "missed"),
    };
    let mut params = Map::new();
    params.insert("call_id".to_owned(), json!(call.call_id));
    params.insert("video".to_owned(), json!(call.video));
    params.insert("contact_id".to_owned(), json!(resolved.contact.id));
    notice(work, intake, &opened.chat, kind, params, &format!("call:{}:{state}", call.call_id), at).await?;
    Ok(Outcome::Applied {})
}

/// The chat that a person's own id names.
fn chat_id_of(who: &Identifiers) -> String {
    match (&who.wid, &who.jid, &who.lid) {
        (Some(id), _, _) | (None, Some(id), _) => format!("{id}@c.us"),
        (None, None, Some(lid)) => format!("{lid}@lid"),
        _ => who
            .external_id
            .clone()
            .or_else(|| who.channel_user.as_ref().map(|user| user.value.clone()))
            .unwrap_or_default(),
    }
}

/// Writes a system notice into a chat, once per key.
async fn notice(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    chat: &Chat,
    kind: NoticeKind,
    params: Map<String, Value>,
    key: &str,
    at: Timestamp,
) -> Result<()> {
    let key: String = key.chars().take(255).collect();
    if work.by_key::<Message>("message.external", &intake.channel.id.to_string(), &key).await?.is_some() {
        return Ok(());
    }
    let id: MessageId = work.new_id();
    let new = NewMessage {
        channel_id: intake.channel.id,
        channel_type: intake.channel.channel_type.clone(),
        chat_id: chat.id,
        contact_id: None,
        session_id: None,
        direction: Direction::Internal,
        source: MessageSource::System,
        agent_id: Some(system_agent(work.project(), MessageSource::System)),
        sender_external_id: None,
        sender_name: None,
        content: Content::System { notice: SystemNotice { kind, params } },
        channel_message_id: Some(key),
        client_token: None,
        reply_to_id: None,
        reply_to_channel_message_id: None,
        forward: None,
        mentions: Vec::new(),
        status: MessageStatus::Received,
        timestamp: at,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        played_at: None,
        failed_at: None,
        failure: None,
        priority: Priority::Normal,
        scheduled_at: None,
        expires_at: None,
        language: None,
        attribution: None,
        tracking_code: None,
        historical: false,
        origin: None,
        metadata: Map::new(),
        placement: None,
        session_metrics: None,
        unread_after: None,
        import_id: None,
    };
    let message = work.create::<Message>(id, MessageEvent::Created(Box::new(new)))?;
    work.save(message)?;
    Ok(())
}
