//! Sessions cut anew after messages of the past were stored, sessions that absorb one another, and timers that were lost.

use super::*;
use crate::engine::{Crm, Settings};
use crate::storage::{Batch, JobWrite, MemoryStorage, Storage};
use crate::testing::SeededIds;
use proptest::prelude::*;
use std::sync::Arc;

/// Stores messages of the past without a session, then cuts the chat anew around them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Store(Vec<Say>);

impl Command for Store {
    const NAME: &'static str = "test.store";
    const PERMISSION: Permission = Permission::ChannelsManage;
    type Output = ();

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<()> {
        let (Some(from), Some(to)) = (self.0.iter().map(|say| say.at).min(), self.0.iter().map(|say| say.at).max())
        else {
            return Ok(());
        };
        for say in self.0 {
            let id: MessageId = work.new_id();
            let message = work.create::<Message>(id, MessageEvent::Imported(Box::new(say.message(None))))?;
            work.save(message)?;
        }
        recut_chat(work, &around(from, to)).await
    }
}

/// Cuts a stretch anew.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Cut(Timestamp, Timestamp);

impl Command for Cut {
    const NAME: &'static str = "test.cut";
    const PERMISSION: Permission = Permission::ChannelsManage;
    type Output = ();

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<()> {
        recut_chat(work, &around(self.0, self.1)).await
    }
}

/// The step that merging two contacts takes for their sessions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Merge {
    from: SessionId,
    into: SessionId,
}

impl Command for Merge {
    const NAME: &'static str = "test.merge";
    const PERMISSION: Permission = Permission::ChannelsManage;
    type Output = ();

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<()> {
        merge_sessions(work, self.from, self.into).await
    }
}

fn around(from: Timestamp, to: Timestamp) -> RecutFacts {
    RecutFacts {
        chat_id: id(3),
        channel_id: channel(),
        channel_type: "waha".to_owned(),
        kind: SessionKind::Direct,
        contact_id: Some(id(4)),
        pipeline_id: None,
        timeout: HALF_HOUR,
        from,
        to,
        import_id: None,
    }
}

impl Scene {
    /// Messages of the contact, stored together.
    fn stores(&self, times: &[Timestamp]) {
        let says = times.iter().map(|time| Say { import: true, ..self.message(*time, CONTACT) }).collect();
        self.run(Store(says));
    }

    /// Where the sessions are cut, and how many messages each has.
    fn bounds(&self) -> Vec<(Timestamp, Timestamp, Option<Timestamp>, u32)> {
        let cut = |s: Session| (s.started_at, s.last_activity_at, s.ended_at, s.metrics.message_count);
        self.sessions().into_iter().map(cut).collect()
    }

    fn messages_of(&self, session: SessionId) -> usize {
        let scope = Scope::Project(self.project.id());
        let found = block_on(self.world.crm.core().storage().scan(scope, crate::kernel::Kind::Message, None, 1_000));
        let states = found.unwrap().into_iter().map(|row| serde_json::from_str::<Message>(&row.state).unwrap());
        states.filter(|message| message.session_id == Some(session)).count()
    }
}

#[test]
fn case_26_the_older_session_absorbs_the_newer() {
    let scene = Scene::new();
    let older = scene.says("10:00", CONTACT).unwrap();
    scene.says("10:01", MANUAL);
    scene.clock("10:05");
    let other = Say { chat: id(33), contact: Some(id(44)), ..scene.message(at("10:05"), CONTACT) };
    let newer = scene.run(other).unwrap();
    scene.run(assign(newer, agent(1)));
    scene.run(Merge { from: newer, into: older });
    let kept = scene.only();
    assert_eq!((kept.id, kept.status, kept.current_agent_id), (older, SessionStatus::Active, Some(agent(1))));
    assert_eq!((kept.metrics.message_count, kept.last_activity_at), (3, at("10:05")));
    assert_eq!((kept.metrics.response_count, kept.metrics.awaiting), (1, Awaiting::Agent));
    assert_eq!((scene.messages_of(older), scene.messages_of(newer)), (3, 0));
    assert_eq!((scene.count("session.merged"), scene.count("session.recut")), (1, 1));
    scene.run(Merge { from: newer, into: older });
    assert_eq!(scene.count("session.merged"), 1);
    scene.clock("10:36");
    scene.pending();
    assert_eq!(scene.only().ended_at, Some(at("10:35")));
    scene.world.assert_log_matches();
}

/// Minutes of a day, in groups of one import each: every order of every grouping.
fn histories() -> impl Strategy<Value = (Vec<i64>, Vec<Vec<i64>>)> {
    let minutes = prop::collection::btree_set(0i64..600, 1..14).prop_map(|set| set.into_iter().collect::<Vec<_>>());
    minutes
        .prop_flat_map(|sorted| (Just(sorted.clone()), Just(sorted).prop_shuffle(), 1usize..5))
        .prop_map(|(sorted, shuffled, size)| (sorted, shuffled.chunks(size).map(<[i64]>::to_vec).collect()))
}

fn minute(minute: i64) -> Timestamp {
    at("00:00").plus_seconds(minute * 60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the order in which messages of the past are stored, and in which groups: the same sessions, those that
    /// their times alone say. Cutting again changes nothing.
    #[test]
    fn case_27_the_order_of_storing_makes_no_difference((sorted, groups) in histories()) {
        let mut expected: Vec<(Timestamp, Timestamp, Option<Timestamp>, u32)> = Vec::new();
        for time in sorted.iter().map(|number| minute(*number)) {
            match expected.last_mut() {
                Some((_, last, ended, count)) if time <= last.plus_seconds(1_800) => {
                    (*last, *ended, *count) = (time, Some(time.plus_seconds(1_800)), *count + 1);
                }
                _ => expected.push((time, time, Some(time.plus_seconds(1_800)), 1)),
            }
        }
        let scene = Scene::new();
        scene.clock("23:00");
        for group in &groups {
            scene.stores(&group.iter().map(|number| minute(*number)).collect::<Vec<_>>());
        }
        prop_assert_eq!(scene.bounds(), expected);
        let known = scene.events().len();
        scene.run(Cut(minute(0), minute(600)));
        prop_assert_eq!(scene.events().len(), known);
        let counted: usize = scene.sessions().iter().map(|session| scene.messages_of(session.id)).sum();
        prop_assert_eq!(counted, sorted.len());
        scene.world.assert_log_matches();
    }
}

#[test]
fn messages_of_the_past_join_live_sessions_and_bridge_none() {
    let scene = Scene::new();
    let first = scene.says("10:00", CONTACT).unwrap();
    let second = scene.says("11:00", CONTACT).unwrap();
    scene.run(assign(second, agent(1)));
    scene.stores(&[at("09:40"), at("10:20"), at("10:45")]);
    let sessions = scene.sessions();
    assert_eq!(sessions.iter().map(|session| session.id).collect::<Vec<_>>(), [first, second]);
    let bounds = [(at("09:40"), at("10:20"), Some(at("10:45")), 3), (at("10:45"), at("11:00"), None, 2)];
    assert_eq!(scene.bounds(), bounds);
    assert_eq!((scene.messages_of(first), scene.messages_of(second)), (3, 2));
    scene.world.assert_log_matches();
}

#[test]
fn a_decided_end_is_a_wall_for_the_past_too() {
    let scene = Scene::new();
    let first = scene.says("10:00", CONTACT).unwrap();
    scene.clock("10:05");
    scene.run(end(first, EndReason::AgentClose));
    scene.clock("12:00");
    scene.stores(&[at("10:04"), at("10:06")]);
    let bounds = [(at("10:00"), at("10:04"), Some(at("10:05")), 2), (at("10:06"), at("10:06"), Some(at("10:36")), 1)];
    assert_eq!(scene.bounds(), bounds);
    let imported = &scene.sessions()[1];
    assert_eq!((imported.origin, imported.end_reason), (Origin::Import, Some(EndReason::InactivityTimeout)));
    assert_eq!((imported.timeout_source, imported.first_message_at), (TimeoutSource::Channel, Some(at("10:06"))));
    scene.world.assert_log_matches();
}

#[test]
fn a_stretch_that_reaches_the_present_stays_active() {
    let scene = Scene::new();
    scene.clock("10:30");
    scene.stores(&[at("09:50")]);
    assert_eq!(scene.only().ended_at, Some(at("10:20")));
    scene.stores(&[at("10:15")]);
    let session = scene.only();
    assert_eq!(
        (session.status, session.deadline(), session.metrics.message_count),
        (SessionStatus::Active, at("10:45"), 2)
    );
    assert_eq!(scene.says("10:40", CONTACT), Some(session.id));
    scene.clock("11:11");
    scene.pending();
    assert_eq!(scene.only().ended_at, Some(at("11:10")));
    let query = EventQuery { limit: 10, types: vec!["session.ended".to_owned()], ..EventQuery::default() };
    let scope = Scope::Project(scene.project.id());
    let ends = block_on(scene.world.crm.core().storage().events(scope, &query)).unwrap();
    let data: serde_json::Value = serde_json::from_str(ends[1].data.get()).unwrap();
    assert_eq!(data["message_ids"].as_array().unwrap().len(), 3, "{data}");
    scene.world.assert_log_matches();
}

#[test]
fn a_session_without_its_timer_ends_when_a_process_starts() {
    let storage = Arc::new(MemoryStorage::new());
    let world = World::on(storage.clone()).unwrap();
    let project = world.found(id::<ProjectId>(2));
    let scene = Scene { world, project };
    let session = scene.says("10:00", CONTACT).unwrap();
    let lost = JobWrite::Cancel {
        project_id: scene.project.id(),
        unique_key: format!("session_timeout:{session}"),
        at: at("10:00"),
    };
    block_on(storage.commit(Batch { jobs: vec![lost], ..Batch::default() })).unwrap();
    scene.pending();
    scene.clock("10:31");
    scene.pending();
    assert!(scene.only().is_active(), "nobody looks twice");
    let settings = Settings::new(Arc::new(storage.reopen()), scene.world.clock.clone(), SeededIds::new(7));
    block_on(block_on(Crm::open(settings)).unwrap().run_pending()).unwrap();
    let session = scene.only();
    assert_eq!((session.ended_at, session.end_reason), (Some(at("10:30")), Some(EndReason::InactivityTimeout)));
    scene.world.assert_log_matches();
}
