//! The acceptance cases and laws of contacts.

mod inbound;
mod laws;
mod lists;
mod profile;

use super::commands::*;
use super::queries::*;
use super::*;
use crate::channels::gateway::Identifiers;
use crate::engine::{Command, Event, Project, Query, Root, UnitOfWork};
use crate::kernel::{
    AgentId, ChannelId, ChatId, ContactId, Error, ErrorCode, Kind, MessageId, Patch, Permission, ProjectId, Result,
    Subject, Timestamp,
};
use crate::storage::{EventQuery, Scope};
use crate::testing::{World, block_on};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));
const CHANNEL: ChannelId = ChannelId::from_uuid(Uuid::from_u128(0xC1));

/// One project, and shorthands for what the cases do all the time.
struct Desk {
    world: World,
    project: Project,
}

impl Desk {
    fn new() -> Desk {
        let world = World::new();
        let project = world.found(PROJECT);
        Desk { world, project }
    }

    #[track_caller]
    fn run<C: Command>(&self, command: C) -> C::Output {
        self.attempt(command).unwrap_or_else(|e| panic!("{}: {e:?}", C::NAME))
    }

    fn attempt<C: Command>(&self, command: C) -> Result<C::Output> {
        block_on(self.project.execute(command))
    }

    #[track_caller]
    fn ask<Q: Query>(&self, query: Q) -> Q::Output {
        block_on(self.project.query(query)).unwrap_or_else(|e| panic!("{}: {e:?}", Q::NAME))
    }

    #[track_caller]
    fn refused<C: Command>(&self, command: C) -> Error {
        match self.attempt(command) {
            Ok(_) => panic!("{} was not refused", C::NAME),
            Err(error) => error,
        }
    }

    #[track_caller]
    fn create(&self, name: &str) -> Contact {
        self.run(named(name))
    }

    #[track_caller]
    fn with_phone(&self, name: &str, phone: &str) -> Contact {
        self.run(CreateContact { phone: Some(phone.into()), ..named(name) })
    }

    #[track_caller]
    fn get(&self, id: ContactId) -> Contact {
        self.ask(GetContact { id, include_deleted: Some(true) })
    }

    /// Runs `act` and returns the types of the events that it recorded about a contact.
    #[track_caller]
    fn events_of(&self, id: ContactId, act: impl FnOnce()) -> Vec<String> {
        let before = self.log(id).len();
        act();
        self.log(id).split_off(before).into_iter().map(|event| event.0).collect()
    }

    /// Type and data of a contact's own events.
    fn log(&self, id: ContactId) -> Vec<(String, serde_json::Value)> {
        let query = EventQuery { stream: Some(Subject::new(Kind::Contact, id)), limit: 1_000, ..EventQuery::default() };
        let events = block_on(self.world.crm.core().storage.events(Scope::Project(PROJECT), &query)).unwrap();
        events.into_iter().map(|e| (e.event_type, serde_json::from_str(e.data.get()).unwrap())).collect()
    }

    #[track_caller]
    fn hear(&self, who: Identifiers, at: &str) -> Contact {
        self.run(Hear { who, at: time(at), text: None })
    }

    fn count(&self) -> u64 {
        self.ask(CountContacts::default())
    }
}

fn named(name: &str) -> CreateContact {
    CreateContact { name: name.into(), ..CreateContact::default() }
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn code(error: &Error) -> &'static str {
    error.code().as_str()
}

fn wid(id: &str) -> Identifiers {
    Identifiers { wid: Some(id.into()), ..Identifiers::default() }
}

fn lid(id: &str) -> Identifiers {
    Identifiers { lid: Some(id.into()), ..Identifiers::default() }
}

fn called(who: Identifiers, name: &str) -> Identifiers {
    Identifiers { display_name: Some(name.into()), ..who }
}

fn set(value: &str) -> Patch<String> {
    Patch::Value(value.into())
}

/// An inbound item as the inbound flow handles it, as far as contacts are concerned: the contact, then its message.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct Hear {
    who: Identifiers,
    at: Timestamp,
    /// With a text, the message is recorded too.
    text: Option<String>,
}

impl Command for Hear {
    const NAME: &'static str = "test.hear";
    const PERMISSION: Permission = Permission::ContactsManage;
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let line = resolution::Line { channel_id: CHANNEL, channel_type: "waha", family: "whatsapp" };
        let found = resolution::resolve(work, &line, &self.who, self.at).await?;
        if let Some(text) = self.text {
            let name = self.who.display_name.as_deref();
            message(work, found.contact.id, self.at, "received", name, &text)?;
        }
        let contact = work.find::<Contact>(found.contact.id).await?.expect("it was just found");
        Ok(contact.state().clone())
    }
}

/// Records a message with a contact.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct Say {
    id: ContactId,
    at: Timestamp,
    /// `received`, `created` or `imported`.
    how: String,
}

impl Command for Say {
    const NAME: &'static str = "test.say";
    const PERMISSION: Permission = Permission::ContactsManage;
    type Output = bool;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<bool> {
        message(work, self.id, self.at, &self.how, None, "Oi")?;
        Ok(true)
    }
}

fn message(
    work: &mut UnitOfWork<'_>,
    contact: ContactId,
    at: Timestamp,
    how: &str,
    sender_name: Option<&str>,
    text: &str,
) -> Result<()> {
    let inbound = how != "created";
    let chat: ChatId = work.new_id();
    let event = crate::kernel::input::parse_value::<crate::conversations::message::MessageEvent>(json!({
        "type": format!("message.{how}"),
        "channel_id": CHANNEL,
        "channel_type": "waha",
        "chat_id": chat,
        "contact_id": contact,
        "direction": if inbound { "inbound" } else { "outbound" },
        "source": if inbound { "contact" } else { "device" },
        "sender_name": sender_name,
        "content": {"type": "text", "body": text},
        "mentions": [],
        "status": if inbound { "received" } else { "sent" },
        "timestamp": at,
        "priority": "normal",
        "historical": how == "imported",
        "metadata": {},
    }))?;
    let id: MessageId = work.new_id();
    let root: Root<crate::conversations::message::Message> = work.create(id, Event::Message(event))?;
    work.save(root)?;
    Ok(())
}
