//! The main job in one program: opens a SQLite file, creates a project and a channel, feeds a folder of WhatsApp
//! webhooks, prints each event as it is heard, then the conversations as a person would read them.
//!
//! `cargo run -p quickstart -- [FILE] [FOLDER]`. A second run over the same folder changes nothing and says so.
#![expect(clippy::print_stdout, reason = "a program for people to read")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ventros::channels::channel::commands::CreateChannel;
use ventros::channels::channel::queries::ListChannels;
use ventros::contacts::contact::Contact;
use ventros::contacts::contact::queries::GetContact;
use ventros::conversations::chat::queries::ListChats;
use ventros::conversations::chat::{Chat, ChatType, preview};
use ventros::conversations::inbound::{Ingest, Outcome, RawBody};
use ventros::conversations::message::queries::ListMessages;
use ventros::conversations::message::{Direction, Message};
use ventros::engine::{Crm, LiveFeed, Project, Settings};
use ventros::kernel::ChannelId;
use ventros::storage::{PageRequest, SortKey};
use ventros::system::{SystemClock, SystemIds};
use ventros::tenancy::project::Slug;
use ventros::tenancy::project::commands::CreateProject;
use ventros::tenancy::project::queries::FindProject;
use ventros_sqlite::SqliteStorage;

type Outcomes = (usize, usize, usize);

fn main() -> Result<(), Box<dyn Error>> {
    // Any executor will do: the library brings none of its own.
    tokio::runtime::Builder::new_current_thread().build()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "crm.db".to_owned());
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads");
    let folder = arguments.next().map_or(samples, PathBuf::from);

    let storage = Arc::new(SqliteStorage::open(&file)?);
    let crm = Crm::open(Settings { storage, clock: Arc::new(SystemClock), ids: SystemIds::shared() }).await?;
    let shop = project(&crm).await?;
    let line = channel(&shop).await?;
    let mut feed = crm.on(Some(shop.id()), vec!["*".to_owned()]).await?;

    println!("Feeding {} into {file}", folder.display());
    let (recorded, known, other) = feed_folder(&shop, line, &folder, &mut feed).await?;
    crm.run_pending().await?;
    print_events(&mut feed).await?;
    println!("\n{recorded} messages recorded, {known} known before, {other} other items");
    if recorded == 0 {
        println!("Nothing new: every message of this folder was recorded by an earlier run.");
    }
    print_conversations(&shop).await?;
    crm.close().await?;
    Ok(())
}

async fn project(crm: &Crm) -> Result<Project, Box<dyn Error>> {
    if let Some(known) = crm.query(FindProject { slug: Slug::parse("acme")? }).await? {
        return Ok(crm.project(known.id));
    }
    let input = serde_json::json!({"name": "Acme", "default_region": "BR"});
    let acme = crm.execute(serde_json::from_value::<CreateProject>(input)?).await?;
    Ok(crm.project(acme.id))
}

async fn channel(shop: &Project) -> Result<ChannelId, Box<dyn Error>> {
    if let Some(known) = shop.query(ListChannels::default()).await?.items.first() {
        return Ok(known.id);
    }
    let input = serde_json::json!({"name": "WhatsApp", "type": "waha"});
    Ok(shop.execute(serde_json::from_value::<CreateChannel>(input)?).await?.channel.id)
}

async fn feed_folder(
    shop: &Project,
    line: ChannelId,
    folder: &Path,
    feed: &mut LiveFeed,
) -> Result<Outcomes, Box<dyn Error>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let (mut recorded, mut known, mut other) = (0, 0, 0);
    for file in files {
        let raw = RawBody(std::fs::read_to_string(&file)?);
        let delivery =
            Ingest { channel_id: line, raw: Some(raw), item: None, headers: Default::default(), received_at: None };
        for outcome in shop.execute(delivery).await? {
            match outcome {
                Outcome::Recorded { .. } => recorded += 1,
                Outcome::Duplicate { .. } | Outcome::Echo { .. } => known += 1,
                _ => other += 1,
            }
        }
        print_events(feed).await?;
    }
    Ok((recorded, known, other))
}

async fn print_events(feed: &mut LiveFeed) -> Result<(), Box<dyn Error>> {
    loop {
        let events = feed.drain(100).await?;
        if events.is_empty() {
            return Ok(());
        }
        for event in events {
            println!("  event {:>4}  {}", event.seq, event.event_type);
        }
    }
}

async fn print_conversations(shop: &Project) -> Result<(), Box<dyn Error>> {
    let chats = shop.query(ListChats::default()).await?;
    for chat in &chats.items {
        println!("\n{}", title(shop, chat).await?);
        let filter = serde_json::json!({"field": "chat_id", "op": "eq", "value": chat.id});
        let page = PageRequest {
            filter: Some(serde_json::from_value(filter)?),
            sort: vec![SortKey::Text("timestamp".to_owned())],
            limit: Some(100),
            ..PageRequest::default()
        };
        let mut session = None;
        for message in shop.query(ListMessages { page }).await?.items {
            if message.session_id != session && message.session_id.is_some() {
                println!("  ---- session of {} ----", message.timestamp.datetime().format("%Y-%m-%d %H:%M"));
                session = message.session_id;
            }
            println!("  {}", line_of(&message));
        }
    }
    Ok(())
}

async fn title(shop: &Project, chat: &Chat) -> Result<String, Box<dyn Error>> {
    let name = match chat.contact_id {
        Some(id) => {
            let contact: Contact = shop.query(GetContact { id, include_deleted: None }).await?;
            contact.phone.as_ref().map_or(contact.name.clone(), |phone| format!("{} ({phone})", contact.name))
        }
        None => chat.subject.clone().unwrap_or_default(),
    };
    let kind = if chat.chat_type == ChatType::Individual { "chat with" } else { "group" };
    Ok(format!("{kind} {name}: {} messages, {} unread", chat.message_count, chat.unread_count))
}

fn line_of(message: &Message) -> String {
    let arrow = match message.direction {
        Direction::Inbound => "->",
        Direction::Outbound => "<-",
        Direction::Internal => "--",
    };
    let who =
        message.sender_name.as_deref().unwrap_or(if message.direction == Direction::Outbound { "me" } else { "" });
    let reactions: String = message.reactions.iter().map(|reaction| format!(" {}", reaction.emoji)).collect();
    let revoked = if message.revoked_at.is_some() { " (taken back)" } else { "" };
    let edited = if message.edit_count > 0 { " (edited)" } else { "" };
    let time = message.timestamp.datetime().format("%H:%M:%S");
    format!("{time} {arrow} {who}: {}{edited}{revoked}{reactions}  [{}]", preview(&message.content), message.status)
}
