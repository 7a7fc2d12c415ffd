//! The main job in one program: opens a SQLite file, creates a project and a channel, feeds a folder of WhatsApp
//! webhooks, prints each event as it is heard, then the conversations as a person would read them.
//!
//! `cargo run -p quickstart -- [FILE] [FOLDER]`. A second run over the same folder changes nothing and says so.
#![expect(clippy::print_stdout, reason = "a program for people to read")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ventros::catalogue::Event;
use ventros::conversations::chat::{Chat, ChatType};
use ventros::conversations::content::Content;
use ventros::conversations::inbound::{Outcome, RawBody};
use ventros::conversations::message::{Direction, Message, MessageEvent};
use ventros::engine::{Crm, LiveFeed, Project, Settings};
use ventros::kernel::{ChannelId, Region};
use ventros::operations::*;
use ventros::storage::{EventRecord, FilterExpression, PAGE_LIMIT_MAX, PageRequest, SortKey};
use ventros::system::{SystemClock, SystemIds};
use ventros::tenancy::project::Slug;
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
    let crm = Crm::open(Settings::new(storage, Arc::new(SystemClock), SystemIds::shared())).await?;
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
    let region = Region::parse("BR")?;
    let acme = CreateProject { name: "Acme".into(), default_region: Some(region), ..CreateProject::default() };
    Ok(crm.project(crm.execute(acme).await?.id))
}

async fn channel(shop: &Project) -> Result<ChannelId, Box<dyn Error>> {
    if let Some(known) = shop.query(ListChannels::default()).await?.items.first() {
        return Ok(known.id);
    }
    let line = CreateChannel { name: "WhatsApp".into(), channel_type: "waha".into(), ..CreateChannel::default() };
    Ok(shop.execute(line).await?.channel.id)
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
            println!("  event {:>4}  {:<28}{}", event.seq, event.event_type, event_words(&event)?);
        }
    }
}

/// What was written, when the event is a new message.
fn event_words(event: &EventRecord) -> Result<String, Box<dyn Error>> {
    Ok(match Event::read(event)? {
        Event::Message(MessageEvent::Received(new) | MessageEvent::Created(new)) => words(&new.content),
        _ => String::new(),
    })
}

async fn print_conversations(shop: &Project) -> Result<(), Box<dyn Error>> {
    let chats = shop.query(ListChats::default()).await?;
    for chat in &chats.items {
        println!("\n{}", title(shop, chat).await?);
        let mut page = PageRequest {
            filter: Some(FilterExpression::eq("chat_id", chat.id)),
            sort: vec![SortKey::Text("timestamp".into())],
            limit: Some(PAGE_LIMIT_MAX as i64),
            ..PageRequest::default()
        };
        let mut session = None;
        loop {
            let messages = shop.query(ListMessages { page: page.clone() }).await?;
            for message in &messages.items {
                if message.session_id != session && message.session_id.is_some() {
                    println!("  ---- session of {} ----", message.timestamp.datetime().format("%Y-%m-%d %H:%M"));
                    session = message.session_id;
                }
                println!("  {}", line_of(message));
            }
            page.cursor = messages.next_cursor;
            if page.cursor.is_none() {
                break;
            }
        }
    }
    Ok(())
}

async fn title(shop: &Project, chat: &Chat) -> Result<String, Box<dyn Error>> {
    let name = match chat.contact_id {
        Some(id) => shop.query(GetContact { id, include_deleted: None }).await?.name,
        None => chat.subject.clone().unwrap_or_default(),
    };
    let kind = if chat.chat_type == ChatType::Individual { "chat with" } else { "group" };
    Ok(format!("{kind} {name}: {} messages, {} unread", chat.message_count, chat.unread_count))
}

fn line_of(message: &Message) -> String {
    let (way, somebody) = match message.direction {
        Direction::Inbound => ("in ", ""),
        Direction::Outbound => ("out", "me"),
        Direction::Internal => ("   ", ""),
    };
    let who = match message.sender_name.as_deref().unwrap_or(somebody) {
        "" => String::new(),
        name => format!("{name}: "),
    };
    let reactions: String = message.reactions.iter().map(|reaction| format!(" {}", reaction.emoji)).collect();
    let edited = if message.edit_count > 0 { " (edited)" } else { "" };
    let revoked = if message.revoked_at.is_some() { " (taken back)" } else { "" };
    let status = match message.direction {
        Direction::Outbound => format!("  [{}]", message.status),
        _ => String::new(),
    };
    let time = message.timestamp.datetime().format("%H:%M:%S");
    format!("{time}  {way}  {who}{}{edited}{revoked}{reactions}{status}", words(&message.content))
}

/// What a person would say stands there.
fn words(content: &Content) -> String {
    match content {
        Content::Text { body } => body.clone(),
        Content::Location { location, .. } => {
            let name = location.name.as_deref().unwrap_or_default();
            format!("[location] {name} {}, {}", location.latitude, location.longitude)
        }
        Content::Contact { cards } => {
            let names = cards.iter().map(|card| card.display_name.as_str());
            format!("[contact] {}", names.collect::<Vec<_>>().join(", "))
        }
        Content::System { notice } => format!("[{}]", notice.kind.as_str().replace('_', " ")),
        other => {
            let kind = format!("[{}]", other.content_type().as_str());
            let file = other.media().and_then(|media| media.filename.as_deref());
            [Some(kind.as_str()), file, other.words()].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
    }
}
