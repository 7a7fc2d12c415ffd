//! Every operation of the catalogue is called in one project with what belongs to another one: ids wherever an input has any, in
//! lists and in filters too, its words and its cursors. What is called must answer as if the other project were not there.

mod known;
mod probes;

use crate::furnished::{OURS, THEIRS, define, fill, furnish};
use known::Known;
use probes::{Probe, UNKNOWN};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use ventros::catalogue::{AGGREGATES, Catalogue, OperationDoc};
use ventros::engine::{Context, OperationKind, OperationScope};
use ventros::kernel::{ActorRef, Component, Error, ErrorKind, ProjectId, Timestamp};
use ventros::storage::{
    ConsumerProgress, DeadLetter, DeadLetterQuery, EventQuery, JobQuery, MemoryStorage, Scope, Storage,
};
use ventros::testing::{World, block_on};

/// Types of ids of which no project has any, because what they name is not part of the product yet, or is no thing of its own.
const NOBODY_HAS: &[(&str, &str)] = &[
    ("AddressId", "a part of a contact, given by the caller"),
    ("AgentId", "agents are of the host, and their ids are its own"),
    ("ChannelTypeId", "types of channels belong to the installation"),
    ("PipelineId", "there are no pipelines"),
    ("ReassignmentRuleId", "a part of a project, given by the caller"),
    ("WebhookDeliveryId", "made when events are followed, which nobody does here; tested with webhooks"),
];

/// Places whose value is not looked up: what belongs to a neighbour is taken there as what belongs to nobody.
const NOT_LOOKED_UP: &[(&str, &str)] = &[
    ("events.state_at id import_job", "an import is a record, of which the log tells nothing"),
    ("events.verify aggregate.id *", "the report on something sound is the report on nothing"),
    ("imports.store messages[0].forward.from_message_id", "left out: no gateway knows our ids"),
    ("imports.store messages[0].mentions[0].contact_id", "left out: no gateway knows our ids"),
    ("inbound.ingest item.forward.from_message_id", "left out: no gateway knows our ids"),
    ("inbound.ingest item.mentions[0].contact_id", "left out: no gateway knows our ids"),
    ("privacy.audit filter aggregate_id", "of the things that are tried nothing has to be accounted for"),
    ("privacy.audit filter subject", "of the things that are tried nothing has to be accounted for"),
    ("sagas.list filter correlation_id", "a flow is no thing with an id of its own kind"),
];

/// Places that take what is the neighbour's.
const SHARED: &[(&str, &str)] = &[("members.add user_id", "users belong to the installation")];

/// How a call ended: what it answered, or why it was refused.
type Answer = Result<String, Error>;

/// An installation with two projects.
struct House {
    world: World,
}

impl House {
    /// Opens a store and fills it. The same calls give the same ids on every store.
    fn furnished(store: Arc<dyn Storage>) -> House {
        let house = House { world: World::with_keys(store, [7; 32]).unwrap() };
        define(&house.world.crm);
        let must = |at: Option<ProjectId>, operation: &str, input: serde_json::Value| {
            let answer = house.call(at, operation, &input.to_string());
            serde_json::from_str(&answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"))).unwrap()
        };
        for (project, number, reader) in [(THEIRS, 1, "their_reader"), (OURS, 2, "our_reader")] {
            drop(house.world.found(project));
            furnish(&must, project, number);
            let webhook = serde_json::json!({"name": format!("Receiver {number}"), "event_types": ["contact.*"],
                "url": format!("https://receiver{number}.example.com/hook"), "headers": {"X-Token": format!("token{number}")}});
            must(Some(project), "webhooks.create", webhook);
            for name in ["reader", reader] {
                must(
                    Some(project),
                    "consumers.create",
                    serde_json::json!({"name": name, "start": {"type": "beginning"}}),
                );
                house.give_up(project, name);
            }
        }
        house
    }

    fn copy(store: &MemoryStorage, seed: u64) -> House {
        let house = House { world: World::resume(Arc::new(store.copy().unwrap()), [7; 32], seed).unwrap() };
        define(&house.world.crm);
        house
    }

    fn storage(&self) -> &dyn Storage {
        &**self.world.crm.core().storage()
    }

    fn call(&self, at: Option<ProjectId>, operation: &str, input: &str) -> Answer {
        let context = Context::new(at, ActorRef::system(Component::Host));
        block_on(self.world.crm.call(operation, context, input.as_bytes()))
    }

    /// The neighbour goes on with its work.
    fn grow(&self) {
        let must = |at: Option<ProjectId>, operation: &str, input: serde_json::Value| {
            let answer = self.call(at, operation, &input.to_string());
            serde_json::from_str(&answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"))).unwrap()
        };
        fill(&must, THEIRS, 3);
    }

    /// A consumer gives up on the first event of its project.
    fn give_up(&self, project: ProjectId, name: &str) {
        let (now, later) = (Timestamp::from_micros(0).unwrap(), Timestamp::from_micros(1).unwrap());
        let claimed = block_on(self.storage().claim_consumer(project, name, OURS.uuid(), now, later)).unwrap().unwrap();
        let first = EventQuery { limit: 1, ..EventQuery::default() };
        let event = block_on(self.storage().events(Scope::Project(project), &first)).unwrap().remove(0);
        let letter = DeadLetter {
            event_id: event.id,
            seq: event.seq,
            attempts: 1,
            error: format!("{name} failed"),
            failed_at: now,
            retrying: false,
            stream: None,
            waits_until: None,
            is_held: false,
        };
        let progress = ConsumerProgress {
            project_id: project,
            name: name.to_owned(),
            lease_token: claimed.lease_token,
            checkpoint: event.seq,
            attempts: 0,
            next_attempt_at: None,
            last_error: None,
            release: true,
            lease_until: None,
            letters: vec![letter],
            resolved: None,
            out_seq: None,
        };
        block_on(self.storage().update_consumer(&progress)).unwrap();
    }

    /// Everything that a store has of the neighbour.
    fn theirs(&self) -> String {
        let (store, scope) = (self.storage(), Scope::Project(THEIRS));
        let mut text = String::new();
        for aggregate in AGGREGATES {
            for snapshot in block_on(store.scan(scope, aggregate.kind, None, 1_000)).unwrap() {
                text.push_str(&format!("{} {}\n", snapshot.revision, snapshot.state));
            }
        }
        let query = EventQuery { limit: 10_000, ..EventQuery::default() };
        for event in block_on(store.events(scope, &query)).unwrap() {
            text.push_str(&serde_json::to_string(&event).unwrap());
        }
        for consumer in block_on(store.consumers(scope)).unwrap() {
            let all = DeadLetterQuery { limit: 100, ..DeadLetterQuery::default() };
            let letters = block_on(store.dead_letters(THEIRS, &consumer.name, &all)).unwrap();
            text.push_str(&format!("{consumer:?} {letters:?}\n"));
        }
        let jobs = JobQuery { limit: 1_000, ..JobQuery::default() };
        text.push_str(&format!("{:?}", block_on(store.jobs(scope, &jobs)).unwrap()));
        text
    }

    fn sum_of_theirs(&self) -> u64 {
        let mut sum = DefaultHasher::new();
        self.theirs().hash(&mut sum);
        sum.finish()
    }

    /// What our log says behind this number.
    fn log_after(&self, seq: u64) -> String {
        let query = EventQuery { after: seq, limit: 10_000, ..EventQuery::default() };
        let events = block_on(self.storage().events(Scope::Project(OURS), &query)).unwrap();
        events.iter().map(|event| serde_json::to_string(event).unwrap()).collect()
    }

    fn head(&self) -> u64 {
        block_on(self.storage().head(OURS)).unwrap()
    }
}

/// What went wrong, once for each operation, place and rule.
#[derive(Default)]
struct Findings(BTreeMap<String, String>);

impl Findings {
    fn add(&mut self, probe: &Probe, rule: &str, how: impl FnOnce() -> String) {
        let shown = || how().chars().take(600).collect();
        self.0.entry(format!("{} {} {rule}", probe.operation, probe.path)).or_insert_with(shown);
    }

    #[track_caller]
    fn check(&self) {
        let all: Vec<String> = self.0.iter().map(|(what, how)| format!("{what}\n      {how}")).collect();
        assert!(all.is_empty(), "{} findings:\n{}", all.len(), all.join("\n"));
    }
}

/// Runs everything on a fresh store.
#[track_caller]
pub fn nobody_reaches_next_door(store: Arc<dyn Storage>) {
    let catalogue = Catalogue::build();
    let rehearsal = Rehearsal::new(&catalogue);
    let expected = rehearsal.run();
    let house = House::furnished(store);
    let before = house.sum_of_theirs();
    assert_eq!(before, rehearsal.before, "the stores begin with the same");
    let mut findings = Findings::default();
    // First what changes nothing, so that each call answers what it answered in memory.
    let (steady, others): (Vec<_>, Vec<_>) =
        expected.iter().partition(|(probe, answers)| probe.is_query || answers.iter().all(Result::is_err));
    for (probe, answers) in steady {
        for ((own, input), expected) in probe.theirs.iter().zip(answers) {
            let head = house.head();
            let answer = house.call(Some(OURS), &probe.operation, input);
            rehearsal.known.judge(&house, probe, (own, input), head, &answer, &mut findings);
            if show(&answer) != show(expected) {
                findings.add(probe, "torn", || format!("{} instead of {}", show(&answer), show(expected)));
            }
        }
        if house.sum_of_theirs() != before {
            findings.add(probe, "changed the neighbour", || probe.theirs[0].1.clone());
        }
    }
    findings.check();
    let head = house.head();
    for (probe, _) in others {
        for (_, input) in &probe.theirs {
            // Words are free for all, so most of these are done; what one has left is what the next one finds.
            house.call(Some(OURS), &probe.operation, input).map(drop).unwrap_or_default();
        }
        if house.sum_of_theirs() != before {
            findings.add(probe, "changed the neighbour", || probe.theirs[0].1.clone());
        }
    }
    let written = house.log_after(head);
    assert!(written.contains("bruno1@example.com"), "a word was free");
    assert_eq!(rehearsal.known.id_shown(&written), None, "our log names what is the neighbour's");
    findings.check();
    let alone: Vec<Answer> = rehearsal.lists.iter().map(|list| list.run(&house)).collect();
    house.grow();
    for (list, alone) in rehearsal.lists.iter().zip(alone) {
        let beside = list.run(&house);
        if show(&beside) != show(&alone) {
            findings.add(list, "depends on the neighbour", || format!("{} was {}", show(&beside), show(&alone)));
        }
    }
    findings.check();
    house.world.assert_log_matches();
}

fn show(answer: &Answer) -> String {
    match answer {
        Ok(output) => output.clone(),
        Err(error) => serde_json::to_string(error).unwrap(),
    }
}

/// Everything in memory first, where each call finds the same state: what a call with the neighbour's things answers must be what
/// it answers with things that nobody has, and something else than with our own.
struct Rehearsal {
    store: MemoryStorage,
    known: Known,
    before: u64,
    probes: Vec<Probe>,
    lists: Vec<Probe>,
}

impl Rehearsal {
    fn new(catalogue: &Catalogue) -> Rehearsal {
        let store = MemoryStorage::default();
        let house = House::furnished(Arc::new(store.reopen()));
        let known = Known::gather(house.storage());
        let before = house.sum_of_theirs();
        let of_projects: Vec<&OperationDoc> =
            catalogue.operations.iter().filter(|operation| operation.scope == OperationScope::Project).collect();
        let mut probes = Vec::new();
        for kind in [OperationKind::Query, OperationKind::Command] {
            for operation in of_projects.iter().filter(|operation| operation.kind == kind) {
                probes.extend(probes::of(catalogue, operation, &known));
                probes.extend(probes::cursor(catalogue, operation, &known, |input| {
                    house.call(Some(THEIRS), operation.name, input).ok()
                }));
            }
        }
        let queries = of_projects.iter().filter(|operation| operation.kind == OperationKind::Query);
        let lists = queries.map(|operation| probes::plain(catalogue, operation, &known)).collect();
        Rehearsal { store, known, before, probes, lists }
    }

    /// What each probe answers.
    #[track_caller]
    fn run(&self) -> Vec<(&Probe, Vec<Answer>)> {
        let mut findings = Findings::default();
        let (mut unfed, mut shared) = (BTreeSet::new(), BTreeSet::new());
        let mut answered = Vec::new();
        for probe in &self.probes {
            let (mut answers, mut is_shared) = (Vec::new(), false);
            for theirs in &probe.theirs {
                let house = House::copy(&self.store, 2);
                let head = house.head();
                let answer = house.call(Some(OURS), &probe.operation, &theirs.1);
                is_shared |= !self.known.judge(&house, probe, (&theirs.0, &theirs.1), head, &answer, &mut findings);
                if house.sum_of_theirs() != self.before {
                    findings.add(probe, "changed the neighbour", || theirs.1.clone());
                }
                if let Some(nobody) = &probe.nobody {
                    let as_of_nobody = self.answer(probe, nobody).replace(UNKNOWN, "<id>");
                    let as_of_them = show(&answer).replace(theirs.0.as_str(), "<id>");
                    if as_of_nobody != as_of_them && !is_shared {
                        findings.add(probe, "told apart", || format!("{as_of_them}\n      {as_of_nobody}"));
                    }
                }
                answers.push(answer);
            }
            if let Some(nobody) = &probe.nobody {
                let as_of_nobody = self.answer(probe, nobody).replace(UNKNOWN, "<id>");
                let is_other =
                    |(id, ours): &(String, String)| self.answer(probe, ours).replace(id, "<id>") != as_of_nobody;
                if !probe.ours.iter().any(is_other) {
                    unfed.insert(format!("{} {}", probe.operation, probe.path));
                }
            }
            if is_shared {
                shared.insert(format!("{} {}", probe.operation, probe.path));
            }
            answered.push((probe, answers));
        }
        findings.check();
        shared.retain(|place| !unfed.contains(place));
        same("NOT_LOOKED_UP", unfed, NOT_LOOKED_UP);
        same("SHARED", shared, SHARED);
        let nobody_has = self.known.missing.borrow().iter().cloned().collect();
        same("NOBODY_HAS", nobody_has, NOBODY_HAS);
        answered
    }

    fn answer(&self, probe: &Probe, input: &str) -> String {
        show(&House::copy(&self.store, 2).call(Some(OURS), &probe.operation, input))
    }
}

impl Probe {
    fn run(&self, house: &House) -> Answer {
        house.call(Some(OURS), &self.operation, &self.theirs[0].1)
    }
}

impl Known {
    /// Whether an answer is what somebody may get who named what is the neighbour's. False when it was taken.
    fn judge(
        &self,
        house: &House,
        probe: &Probe,
        (own, input): (&str, &str),
        head: u64,
        answer: &Answer,
        findings: &mut Findings,
    ) -> bool {
        // What was sent may come back in a refusal, which says what was not found, and in an answer about nothing; a word is the
        // caller's own.
        let is_word = probe.nobody.is_none();
        let shown = self.shown(&show(answer), (is_word || probe.is_query || answer.is_err()).then_some(own));
        if let Some(shown) = shown {
            findings.add(probe, "shows the neighbour", || format!("{shown} in {} <- {input}", show(answer)));
        }
        match answer {
            Err(error) => {
                let is_unsaid = probe.codes.is_empty();
                let is_said = |error: &Error| probe.codes.iter().any(|code| code == error.code().as_str());
                if !is_unsaid && !error.all().any(is_said) {
                    findings.add(probe, "other code", || format!("{error:?} <- {input}"));
                }
                if house.head() != head {
                    findings.add(probe, "refused and wrote", || input.to_owned());
                }
                let faults = [ErrorKind::Internal, ErrorKind::CorruptData, ErrorKind::Unavailable, ErrorKind::Timeout];
                if faults.contains(&error.kind()) {
                    findings.add(probe, "our fault", || format!("{error:?}"));
                }
                true
            }
            Ok(_) => {
                let written = house.log_after(head);
                let is_shared = SHARED.iter().any(|(place, _)| *place == format!("{} {}", probe.operation, probe.path));
                if let Some(shown) = self.shown(&written, (is_word || is_shared).then_some(own)) {
                    findings.add(probe, "names the neighbour", || format!("{shown} in {written}"));
                }
                probe.is_query || probe.codes.is_empty()
            }
        }
    }
}

/// A list of exceptions is exactly what is found.
#[track_caller]
fn same(name: &str, found: BTreeSet<String>, listed: &[(&str, &str)]) {
    let covers = |place: &str, found: &str| match place.strip_suffix('*') {
        Some(beginning) => found.starts_with(beginning),
        None => place == found,
    };
    let unlisted: Vec<_> = found.iter().filter(|found| !listed.iter().any(|(place, _)| covers(place, found))).collect();
    let outdated: Vec<_> = listed.iter().filter(|(place, _)| !found.iter().any(|found| covers(place, found))).collect();
    assert!(unlisted.is_empty(), "say why in {name}, or mend it: {unlisted:#?}");
    assert!(outdated.is_empty(), "no longer true, strike from {name}: {outdated:#?}");
}
