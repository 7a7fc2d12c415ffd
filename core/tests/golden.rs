//! Events are kept for ever, so their written form is a promise. `golden/events-<version>.jsonl` holds examples of every event as
//! that version wrote them, made from the schemas of the catalogue.
//!
//! The file of the present version must be what this build writes, byte for byte. The files of earlier versions stay as they are,
//! and must still be read and folded.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use ventros::catalogue::{AGGREGATES, AggregateType, EventSample, JOURNALS, event_samples, event_types};
use ventros::engine::{Event, Meta, Stored};
use ventros::kernel::{ActorRef, Component, EventId, Kind, ProjectId, Timestamp, parse_uuid};
use ventros::storage::Snapshot;

/// Set to write the file of the present version.
const WRITE: &str = "VENTROS_WRITE_GOLDEN";

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

/// One line for each example: type, version of the type, data.
fn line(sample: &EventSample, data: &str) -> String {
    format!("{}@{} {data}\n", sample.event_type, sample.version)
}

fn present() -> String {
    event_samples().iter().map(|sample| line(sample, &serde_json::to_string(&sample.event).unwrap())).collect()
}

/// Type with version, and data.
#[track_caller]
fn parts(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or_else(|| panic!("no event: {line}"))
}

#[track_caller]
fn read(line: &str) -> (Kind, Event) {
    let (written, data) = parts(line);
    let (name, version) = written.split_once('@').unwrap();
    let of_aggregates = AGGREGATES.iter().map(|known| (known.kind, known.event_types));
    let mut known = of_aggregates.chain(JOURNALS.iter().map(|known| (known.kind, known.event_types)));
    let kind = known.find(|(_, types)| types.iter().any(|(known, _)| *known == name)).map(|(kind, _)| kind);
    let kind = kind.unwrap_or_else(|| panic!("{name} was written by an earlier version and is not known now"));
    let event = Event::decode(kind, name, version.parse().unwrap(), data).unwrap_or_else(|error| {
        panic!("an event of an earlier version cannot be read any more, so neither can the logs of hosts: {error:?}\n{line}")
    });
    (kind, event)
}

fn meta(actor: &ActorRef, kind: Kind) -> Meta<'_> {
    let id = parse_uuid("0194f5e6-0000-7000-8000-000000000001").unwrap();
    Meta {
        event_id: EventId::from_uuid(id),
        kind,
        aggregate_id: id,
        project_id: ProjectId::from_uuid(id),
        occurred_at: Timestamp::parse("2025-01-06T09:00:00Z").unwrap(),
        actor,
    }
}

/// Folds all events of a file into a life of every aggregate that they are about or that observes them.
#[track_caller]
fn fold(lines: &str) {
    let actor = ActorRef::system(Component::Host);
    let events: Vec<(Kind, Event)> = lines.lines().map(read).collect();
    for aggregate in AGGREGATES {
        let begin = |(_, event): &(Kind, Event)| (aggregate.create)(event, &meta(&actor, aggregate.kind));
        let Some(mut state) = events.iter().find_map(begin) else { panic!("no life of a {} begins", aggregate.kind) };
        for (owner, event) in &events {
            if *owner == aggregate.kind || (aggregate.observes)(event) {
                state.fold(event, &meta(&actor, *owner));
                survives(aggregate, state.as_ref());
            }
        }
    }
}

/// A state can be written, read and indexed.
fn survives(aggregate: &AggregateType, state: &dyn Stored) {
    let text = state.encode().unwrap();
    let base = state.base();
    let snapshot = Snapshot {
        project_id: base.project_id,
        id: base.id,
        revision: base.revision,
        state: text.clone(),
        schema: aggregate.schema(),
    };
    let again = (aggregate.decode)(&snapshot).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    assert_eq!(again.encode().unwrap(), text);
    again.index();
}

#[test]
fn events_are_written_as_they_were() {
    let path = folder().join(concat!("events-", env!("CARGO_PKG_VERSION"), ".jsonl"));
    let now = present();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    if golden == now {
        return;
    }
    let mut written: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    golden.lines().map(parts).for_each(|(name, data)| written.entry(name).or_default().push(data));
    let mut writes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    now.lines().map(parts).for_each(|(name, data)| writes.entry(name).or_default().push(data));
    let types: std::collections::BTreeSet<&&str> = written.keys().chain(writes.keys()).collect();
    let mut report = String::new();
    for name in types.into_iter().filter(|name| written.get(*name) != writes.get(*name)) {
        let first = |all: &BTreeMap<&str, Vec<&str>>| all.get(name).map_or("nothing", |lines| lines[0]).to_owned();
        writeln!(report, "\n{name}\n  was {}\n  is  {}", first(&written), first(&writes)).unwrap();
    }
    panic!(
        "events are written otherwise than {} says.\n\
         Logs that exist keep the old form. A type can be added, and a field that may be missing; any other change of a \
         released event needs a new version of its type and an `upcast`. If that holds, write the file anew and commit it:\n\
         {WRITE}=1 cargo test -p ventros --features testing --test golden\n{report}",
        path.display()
    );
}

#[test]
fn every_type_has_an_example() {
    let mut types: Vec<&str> = event_samples().iter().map(|sample| sample.event_type).collect();
    types.dedup();
    let mut known: Vec<&str> = event_types().map(|(name, _)| name).collect();
    known.sort_unstable();
    assert_eq!(types, known);
}

#[test]
fn events_of_every_version_fold() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        fold(&std::fs::read_to_string(&file).unwrap());
    }
}

#[test]
fn an_event_from_before_a_field_was_added_folds() {
    let mut lines = String::new();
    for sample in event_samples() {
        let mut data = serde_json::to_value(&sample.event).unwrap();
        for field in &sample.optional {
            data.as_object_mut().unwrap().remove(field);
        }
        lines.push_str(&line(&sample, &data.to_string()));
    }
    fold(&lines);
}

#[test]
fn what_a_later_version_adds_is_ignored() {
    for sample in event_samples() {
        let mut data = serde_json::to_value(&sample.event).unwrap();
        data["of_a_later_version"] = true.into();
        let (_, event) = read(line(&sample, &data.to_string()).trim_end());
        assert_eq!(event, sample.event);
    }
}
