//! Making, changing, finding: cases 1 to 7, 15 to 25 and 32.

use super::*;
use crate::channels::gateway::ProviderLabel;
use crate::engine::{Context, Decision, UnitOfWork};
use crate::kernel::{ActorRef, Component, PipelineId, Timestamp};
use futures_util::future::BoxFuture;

#[test]
fn the_shortest_call_makes_a_channel() {
    let world = world();
    let made = run::<CreateChannel>(&world, json!({"name": "WhatsApp", "type": "waha"})).unwrap();
    assert_eq!(made.channel.status, ChannelStatus::Inactive);
    assert!(made.channel.accepts_inbound() && !made.channel.accepts_outbound());
    assert!(made.channel.external_id.is_none() && made.channel.is_session("any"));
    let token = made.plain_webhook_token.unwrap();
    let found = block_on(world.crm.project(project()).query(ByToken(token.as_str().to_owned()))).unwrap();
    assert_eq!(found, Some(made.channel.id));
    let stored = serde_json::to_string(&events(&world, made.channel.id)).unwrap();
    assert!(!stored.contains(token.as_str()));
    world.assert_log_matches();
}

/// The intake's own question, asked through the executor.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct ByToken(String);

impl Query for ByToken {
    const NAME: &'static str = "test.by_token";
    const PERMISSION: crate::kernel::Permission = crate::kernel::Permission::ChannelsView;
    type Output = Option<ChannelId>;

    async fn run(self, read: &crate::engine::Reader<'_>) -> Result<Option<ChannelId>> {
        Ok(by_webhook_token(read, &self.0).await?.map(|channel| channel.id))
    }
}

#[test]
fn case_01_a_channel_starts_inactive_and_keeps_no_secret() {
    let world = world();
    let mut input = json!({"name": "Sales", "type": "waha", "external_id": "session-one",
        "config": {"base_url": "https://waha.example.com"}});
    let made = run::<CreateChannel>(&world, input.clone()).unwrap().channel;
    assert_eq!((made.status.as_str(), made.connection_mode.as_str()), ("inactive", "manual"));
    assert_eq!(made.webhook_token_hash.len(), 64);
    assert_eq!(types(&world, made.id), ["channel.created"]);
    input["name"] = "Other".into();
    input["secrets"] = json!({"api_key": "k"});
    assert_eq!(
        place(run::<CreateChannel>(&world, input.clone())),
        ("encryption_not_configured", "secrets.api_key".into())
    );
    input["secrets"] = Value::Null;
    input["config"]["api_key"] = "k".into();
    let hidden = ("encryption_not_configured", "config.api_key".to_owned());
    assert_eq!(place(run::<CreateChannel>(&world, input)), hidden);
}

#[test]
fn a_token_is_not_in_the_stored_result_of_an_idempotent_call() {
    let world = world();
    let scope = world.crm.project(project());
    let context = Context { idempotency_key: Some("once".into()), ..scope.context() };
    let make: CreateChannel = given(json!({"name": "Sales", "type": "waha"}));
    let first = block_on(world.crm.execute_in(context.clone(), make.clone())).unwrap();
    assert_eq!(first.plain_webhook_token, None);
    assert_eq!(block_on(world.crm.execute_in(context.clone(), make)).unwrap().channel, first.channel);
    let context = Context { idempotency_key: Some("twice".into()), ..context };
    let rotate = RotateWebhookToken { id: first.channel.id, overlap_seconds: None };
    let refused = block_on(world.crm.execute_in(context, rotate));
    assert_eq!(place(refused), ("input_invalid", "idempotency_key".into()));
}

#[test]
fn case_02_names_have_limits() {
    let world = world();
    let create = |name: &str| run::<CreateChannel>(&world, json!({"name": name, "type": "waha"}));
    assert_eq!(place(create("   ")), ("name_required", "name".into()));
    assert_eq!(place(create(&"x".repeat(256))), ("name_too_long", "name".into()));
}

#[test]
fn case_03_names_are_unique_among_living_channels_of_a_project() {
    let world = world();
    let first = create(&world, "Sales", "waha");
    let again = json!({"name": "sales", "type": "waha"});
    assert_eq!(code(run::<CreateChannel>(&world, again.clone())), "channel_name_taken");
    let elsewhere = ProjectId::parse("0199d1c2-0000-7000-8000-0000000000bb").unwrap();
    let make: CreateChannel = given(again.clone());
    assert!(block_on(world.found(elsewhere).execute(make)).is_ok());
    run::<DeleteChannel>(&world, json!({"id": first.id})).unwrap();
    assert!(run::<CreateChannel>(&world, again).is_ok());
}

#[test]
fn case_04_the_type_exists_and_is_active() {
    let world = world();
    let create = |code: &str| run::<CreateChannel>(&world, json!({"name": "A", "type": code}));
    assert_eq!(place(create("fax")), ("channel_type_not_found", "type".into()));
    assert_eq!(place(create("email")), ("channel_type_inactive", "type".into()));
    assert_eq!(create("direct_ig").unwrap().channel.channel_type, "instagram");
}

#[test]
fn case_05_modes_belong_to_the_type_and_sessions_are_generated() {
    let world = world();
    let telegram = json!({"name": "A", "type": "telegram", "connection_mode": "auto"});
    assert_eq!(code(run::<CreateChannel>(&world, telegram)), "connection_mode_unsupported");
    let paired = create(&world, "B", "whatsapp_business");
    let hex = paired.id.uuid().simple().to_string();
    assert_eq!(paired.connection_mode.as_str(), "auto");
    assert_eq!(paired.external_id, Some(format!("ch-{}", &hex[20..])));
}

#[test]
fn case_06_the_configuration_is_checked_by_the_type() {
    let world = world();
    let create = |config: Value| run::<CreateChannel>(&world, json!({"name": "A", "type": "waha", "config": config}));
    let invalid = ("config_field_invalid", "config.base_url".to_owned());
    assert_eq!(place(create(json!({"base_url": "not a url"}))), invalid);
    let unknown = ("config_field_unknown", "config.colour".to_owned());
    assert_eq!(place(create(json!({"base_url": "https://waha.example.com", "colour": "red"}))), unknown);
}

#[test]
fn configuration_changes_key_by_key() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    update(&world, id, json!({"config": {"base_url": "https://one.example.com/"}, "external_id": "one"})).unwrap();
    let changed = update(&world, id, json!({"config": {"download_media": false}})).unwrap();
    assert_eq!(changed.config["base_url"], "https://one.example.com");
    assert_eq!(changed.config["download_media"], false);
    assert!(!changed.is_session("two") && changed.is_session("one"));
    let cleared = update(&world, id, json!({"config": {"base_url": null}, "external_id": null})).unwrap();
    assert!(!cleared.config.contains_key("base_url") && cleared.external_id.is_none());
    let version = cleared.version;
    assert_eq!(update(&world, id, json!({"config": {"download_media": false}})).unwrap().version, version);
    let bad = update(&world, id, json!({"external_id": "has space"}));
    assert_eq!(place(bad), ("config_field_invalid", "external_id".into()));
    create(&world, "B", "waha");
    world.assert_log_matches();
}

#[test]
fn external_ids_are_unique_in_a_type() {
    let world = world();
    run::<CreateChannel>(&world, json!({"name": "A", "type": "waha", "external_id": "one"})).unwrap();
    let again = run::<CreateChannel>(&world, json!({"name": "B", "type": "waha", "external_id": "one"}));
    assert_eq!(code(again), "channel_external_id_taken");
    let found = ask::<FindChannel>(&world, json!({"type": "waha", "external_id": "one"})).unwrap();
    assert_eq!(found.unwrap().name, "A");
    assert_eq!(ask::<FindChannel>(&world, json!({"type": "waha", "external_id": "two"})).unwrap(), None);
    let unknown = ask::<FindChannel>(&world, json!({"type": "fax", "external_id": "one"}));
    assert_eq!(code(unknown), "channel_type_not_found");
}

#[test]
fn case_15_timeouts_have_a_range_and_a_source() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    for minutes in [0, 1441] {
        let refused = update(&world, id, json!({"session_timeout_minutes": minutes}));
        assert_eq!(code(refused), "session_timeout_out_of_range");
    }
    for minutes in [1, 1440] {
        let changed = update(&world, id, json!({"session_timeout_minutes": minutes})).unwrap();
        assert_eq!(changed.session_timeout_minutes, Some(minutes));
    }
    assert_eq!(get(&world, id).effective.session_timeout.source, TimeoutSource::Channel);
    assert_eq!(session_timeout(None, None, Some(45)), SessionTimeout { minutes: 45, source: TimeoutSource::Project });
    let pipeline = SessionTimeout { minutes: 10, source: TimeoutSource::Pipeline };
    assert_eq!(session_timeout(Some(10), Some(60), Some(45)), pipeline);
    let default = SessionTimeout { minutes: 30, source: TimeoutSource::SystemDefault };
    assert_eq!(session_timeout(None, None, None), default);
}

#[test]
fn case_16_grouping_waits_as_long_as_it_is_told() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    assert!(update(&world, id, json!({"debounce_timeout_ms": 300_000})).is_ok());
    let refused = update(&world, id, json!({"debounce_timeout_ms": 300_001}));
    assert_eq!(code(refused), "channel_debounce_out_of_range");
    let stored = update(&world, id, json!({"debounce_timeout_ms": 8_000})).unwrap();
    assert_eq!(stored.message_grouping(), MessageGrouping { enabled: false, wait_ms: 8_000 });
    let on = json!({"debounce_timeout_ms": null, "ai_enabled": true, "ai_agents_enabled": true});
    let on = update(&world, id, on).unwrap();
    assert_eq!(on.message_grouping(), MessageGrouping { enabled: true, wait_ms: 15_000 });
    let zero = update(&world, id, json!({"debounce_timeout_ms": 0})).unwrap();
    assert_eq!(zero.message_grouping(), MessageGrouping { enabled: true, wait_ms: 0 });
}

#[test]
fn case_17_agents_need_ai() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    assert_eq!(code(update(&world, id, json!({"ai_agents_enabled": true}))), "ai_required");
    update(&world, id, json!({"ai_enabled": true, "ai_agents_enabled": true})).unwrap();
    assert_eq!(code(update(&world, id, json!({"ai_enabled": false}))), "ai_required");
    update(&world, id, json!({"ai_enabled": false, "ai_agents_enabled": false})).unwrap();
    let (last, data) = events(&world, id).pop().unwrap();
    assert_eq!(last, "channel.ai.configured");
    assert_eq!((&data["ai_enabled"], &data["ai_agents_enabled"]), (&json!(false), &json!(false)));
    assert_eq!(types(&world, id).len(), 3);
}

#[test]
fn case_18_ai_processing_has_ranges() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    for (processing, field) in [
        (json!({"audio": {"priority": 11}}), "ai_processing.audio.priority"),
        (json!({"audio": {"silence_threshold": 1.5}}), "ai_processing.audio.silence_threshold"),
        (json!({"hologram": {"enabled": true}}), "ai_processing.hologram"),
    ] {
        let refused = update(&world, id, json!({"ai_processing": processing}));
        assert_eq!(place(refused), ("ai_processing_invalid", field.to_owned()));
    }
    let changed =
        update(&world, id, json!({"ai_enabled": true, "ai_processing": {"video": {"enabled": true}}})).unwrap();
    assert_eq!(changed.ai_for(AiContentType::Video).max_size_bytes, 104_857_600);
    assert!(changed.ai_for(AiContentType::Video).enabled && changed.ai_for(AiContentType::Voice).enabled);
    let reset = update(&world, id, json!({"ai_processing": {"video": null}})).unwrap();
    assert!(reset.ai_processing.is_empty() && !reset.ai_for(AiContentType::Video).enabled);
}

#[test]
fn case_19_labels_keep_the_rules() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    let upsert = |id: ChannelId, label: Value| run::<UpsertLabel>(&world, json!({"id": id, "label": label}));
    let vip = json!({"id": "1", "name": "VIP", "color": 3, "color_hex": "#dfaef0"});
    let stored = upsert(id, vip.clone()).unwrap();
    assert_eq!(stored.labels["1"].color_hex.to_string(), "#DFAEF0");
    assert_eq!(upsert(id, vip).unwrap().version, stored.version);
    let palette = upsert(id, json!({"id": "2", "name": "New", "color": 3})).unwrap();
    assert_eq!(palette.labels["2"].color_hex.to_string(), "#DFAEF0");
    let outside = upsert(id, json!({"id": "1", "name": "VIP", "color": 20}));
    assert_eq!(place(outside), ("channel_label_invalid", "label.color".into()));
    let red = upsert(id, json!({"id": "1", "name": "VIP", "color_hex": "red"}));
    assert_eq!(place(red), ("color_invalid", "label.color_hex".into()));
    let cloud = create(&world, "B", "whatsapp").id;
    assert_eq!(code(upsert(cloud, json!({"id": "1", "name": "VIP"}))), "labels_not_supported");
    let gone = run::<DeleteLabel>(&world, json!({"id": id, "label_id": "99"}));
    assert_eq!(code(gone), "channel_label_not_found");
    let left = run::<DeleteLabel>(&world, json!({"id": id, "label_id": "1"})).unwrap();
    assert_eq!(left.labels.keys().collect::<Vec<_>>(), ["2"]);
}

/// Runs a step of the inbound flow in a unit of work of its own.
struct Sync(ChannelId, Vec<ProviderLabel>);

impl Decision<Channel> for Sync {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<Channel>> {
        Box::pin(sync_labels(work, self.0, &self.1))
    }
}

fn sync(world: &World, id: ChannelId, labels: &[(&str, &str)]) {
    let labels = labels.iter().map(|(id, name)| ProviderLabel {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        color: Some(1),
        color_hex: None,
    });
    let context = Context::new(Some(project()), ActorRef::system(Component::Channel));
    block_on(world.crm.transaction(context, None, &Sync(id, labels.collect()))).map(|_| ()).unwrap();
}

#[test]
fn case_20_a_synchronisation_records_the_differences_in_order() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    sync(&world, id, &[("1", "One"), ("2", "Two")]);
    let before = events(&world, id).len();
    sync(&world, id, &[("1", "Renamed"), ("3", "Three")]);
    let recorded: Vec<(String, Value)> = events(&world, id).split_off(before);
    let seen: Vec<(&str, &Value)> =
        recorded.iter().map(|(name, data)| (name.as_str(), data.pointer("/label/id").unwrap())).collect();
    let expected = [
        ("channel.label.upserted", &json!("1")),
        ("channel.label.upserted", &json!("3")),
        ("channel.label.deleted", &json!("2")),
    ];
    assert_eq!(seen, expected);
    sync(&world, id, &[("3", "Three"), ("1", "Renamed")]);
    assert_eq!(events(&world, id).len(), before + 3);
    world.assert_log_matches();
}

#[test]
fn a_channel_has_at_most_500_labels() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    let ids: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    let labels: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "Label")).collect();
    sync(&world, id, &labels);
    let more = run::<UpsertLabel>(&world, json!({"id": id, "label": {"id": "500", "name": "One more"}}));
    assert_eq!(code(more), "channel_label_limit");
}

#[test]
fn case_21_reach_needs_the_ability_and_flags_go_both_ways() {
    let world = world();
    let messenger = create(&world, "A", "messenger").id;
    assert_eq!(code(update(&world, messenger, json!({"allow_groups": true}))), "groups_not_supported");
    assert_eq!(code(update(&world, messenger, json!({"allow_newsletters": true}))), "newsletters_not_supported");
    let input = json!({"name": "B", "type": "waha", "tracking_enabled": true, "allow_groups": true});
    let id = run::<CreateChannel>(&world, input).unwrap().channel.id;
    update(&world, id, json!({"tracking_enabled": false})).unwrap();
    let (name, data) = events(&world, id).pop().unwrap();
    assert_eq!(name, "channel.updated");
    assert_eq!(data["changes"], json!({"tracking_enabled": false}));
    assert_eq!(data["previous"], json!({"tracking_enabled": true}));
    let read = get(&world, id);
    assert!(!read.channel.tracking_enabled && read.effective.allow_groups && read.capabilities.labels_two_way);
}

#[test]
fn case_22_references_must_exist() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    let unknown = "0199d1c2-0000-7000-8000-0000000000ff";
    for (field, expected) in [
        ("pipeline_id", "pipeline_not_found"),
        ("default_agent_id", "agent_not_found"),
        ("credential_id", "credential_not_found"),
    ] {
        assert_eq!(place(update(&world, id, json!({field: unknown}))), (expected, field.to_owned()));
    }
    let before = get(&world, id).channel.version;
    assert_eq!(update(&world, id, json!({"pipeline_id": null})).unwrap().version, before);
}

#[test]
fn case_22_a_pipeline_is_associated_once() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    let pipeline = PipelineId::parse("0199d1c2-0000-7000-8000-0000000000cc").unwrap();
    for pipeline in [Some(pipeline), Some(pipeline), None, None] {
        with_channel(&world, id, move |channel| channel.associate_pipeline(pipeline));
    }
    let names = types(&world, id);
    assert_eq!(names[1..], ["channel.pipeline.associated", "channel.pipeline.disassociated"]);
}

#[test]
fn case_23_imports_need_the_ability_and_limits_above_zero() {
    let world = world();
    let telegram = create(&world, "A", "telegram").id;
    let refused = update(&world, telegram, json!({"history_import_enabled": true}));
    assert_eq!(code(refused), "import_not_supported");
    let id = create(&world, "B", "waha").id;
    let zero = update(&world, id, json!({"history_import_max_days": 0}));
    assert_eq!(place(zero), ("import_limit_invalid", "history_import_max_days".into()));
    let on = json!({"history_import_enabled": true, "history_import_max_days": 30});
    assert_eq!(update(&world, id, on.clone()).unwrap().history_import_max_days, Some(30));
    assert_eq!(update(&world, id, on).unwrap().version, 2);
    update(&world, id, json!({"history_import_enabled": false})).unwrap();
    let names = types(&world, id);
    assert_eq!(names[1..], ["channel.history_import.enabled", "channel.history_import.disabled"]);
}

#[test]
fn case_24_strategies_have_aliases() {
    let strategy = |text: &str| crate::kernel::input::parse_value::<ImportStrategy>(json!(text));
    assert_eq!(code(strategy("everything")), "enum_unknown");
    assert_eq!(strategy("all").unwrap(), ImportStrategy::Full);
    assert_eq!(strategy("maximum").unwrap(), ImportStrategy::Full);
}

#[test]
fn case_25_an_import_starts_at_the_latest_of_its_limits() {
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let now = at("2025-01-31T12:00:00Z");
    let last = Some(at("2025-01-20T12:00:00Z"));
    let from = |strategy, max_days, last| ImportRequest::from_date(strategy, None, max_days, last, now);
    assert_eq!(from(ImportStrategy::Recent, Some(30), last), Some(at("2025-01-19T12:00:00Z")));
    assert_eq!(from(ImportStrategy::Recent, Some(7), last), Some(at("2025-01-24T12:00:00Z")));
    assert_eq!(from(ImportStrategy::Recent, None, None), Some(at("2025-01-24T12:00:00Z")));
    assert_eq!(from(ImportStrategy::Full, None, None), None);
}

#[test]
fn case_32_a_web_form_has_its_fields_from_the_start() {
    let world = world();
    let fields = create(&world, "A", "web_form").custom_field_definitions;
    let seen: Vec<(&str, &str)> = fields.iter().map(|f| (f.key.as_str(), f.r#type.as_str())).collect();
    assert_eq!(seen, [("source_url", "url"), ("form_id", "text")]);
}

#[test]
fn a_webhook_address_is_https_or_on_this_machine() {
    let world = world();
    let id = create(&world, "A", "waha").id;
    let plain = update(&world, id, json!({"webhook_base_url": "http://crm.example.com/in"}));
    assert_eq!(place(plain), ("url_scheme_unsupported", "webhook_base_url".into()));
    let changes = json!({"webhook_base_url": "https://crm.example.com/in/", "webhook_events": ["message"]});
    let changed = update(&world, id, changes).unwrap();
    assert_eq!(changed.webhook_url.as_deref(), Some("https://crm.example.com/in"));
    assert!(!changed.webhook_active);
    assert!(update(&world, id, json!({"webhook_base_url": "http://localhost:8000"})).is_ok());
    let many = update(&world, id, json!({"webhook_events": [" "]}));
    assert_eq!(code(many), "input_invalid");
}

#[test]
fn channels_are_listed_and_counted_by_filter() {
    let world = world();
    create(&world, "B", "waha");
    create(&world, "A", "telegram");
    let filter = json!({"field": "type", "op": "eq", "value": "waha"});
    let page = ask::<ListChannels>(&world, json!({"filter": filter, "sort": ["name"]})).unwrap();
    assert_eq!(page.items.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["B"]);
    assert_eq!(ask::<CountChannels>(&world, json!({"filter": filter})).unwrap(), 1);
    assert_eq!(ask::<CountChannels>(&world, json!({})).unwrap(), 2);
}

/// Runs a change of a channel in a unit of work of its own.
pub(super) fn with_channel(
    world: &World,
    id: ChannelId,
    change: impl Fn(&mut crate::engine::Root<Channel>) + Send + std::marker::Sync,
) {
    struct Change<F>(ChannelId, F);
    impl<F: Fn(&mut crate::engine::Root<Channel>) + Send + std::marker::Sync> Decision<()> for Change<F> {
        fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<()>> {
            Box::pin(async move {
                let mut channel = work.load::<Channel>(self.0).await?;
                (self.1)(&mut channel);
                work.save(channel).map(|_| ())
            })
        }
    }
    let context = Context::new(Some(project()), ActorRef::system(Component::Channel));
    block_on(world.crm.transaction(context, None, &Change(id, change))).map(|_| ()).unwrap();
}
