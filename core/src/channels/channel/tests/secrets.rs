//! Secrets of channels: sealed, shown as a hint, opened for the provider alone. Case 1, and what follows from it.

use super::*;
use crate::kernel::{ErrorCode, SecretBytes};

const API_KEY: &str = "abcdef0123456789";

fn sealed_world() -> World {
    let world = World::with_vault();
    world.found(project());
    world
}

fn waha(api_key: &str) -> Value {
    json!({"name": "Sales", "type": "waha", "external_id": "session-one",
        "config": {"base_url": "https://waha.example.com"}, "secrets": {"api_key": api_key}})
}

fn opened(world: &World, channel: &Channel, key: &str) -> Option<String> {
    /// The worker's own question, asked through the executor.
    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    struct Secret(Value, String);

    impl Query for Secret {
        const NAME: &'static str = "test.secret";
        const PERMISSION: crate::kernel::Permission = crate::kernel::Permission::CredentialsUse;
        type Output = Option<String>;

        async fn run(self, read: &crate::engine::Reader<'_>) -> Result<Option<String>> {
            let channel: Channel = serde_json::from_value(self.0).unwrap();
            let opened: Option<SecretBytes> = channel.secret(read, &self.1).await?;
            Ok(opened.map(|value| String::from_utf8(value.expose().to_vec()).unwrap()))
        }
    }
    let question = Secret(serde_json::to_value(channel).unwrap(), key.to_owned());
    block_on(world.crm.project(project()).query(question)).unwrap()
}

#[test]
fn case_01_a_secret_is_in_the_vault_and_nowhere_else() {
    let world = sealed_world();
    let command: CreateChannel = given(waha(API_KEY));
    assert!(!format!("{command:?}").contains(API_KEY));
    let hidden: CreateChannel = given(json!({"name": "A", "type": "waha", "config": {"api_key": API_KEY}}));
    assert!(!format!("{hidden:?}").contains(API_KEY));
    let made = block_on(world.crm.project(project()).execute(command)).unwrap();
    let token = made.plain_webhook_token.clone().unwrap();
    assert!(!format!("{made:?}").contains(token.as_str()));
    let channel = made.channel;
    assert_eq!((channel.status.as_str(), channel.connection_mode.as_str()), ("inactive", "manual"));
    assert_eq!(types(&world, channel.id), ["channel.created"]);
    assert_eq!(channel.secrets["api_key"].hint.as_deref(), Some("6789"));
    assert_eq!(opened(&world, &channel, "api_key").as_deref(), Some(API_KEY));
    world.assert_log_matches();

    let storage = world.crm.core().storage();
    let all = EventQuery { limit: 1_000, ..EventQuery::default() };
    let log = block_on(storage.events(Scope::Installation, &all)).unwrap();
    let snapshots = crate::catalogue::AGGREGATES.iter().flat_map(|aggregate| {
        block_on(storage.scan(Scope::Installation, aggregate.kind, None, 1_000)).unwrap().into_iter()
    });
    let written: Vec<String> =
        log.iter().map(|event| format!("{event:?}")).chain(snapshots.map(|snapshot| snapshot.state)).collect();
    for text in written {
        assert!(!text.contains(API_KEY) && !text.contains(token.as_str()), "{text}");
    }
}

#[test]
fn case_07_with_its_secret_the_channel_can_be_activated() {
    let world = sealed_world();
    let channel = run::<CreateChannel>(&world, waha("k")).unwrap().channel;
    assert_eq!(channel.secrets["api_key"].hint, None, "short ones have no hint");
    let active = run::<ActivateChannel>(&world, json!({"id": channel.id})).unwrap();
    assert_eq!(active.status, ChannelStatus::Activating);
}

#[test]
fn a_secret_among_the_settings_is_moved() {
    let world = sealed_world();
    let mut input = waha("k");
    input["secrets"] = Value::Null;
    input["config"]["token"] = API_KEY.into();
    let channel = run::<CreateChannel>(&world, input).unwrap().channel;
    assert!(!channel.config.contains_key("token") && !channel.config.contains_key("api_key"));
    assert_eq!(opened(&world, &channel, "api_key").as_deref(), Some(API_KEY));
}

#[test]
fn secrets_change_key_by_key() {
    let world = sealed_world();
    let channel = run::<CreateChannel>(&world, waha(API_KEY)).unwrap().channel;
    let first = channel.secrets["api_key"].secret;
    let same = update(&world, channel.id, json!({"secrets": {"api_key": API_KEY}})).unwrap();
    assert_eq!(same.version, channel.version, "the same value changes nothing");

    let hmac = "0123456789abcdef0123456789abcdef";
    let changed = json!({"secrets": {"api_key": "another", "webhook_hmac_key": hmac}});
    let channel = update(&world, channel.id, changed).unwrap();
    let second = channel.secrets["api_key"].secret;
    assert_eq!((second.secret_id, second.revision), (first.secret_id, 2));
    assert_eq!(opened(&world, &channel, "api_key").as_deref(), Some("another"));
    assert_eq!(opened(&world, &channel, "webhook_hmac_key").as_deref(), Some(hmac));
    let storage = world.crm.core().storage();
    let old = block_on(storage.secret(project(), first.secret_id.uuid(), Some(1))).unwrap();
    assert_eq!(old, None, "the old value is destroyed");
    let (kind, data) = events(&world, channel.id).pop().unwrap();
    assert_eq!(kind, "channel.configured");
    assert_eq!(data["secret_keys_changed"], json!(["api_key", "webhook_hmac_key"]));

    let channel = update(&world, channel.id, json!({"secrets": {"webhook_hmac_key": null}})).unwrap();
    assert_eq!(channel.secrets.keys().collect::<Vec<_>>(), ["api_key"]);
    assert_eq!(opened(&world, &channel, "webhook_hmac_key"), None);
    world.assert_log_matches();
}

#[test]
fn failures_name_the_place_and_never_the_value() {
    let world = sealed_world();
    let create = |secrets: Value| {
        let mut input = waha("k");
        input["secrets"] = secrets;
        run::<CreateChannel>(&world, input).err().unwrap()
    };
    let short = create(json!({"webhook_hmac_key": "too-short"}));
    assert_eq!((short.code(), short.field()), (ErrorCode::ConfigFieldInvalid, Some("secrets.webhook_hmac_key")));
    assert!(!format!("{short:?}").contains("too-short"));
    let plain = create(json!({"base_url": "https://a.example"}));
    assert_eq!((plain.code(), plain.field()), (ErrorCode::ConfigFieldUnknown, Some("secrets.base_url")));
    let unsealed = super::world();
    assert_eq!(
        place(run::<CreateChannel>(&unsealed, waha("k"))),
        ("encryption_not_configured", "secrets.api_key".into())
    );
    let made = super::create(&unsealed, "A", "waha");
    let refused = update(&unsealed, made.id, json!({"secrets": {"api_key": "k"}}));
    assert_eq!(place(refused), ("encryption_not_configured", "secrets.api_key".into()));
}

#[test]
fn what_may_be_drawn_is_drawn() {
    let world = sealed_world();
    let bot = format!("123456:{}", "A".repeat(35));
    let input = json!({"name": "Bot", "type": "telegram", "secrets": {"bot_token": bot}});
    let channel = run::<CreateChannel>(&world, input).unwrap().channel;
    assert_eq!(channel.external_id.as_deref(), Some("123456"));
    assert_eq!(opened(&world, &channel, "secret_token").unwrap().len(), 43);
    let other = format!("654321:{}", "B".repeat(35));
    let channel = update(&world, channel.id, json!({"secrets": {"bot_token": other}})).unwrap();
    assert_eq!(channel.external_id.as_deref(), Some("654321"), "another bot has another id");
}

#[test]
fn the_secret_address_can_be_seen_again() {
    let world = sealed_world();
    let mut input = waha("k");
    input["webhook_base_url"] = "https://crm.example.com/in/".into();
    let made = run::<CreateChannel>(&world, input).unwrap();
    let id = made.channel.id;
    let seen = ask::<GetWebhookUrl>(&world, json!({"id": id})).unwrap();
    let token = made.plain_webhook_token.unwrap();
    assert_eq!(seen.token, token);
    assert_eq!(seen.url.as_ref().unwrap().as_str(), format!("https://crm.example.com/in/{}", token.as_str()));
    assert_eq!((seen.configured_at, seen.active), (None, false));

    let rotated = run::<RotateWebhookToken>(&world, json!({"id": id})).unwrap();
    let seen = ask::<GetWebhookUrl>(&world, json!({"id": id})).unwrap();
    assert_eq!(seen.token, rotated.plain_webhook_token);
    assert!(seen.token != token && rotated.channel.webhook_token.unwrap().revision == 2);

    let unsealed = super::world();
    let bare = super::create(&unsealed, "A", "waha");
    assert_eq!(bare.webhook_token, None);
    let missing = ask::<GetWebhookUrl>(&unsealed, json!({"id": bare.id}));
    assert_eq!(place(missing), ("encryption_not_configured", "webhook_token".into()));
}
