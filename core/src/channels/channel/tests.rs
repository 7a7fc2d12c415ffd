//! The acceptance cases of the channel page, by number. Cases of rooms that are built elsewhere are tested there.

mod lifecycle;
mod rules;
mod secrets;

use super::commands::*;
use super::queries::*;
use super::*;
use crate::engine::{Command, Query};
use crate::kernel::{ChannelId, Kind, ProjectId, Result, Subject};
use crate::storage::{EventQuery, Scope};
use crate::testing::{World, block_on};
use serde_json::{Value, json};

fn project() -> ProjectId {
    ProjectId::parse("0199d1c2-0000-7000-8000-0000000000aa").unwrap()
}

#[track_caller]
fn world() -> World {
    let world = World::new();
    world.found(project());
    world
}

fn given<T: serde::de::DeserializeOwned>(input: Value) -> T {
    crate::kernel::input::parse_value(input).unwrap()
}

#[track_caller]
fn run<C: Command>(world: &World, input: Value) -> Result<C::Output> {
    block_on(world.crm.project(project()).execute(given::<C>(input)))
}

#[track_caller]
fn ask<Q: Query>(world: &World, input: Value) -> Result<Q::Output> {
    block_on(world.crm.project(project()).query(given::<Q>(input)))
}

#[track_caller]
fn code<T>(result: Result<T>) -> &'static str {
    result.err().expect("an error is expected").code().as_str()
}

/// The code and the field of the first failure.
#[track_caller]
fn place<T>(result: Result<T>) -> (&'static str, String) {
    let error = result.err().expect("an error is expected");
    (error.code().as_str(), error.field().unwrap_or_default().to_owned())
}

#[track_caller]
fn create(world: &World, name: &str, channel_type: &str) -> Channel {
    run::<CreateChannel>(world, json!({"name": name, "type": channel_type})).unwrap().channel
}

#[track_caller]
fn update(world: &World, id: ChannelId, mut changes: Value) -> Result<Channel> {
    changes["id"] = json!(id);
    run::<UpdateChannel>(world, changes)
}

#[track_caller]
fn get(world: &World, id: ChannelId) -> ChannelDetails {
    ask::<GetChannel>(world, json!({"id": id})).unwrap()
}

/// A kind of channel of the host that needs no configuration, read by an adapter that exists.
fn open_type(world: &World) {
    let input = json!({"code": "line", "display_name": "Line", "provider": "acme", "family": "chat", "gateway": "waha",
        "modes": ["manual", "auto"],
        "capabilities": {"labels": true, "groups": true, "history_import": true, "qr": true}});
    block_on(world.crm.execute(given::<crate::channels::channel_type::commands::CreateChannelType>(input))).unwrap();
}

/// Types and data of the channel's own events, oldest first.
fn events(world: &World, id: ChannelId) -> Vec<(String, Value)> {
    let stream = Some(Subject::new(Kind::Channel, id));
    let query = EventQuery { stream, limit: 100, ..EventQuery::default() };
    let events = block_on(world.crm.core().storage.events(Scope::Project(project()), &query)).unwrap();
    events.into_iter().map(|event| (event.event_type, serde_json::from_str(event.data.get()).unwrap())).collect()
}

fn types(world: &World, id: ChannelId) -> Vec<String> {
    events(world, id).into_iter().map(|(name, _)| name).collect()
}
