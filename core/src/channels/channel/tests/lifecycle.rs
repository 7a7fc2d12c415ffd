//! On, off, reports, pairing, imports, deletion: cases 7 to 14 and 23 to 31.

use super::rules::with_channel;
use super::*;
use crate::channels::gateway::{Challenge, ChallengeKind, ConnectionState, OwnIdentity};
use crate::engine::Context;
use crate::kernel::{ActorRef, Component, ImportJobId, Timestamp};
use ChannelStatus::{Activating, Active, Connecting, Disconnected, Error, Inactive};

/// A channel that anything can be done with.
fn line(world: &World) -> ChannelId {
    open_type(world);
    create(world, "Line", "line").id
}

#[track_caller]
fn report(world: &World, id: ChannelId, state: &str) -> Channel {
    run::<ReportConnection>(world, json!({"id": id, "connection": state})).unwrap()
}

#[track_caller]
fn activate(world: &World, id: ChannelId) -> Result<Channel> {
    run::<ActivateChannel>(world, json!({"id": id}))
}

/// A channel in a state, reached by commands alone.
fn in_state(world: &World, name: &str, status: ChannelStatus) -> ChannelId {
    let id = run::<CreateChannel>(world, json!({"name": name, "type": "line"})).unwrap().channel.id;
    if status != Inactive {
        activate(world, id).unwrap();
    }
    let reports: &[&str] = match status {
        Inactive | Activating => &[],
        Connecting => &["starting"],
        Active => &["connected"],
        Disconnected => &["connected", "stopped"],
        Error => &["connected", "failed"],
    };
    for state in reports {
        report(world, id, state);
    }
    assert_eq!(get(world, id).channel.status, status);
    id
}

#[test]
fn case_07_gateway_case_24_activation_asks_for_what_is_required() {
    let world = world();
    let input = json!({"name": "A", "type": "waha", "config": {"base_url": "https://waha.example.com"}});
    let id = run::<CreateChannel>(&world, input).unwrap().channel.id;
    assert_eq!(place(activate(&world, id)), ("config_field_missing", "api_key".into()));
    assert_eq!(types(&world, id), ["channel.created"]);
    let form = create(&world, "B", "web_form").id;
    assert_eq!(code(activate(&world, form)), "gateway_not_registered");
}

#[test]
fn case_08_a_channel_is_switched_on_once() {
    let world = world();
    let id = line(&world);
    assert_eq!(activate(&world, id).unwrap().status, Activating);
    assert_eq!(code(activate(&world, id)), "channel_already_activating");
    let active = report(&world, id, "connected");
    assert_eq!((active.status, active.last_error), (Active, None));
    assert_eq!(code(activate(&world, id)), "channel_already_active");
    let names = types(&world, id);
    assert_eq!(names[1..], ["channel.activation.requested", "channel.activated"]);
    world.assert_log_matches();
}

#[test]
fn case_09_a_failed_activation_says_why() {
    let world = world();
    let id = line(&world);
    activate(&world, id).unwrap();
    let input = json!({"id": id, "connection": "stopped", "reason": "session STOPPED"});
    let failed = run::<ReportConnection>(&world, input).unwrap();
    assert_eq!((failed.status, failed.last_error.as_deref()), (Inactive, Some("session STOPPED")));
    assert_eq!(types(&world, id).last().unwrap(), "channel.activation.failed");
    assert!(failed.accepts_inbound(), "nobody switched it off");
    activate(&world, id).unwrap();
    assert_eq!(report(&world, id, "connected").last_error, None);
}

#[test]
fn case_10_challenges_are_counted_and_never_kept() {
    let world = world();
    let id = line(&world);
    activate(&world, id).unwrap();
    assert_eq!(report(&world, id, "awaiting_scan").status, Connecting);
    let qr = || Challenge { kind: ChallengeKind::Qr, value: "pair-me".into(), format: "text".into(), ttl_s: 45 };
    world.clock.set("2025-01-06T12:00:00Z");
    with_channel(&world, id, |channel| channel.issue_challenge(&qr()));
    let first = get(&world, id).channel.challenge.unwrap();
    assert_eq!((first.attempt, first.expires_at), (1, Timestamp::parse("2025-01-06T12:00:45Z").unwrap()));
    world.clock.set("2025-01-06T12:00:46Z");
    with_channel(&world, id, |channel| channel.issue_challenge(&qr()));
    assert_eq!(get(&world, id).channel.challenge.unwrap().attempt, 2);
    assert!(!serde_json::to_string(&events(&world, id)).unwrap().contains("pair-me"));
}

#[test]
fn case_10_no_code_is_there_while_no_provider_gave_one() {
    let world = world();
    let paired = create(&world, "A", "whatsapp_business").id;
    let request = run::<RequestChallenge>(&world, json!({"id": paired, "kind": "qr"}));
    assert_eq!(code(request), "qr_not_available");
}

#[test]
fn case_11_types_without_pairing_have_no_code() {
    let world = world();
    let request = |id: ChannelId| code(run::<RequestChallenge>(&world, json!({"id": id, "kind": "qr"})));
    assert_eq!(request(create(&world, "B", "whatsapp").id), "qr_not_supported");
    assert_eq!(request(line(&world)), "qr_not_supported", "nor has one that a person connects");
}

#[test]
fn case_12_a_lost_line_comes_back() {
    let world = world();
    open_type(&world);
    let id = in_state(&world, "A", Active);
    assert_eq!(report(&world, id, "stopped").status, Disconnected);
    assert_eq!(report(&world, id, "connected").status, Active);
    assert_eq!(types(&world, id).last().unwrap(), "channel.activated");
}

#[test]
fn case_13_what_is_off_stays_off() {
    let world = world();
    let id = line(&world);
    let off = report(&world, id, "connected");
    assert_eq!((off.status, off.connection), (Inactive, ConnectionState::Connected));
}

#[test]
fn case_14_the_same_report_changes_nothing() {
    let world = world();
    open_type(&world);
    let id = in_state(&world, "A", Active);
    let before = (get(&world, id).channel.version, types(&world, id).len());
    assert_eq!(report(&world, id, "connected").version, before.0);
    assert_eq!(types(&world, id).len(), before.1);
}

#[test]
fn every_report_in_every_state() {
    let world = world();
    open_type(&world);
    let states = [
        "starting",
        "awaiting_scan",
        "awaiting_confirmation",
        "connected",
        "stopped",
        "failed",
        "unauthorized",
        "unknown",
    ];
    let table = [
        (Inactive, [Inactive; 8]),
        (Activating, [Connecting, Connecting, Connecting, Active, Inactive, Inactive, Inactive, Activating]),
        (Connecting, [Connecting, Connecting, Connecting, Active, Disconnected, Error, Error, Connecting]),
        (Active, [Connecting, Connecting, Connecting, Active, Disconnected, Error, Error, Active]),
        (Disconnected, [Connecting, Connecting, Connecting, Active, Disconnected, Error, Error, Disconnected]),
        (Error, [Connecting, Connecting, Connecting, Active, Error, Error, Error, Error]),
    ];
    for (from, expected) in table {
        for (state, to) in states.into_iter().zip(expected) {
            let id = in_state(&world, &format!("{from} {state}"), from);
            let after = report(&world, id, state);
            assert_eq!(after.status, to, "{from} reports {state}");
            let again = report(&world, id, state);
            assert_eq!(again.version, after.version, "{from} reports {state} twice");
        }
    }
    world.assert_log_matches();
}

#[test]
fn only_a_person_parks_what_arrives() {
    let world = world();
    let id = line(&world);
    activate(&world, id).unwrap();
    report(&world, id, "connected");
    let off = run::<DeactivateChannel>(&world, json!({"id": id, "reason": "holidays"})).unwrap();
    assert!(off.status == Inactive && !off.accepts_inbound());
    assert_eq!(code(run::<DeactivateChannel>(&world, json!({"id": id}))), "channel_already_inactive");
    let on = activate(&world, id).unwrap();
    assert!(on.accepts_inbound() && on.accepts_outbound());
    let long = json!({"id": id, "reason": "x".repeat(1_001)});
    assert_eq!(place(run::<DeactivateChannel>(&world, long)), ("text_too_long", "reason".into()));
}

#[test]
fn an_identity_comes_with_the_activation_or_on_its_own() {
    let world = world();
    let id = line(&world);
    activate(&world, id).unwrap();
    let me = |name: &str| OwnIdentity { display_name: Some(name.to_owned()), ..OwnIdentity::default() };
    let known = json!({"id": id, "connection": "connected", "identity": me("Shop"), "webhook_active": true});
    let active = run::<ReportConnection>(&world, known.clone()).unwrap();
    assert_eq!(active.identity, Some(me("Shop")));
    assert!(active.webhook_active && active.webhook_configured_at.is_some());
    assert_eq!(run::<ReportConnection>(&world, known).unwrap().version, active.version);
    run::<ReportConnection>(&world, json!({"id": id, "identity": me("Store")})).unwrap();
    let names = types(&world, id);
    assert_eq!(names[2..], ["channel.activated", "channel.webhook.configured", "channel.identity.updated"]);
}

fn job(last: char) -> ImportJobId {
    ImportJobId::parse(&format!("0199d1c2-0000-7000-8000-00000000000{last}")).unwrap()
}

fn request(strategy: ImportStrategy) -> ImportRequest {
    ImportRequest {
        strategy,
        time_range_days: None,
        limit_per_chat: 0,
        session_timeout_minutes: None,
        from_date: None,
        include_groups: false,
        agent_id: None,
    }
}

/// Asks for an import of the line and says how that went.
fn ask_import(world: &World, id: ChannelId, number: char, strategy: ImportStrategy) -> Result<()> {
    let outcome = std::sync::Mutex::new(Ok(()));
    with_channel(world, id, |channel| {
        let can = crate::channels::channel_type::Capabilities { history_import: true, ..Default::default() };
        *outcome.lock().unwrap() = channel.request_import(&can, job(number), request(strategy));
    });
    outcome.into_inner().unwrap()
}

fn importing_line(world: &World) -> ChannelId {
    let id = line(world);
    activate(world, id).unwrap();
    report(world, id, "connected");
    update(world, id, json!({"history_import_enabled": true})).unwrap();
    id
}

#[test]
fn case_23_and_24_an_import_needs_a_line_and_its_permission() {
    let world = world();
    let id = line(&world);
    assert_eq!(code(ask_import(&world, id, '1', ImportStrategy::Full)), "channel_not_active");
    activate(&world, id).unwrap();
    report(&world, id, "connected");
    assert_eq!(code(ask_import(&world, id, '1', ImportStrategy::Full)), "history_import_not_enabled");
    update(&world, id, json!({"history_import_enabled": true})).unwrap();
    assert_eq!(code(ask_import(&world, id, '1', ImportStrategy::TimeRange)), "time_range_days_required");
}

#[test]
fn case_26_one_import_at_a_time() {
    let world = world();
    let id = importing_line(&world);
    ask_import(&world, id, '1', ImportStrategy::Recent).unwrap();
    assert_eq!(code(ask_import(&world, id, '2', ImportStrategy::Recent)), "import_running");
    assert_eq!(code(update(&world, id, json!({"history_import_enabled": false}))), "import_running");
    let before = get(&world, id).channel.version;
    with_channel(&world, id, |channel| channel.start_import(job('2'), ImportStats::default()));
    assert_eq!(get(&world, id).channel.version, before);
    world.clock.set("2025-01-06T10:00:00Z");
    with_channel(&world, id, |channel| channel.start_import(job('1'), ImportStats::default()));
    world.clock.set("2025-01-06T10:20:00Z");
    let half = ImportStats { messages_seen: 10, imported: 8, ..ImportStats::default() };
    with_channel(&world, id, |channel| channel.progress_import(job('1'), &half));
    with_channel(&world, id, |channel| channel.complete_import(job('1'), &ImportStats::default()));
    let channel = get(&world, id).channel;
    let run = channel.history_import.unwrap();
    assert_eq!((run.status, run.stats.imported), (HistoryImportStatus::Completed, 8));
    assert_eq!(run.stats.outcome, Some(ImportOutcome::Complete));
    assert_eq!(channel.last_import_date, Some(Timestamp::parse("2025-01-06T10:00:00Z").unwrap()));
    assert!(ask_import(&world, id, '3', ImportStrategy::Recent).is_ok());
    world.assert_log_matches();
}

#[test]
fn case_27_a_failed_import_leaves_its_reason() {
    let world = world();
    let id = importing_line(&world);
    ask_import(&world, id, '1', ImportStrategy::Full).unwrap();
    with_channel(&world, id, |channel| channel.start_import(job('1'), ImportStats::default()));
    with_channel(&world, id, |channel| channel.fail_import(job('1'), "gateway down"));
    let channel = get(&world, id).channel;
    assert_eq!(channel.history_import.unwrap().status, HistoryImportStatus::Failed);
    assert_eq!(channel.last_error.as_deref(), Some("gateway down"));
    assert!(channel.history_import_enabled);
}

#[test]
fn case_28_deletion_ends_everything() {
    let world = world();
    let id = importing_line(&world);
    ask_import(&world, id, '1', ImportStrategy::Full).unwrap();
    let before = types(&world, id).len();
    let gone = run::<DeleteChannel>(&world, json!({"id": id})).unwrap();
    assert!(!gone.accepts_inbound());
    let names = types(&world, id);
    let ending = ["channel.history_import.cancelled", "channel.deactivated", "channel.deleted"];
    assert_eq!(names[before..], ending);
    assert_eq!(code(activate(&world, id)), "channel_not_found");
    assert_eq!(code(ask::<GetChannel>(&world, json!({"id": id}))), "channel_not_found");
    world.assert_log_matches();
}

#[test]
fn case_29_both_tokens_open_the_channel_for_a_while() {
    let world = world();
    let made = run::<CreateChannel>(&world, json!({"name": "A", "type": "waha"})).unwrap();
    let (id, old) = (made.channel.id, made.plain_webhook_token.unwrap());
    let rotated = run::<RotateWebhookToken>(&world, json!({"id": id, "overlap_seconds": 3600})).unwrap();
    let opens = |token: &str| {
        let now = world.crm.core().now();
        get(&world, id).channel.admits_token(&WebhookToken::given(token).hash(), now)
    };
    assert!(opens(old.as_str()) && opens(rotated.plain_webhook_token.as_str()) && !opens("other"));
    world.clock.advance_seconds(3600);
    assert!(!opens(old.as_str()) && opens(rotated.plain_webhook_token.as_str()));
    let long = run::<RotateWebhookToken>(&world, json!({"id": id, "overlap_seconds": 604_801}));
    assert_eq!(code(long), "value_out_of_range");
}

#[test]
fn case_30_permissions_and_versions_are_checked() {
    let world = world();
    let id = line(&world);
    let viewer = Context::new(Some(project()), ActorRef::system(Component::Webhook));
    assert_eq!(code(block_on(world.crm.execute_in(viewer, ActivateChannel { id }))), "permission_denied");
    let scope = world.crm.project(project());
    let stale = Context { expected_version: Some(7), ..scope.context() };
    let rename: UpdateChannel = given(json!({"id": id, "name": "New"}));
    assert_eq!(code(block_on(world.crm.execute_in(stale, rename))), "version_conflict");
}

#[test]
fn case_31_what_may_be_queued_depends_on_the_status() {
    let world = world();
    open_type(&world);
    for (status, accepts) in [
        (Inactive, false),
        (Activating, true),
        (Connecting, true),
        (Active, true),
        (Disconnected, true),
        (Error, false),
    ] {
        let id = in_state(&world, status.as_str(), status);
        assert_eq!(get(&world, id).channel.accepts_outbound(), accepts, "{status}");
    }
}

/// A project, deleted in a unit of work of its own.
struct DeleteProject(ProjectId);

impl crate::engine::Decision<()> for DeleteProject {
    fn decide<'a>(
        &'a self,
        work: &'a mut crate::engine::UnitOfWork<'_>,
    ) -> futures_util::future::BoxFuture<'a, Result<()>> {
        use crate::tenancy::project::{Project, ProjectEvent};
        Box::pin(async move {
            let mut project = work.load::<Project>(self.0).await?;
            let deleted_at = work.now();
            let purge_after = deleted_at.plus_seconds(86_400);
            project.record(ProjectEvent::Deleted { reason: None, deleted_at, purge_after });
            work.save(project).map(|_| ())
        })
    }
}

#[test]
fn channels_go_off_with_their_project() {
    let world = world();
    open_type(&world);
    let make = given::<crate::tenancy::project::commands::CreateProject>(
        json!({"name": "Shop", "session_timeout_minutes": 45}),
    );
    let shop = world.crm.project(block_on(world.crm.execute(make)).unwrap().id);
    let make = given::<CreateChannel>(json!({"name": "Line", "type": "line"}));
    let id = block_on(shop.execute(make)).unwrap().channel.id;
    let timeout = block_on(shop.query(GetChannel { id })).unwrap().effective.session_timeout;
    assert_eq!(timeout, SessionTimeout { minutes: 45, source: TimeoutSource::Project });
    block_on(shop.execute(ActivateChannel { id })).unwrap();
    block_on(world.crm.transaction(shop.context(), None, &DeleteProject(shop.id()))).map(|_| ()).unwrap();
    block_on(world.crm.run_pending()).unwrap();
    let scope = Scope::Project(shop.id());
    let stored = block_on(world.crm.core().storage.get(scope, Kind::Channel, &[id.uuid()])).unwrap();
    let channel: Channel = serde_json::from_str(&stored[0].state).unwrap();
    assert!(channel.status == Inactive && channel.deactivated_at.is_some());
    world.assert_log_matches();
}
