//! The kinds of channel that come with the library.

use super::{
    Capabilities, ChannelFamily, ConfigField, ConfigFieldType, ConfigFormat, ConnectionMode, ExternalIdRule, MediaKind,
    NewChannelType, RateLimits, RequiredOn,
};
use crate::conversations::content::ContentType;
use crate::kernel::CustomFieldType as FieldType;
use crate::kernel::{CustomFieldDefinition, CustomFieldKey};
use std::collections::{BTreeMap, BTreeSet};

/// All of them, in the order in which a form shows them.
pub fn built_in() -> Vec<NewChannelType> {
    vec![
        waha(),
        whatsapp_business(),
        whatsapp(),
        instagram(),
        messenger(),
        telegram(),
        wechat(),
        twilio_sms(),
        web_form(),
        email(),
    ]
}

/// WhatsApp through a WAHA gateway that the user runs.
///
/// The session name is needed when the channel is activated, not when it is made: a host that hands deliveries over
/// itself never needs one. Without it deliveries of every session are taken, with it those of other sessions are ignored.
fn waha() -> NewChannelType {
    use ConfigFieldType::{Boolean, String, Url};
    NewChannelType {
        legacy_id: Some(1),
        description: "WhatsApp through your own WAHA gateway: address, key and session are yours.".to_owned(),
        config_schema: vec![
            ConfigField::new("base_url", Url, "Address of the gateway").required(),
            ConfigField::new("api_key", String, "API key").secret().required().alias("token"),
            hmac_key(),
            ConfigField::new("media_base_url", Url, "Address of files").help("When it differs from the gateway's."),
            ConfigField::new("download_media", Boolean, "Copy media").default(true),
            import_strategy(),
            ConfigField::new("ignore_status", Boolean, "Ignore stories").default(true),
            ConfigField::new("simulate_typing", Boolean, "Show typing before sending").default(false),
        ],
        external_id_rule: ExternalIdRule {
            required_on: RequiredOn::Activate,
            format: Some(ConfigFormat::SessionName),
            ..ExternalIdRule::default()
        },
        capabilities: waha_capabilities(),
        credential_type: Some("waha_instance".to_owned()),
        ..offered("waha", "WhatsApp (WAHA)", "waha", ChannelFamily::Whatsapp)
    }
}

/// WhatsApp through a WAHA gateway that the system runs.
fn whatsapp_business() -> NewChannelType {
    NewChannelType {
        description: "WhatsApp by scanning a code; the gateway is managed for you.".to_owned(),
        gateway: "waha".to_owned(),
        config_schema: vec![
            ConfigField::new("phone", ConfigFieldType::Phone, "Phone number"),
            hmac_key(),
            import_strategy(),
        ],
        modes: BTreeSet::from([ConnectionMode::Auto]),
        default_mode: ConnectionMode::Auto,
        external_id_rule: ExternalIdRule {
            required_on: RequiredOn::Create,
            generated: true,
            format: Some(ConfigFormat::SessionName),
            ..ExternalIdRule::default()
        },
        capabilities: Capabilities { qr: true, pairing_code: true, ..waha_capabilities() },
        credential_type: Some("waha_instance".to_owned()),
        ..offered("whatsapp_business", "WhatsApp (scan a code)", "waha", ChannelFamily::Whatsapp)
    }
}

fn whatsapp() -> NewChannelType {
    use ConfigFieldType::{HttpsUrl, String};
    NewChannelType {
        legacy_id: Some(2),
        description: "WhatsApp through the Cloud API of Meta.".to_owned(),
        config_schema: vec![
            ConfigField::new("phone_number_id", String, "Phone number id").required(),
            ConfigField::new("business_account_id", String, "Business account id").required().alias("business_id"),
            ConfigField::new("access_token", String, "Access token").secret().required(),
            ConfigField::new("verify_token", String, "Verify token").secret().required(),
            ConfigField::new("app_secret", String, "App secret").secret().required(),
            api_version(),
            ConfigField::new("webhook_url", HttpsUrl, "Webhook address"),
        ],
        external_id_rule: from_config(&["phone_number_id"]),
        capabilities: Capabilities {
            custom_field_types: vec![FieldType::Text, FieldType::Number, FieldType::Select, FieldType::Label],
            profile_edit: true,
            templates: true,
            reactions: true,
            replies: true,
            read_receipts: true,
            delivery_receipts: true,
            reply_window_hours: Some(24),
            outbound_types: with(FILES, &[ContentType::Template, ContentType::Interactive]),
            ..common(ALL_MEDIA, FILES)
        },
        credential_type: Some("meta_whatsapp_cloud".to_owned()),
        ..offered("whatsapp", "WhatsApp Cloud API", "meta", ChannelFamily::Whatsapp)
    }
}

fn instagram() -> NewChannelType {
    use ConfigFieldType::String;
    NewChannelType {
        legacy_id: Some(3),
        aliases: vec!["direct_ig".to_owned()],
        description: "Direct messages of an Instagram account.".to_owned(),
        config_schema: meta_page(ConfigField::new("account_id", String, "Account id").required()),
        external_id_rule: from_config(&["account_id"]),
        capabilities: Capabilities {
            labels: true,
            custom_field_types: vec![FieldType::Text, FieldType::Label, FieldType::Select],
            history_import: true,
            reactions: true,
            read_receipts: true,
            reply_window_hours: Some(24),
            ..common(&[MediaKind::Image, MediaKind::Video, MediaKind::Audio], SOCIAL)
        },
        credential_type: Some("meta_instagram".to_owned()),
        ..offered("instagram", "Instagram", "meta", ChannelFamily::Social)
    }
}

fn messenger() -> NewChannelType {
    use ConfigFieldType::String;
    NewChannelType {
        legacy_id: Some(4),
        description: "Messages of a Facebook page.".to_owned(),
        config_schema: meta_page(ConfigField::new("page_id", String, "Page id").required()),
        external_id_rule: from_config(&["page_id"]),
        capabilities: Capabilities {
            labels: true,
            custom_field_types: vec![FieldType::Text, FieldType::Label, FieldType::Select, FieldType::MultiSelect],
            history_import: true,
            read_receipts: true,
            delivery_receipts: true,
            reply_window_hours: Some(24),
            outbound_types: with(SOCIAL, &[ContentType::Document]),
            ..common(&[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::File], SOCIAL)
        },
        credential_type: Some("meta_messenger".to_owned()),
        ..offered("messenger", "Messenger", "meta", ChannelFamily::Social)
    }
}

fn telegram() -> NewChannelType {
    use ConfigFieldType::{HttpsUrl, String};
    let token = ConfigField::new("bot_token", String, "Bot token").secret().required().format(ConfigFormat::BotToken);
    let bot_id = ConfigField::new("bot_id", String, "Bot id").format(ConfigFormat::Digits);
    let secret = ConfigField::new("secret_token", String, "Secret of the webhook").secret().length(1, 256);
    NewChannelType {
        legacy_id: Some(5),
        description: "A Telegram bot.".to_owned(),
        config_schema: vec![
            token,
            ConfigField { prefix_of: Some("bot_token".to_owned()), ..bot_id },
            ConfigField::new("bot_username", String, "Bot user name"),
            ConfigField::new("webhook_url", HttpsUrl, "Webhook address"),
            ConfigField { generated: true, ..secret },
        ],
        external_id_rule: from_config(&["bot_id"]),
        capabilities: Capabilities {
            custom_field_types: vec![FieldType::Text, FieldType::Number, FieldType::Label, FieldType::Select],
            groups: true,
            edit: true,
            replies: true,
            ..common(ALL_MEDIA, FILES)
        },
        credential_type: Some("telegram_bot".to_owned()),
        ..offered("telegram", "Telegram", "telegram", ChannelFamily::Chat)
    }
}

fn wechat() -> NewChannelType {
    use ConfigFieldType::String;
    NewChannelType {
        description: "A WeChat official account.".to_owned(),
        config_schema: vec![
            ConfigField::new("app_id", String, "App id").required(),
            ConfigField::new("app_secret", String, "App secret").secret().required(),
            ConfigField::new("verify_token", String, "Verify token").secret().required(),
            ConfigField::new("encoding_aes_key", String, "Encoding AES key").secret().length(43, 43),
        ],
        external_id_rule: from_config(&["app_id"]),
        capabilities: Capabilities {
            labels: true,
            groups: true,
            custom_field_types: vec![FieldType::Text, FieldType::Label, FieldType::Select],
            reply_window_hours: Some(48),
            ..common(
                &[MediaKind::Image, MediaKind::Video, MediaKind::Voice],
                &[ContentType::Text, ContentType::Image, ContentType::Video, ContentType::Voice],
            )
        },
        credential_type: Some("wechat".to_owned()),
        ..offered("wechat", "WeChat", "tencent", ChannelFamily::Chat)
    }
}

fn twilio_sms() -> NewChannelType {
    use ConfigFieldType::{Phone, String};
    let from = ConfigField::new("from", Phone, "Sender number");
    NewChannelType {
        description: "SMS and MMS by Twilio.".to_owned(),
        config_schema: vec![
            ConfigField::new("account_sid", String, "Account SID").required().format(ConfigFormat::AccountSid),
            ConfigField::new("auth_token", String, "Auth token").secret().required(),
            ConfigField { required_unless: Some("messaging_service_sid".to_owned()), ..from },
            ConfigField::new("messaging_service_sid", String, "Messaging service SID"),
        ],
        external_id_rule: from_config(&["from", "messaging_service_sid"]),
        capabilities: Capabilities {
            labels: true,
            custom_field_types: vec![
                FieldType::Text,
                FieldType::Number,
                FieldType::Label,
                FieldType::Select,
                FieldType::MultiSelect,
            ],
            history_import: true,
            delivery_receipts: true,
            ..common(
                &[MediaKind::Image, MediaKind::Video],
                &[ContentType::Text, ContentType::Image, ContentType::Video],
            )
        },
        credential_type: Some("twilio".to_owned()),
        ..offered("twilio_sms", "SMS (Twilio)", "twilio", ChannelFamily::Sms)
    }
}

fn web_form() -> NewChannelType {
    use ConfigFieldType::{Map, String, StringList};
    NewChannelType {
        description: "A form of a web site, or any program that posts messages.".to_owned(),
        config_schema: vec![
            ConfigField::new("form_id", String, "Form id"),
            ConfigField::new("allowed_origins", StringList, "Allowed origins"),
            ConfigField::new("field_map", Map, "Which form field fills which contact field"),
            ConfigField::new("submit_secret", String, "Secret of the form").secret(),
        ],
        external_id_rule: ExternalIdRule { from_config: vec!["form_id".to_owned()], ..ExternalIdRule::default() },
        capabilities: Capabilities {
            labels: true,
            custom_field_types: FieldType::ALL.to_vec(),
            system_fields: vec![
                system_field("source_url", FieldType::Url, "Page"),
                system_field("form_id", FieldType::Text, "Form"),
            ],
            outbound_types: Vec::new(),
            ..common(
                &[MediaKind::Image, MediaKind::Video, MediaKind::Document, MediaKind::File],
                &[ContentType::Text, ContentType::Image, ContentType::Video, ContentType::Document],
            )
        },
        ..offered("web_form", "Web form", "internal", ChannelFamily::Web)
    }
}

/// Not offered yet: it has no adapter.
fn email() -> NewChannelType {
    use ConfigFieldType::{Email, Integer, String};
    let port = |key: &str, label: &str| ConfigField {
        min: Some(1.0),
        max: Some(65_535.0),
        ..ConfigField::new(key, Integer, label)
    };
    NewChannelType {
        description: "A mailbox.".to_owned(),
        config_schema: vec![
            ConfigField::new("address", Email, "Address").required(),
            ConfigField::new("imap_host", String, "IMAP host"),
            port("imap_port", "IMAP port"),
            ConfigField::new("smtp_host", String, "SMTP host"),
            port("smtp_port", "SMTP port"),
            ConfigField::new("user", String, "User"),
            ConfigField::new("password", String, "Password").secret(),
            ConfigField::new("oauth_token", String, "OAuth token").secret(),
        ],
        external_id_rule: from_config(&["address"]),
        capabilities: Capabilities {
            labels: true,
            custom_field_types: FieldType::ALL.to_vec(),
            replies: true,
            ..common(
                &[MediaKind::Image, MediaKind::Document, MediaKind::File],
                &[ContentType::Text, ContentType::Image, ContentType::Document],
            )
        },
        credential_type: Some("smtp".to_owned()),
        active: false,
        ..offered("email", "E-mail", "smtp", ChannelFamily::Email)
    }
}

const ALL_MEDIA: &[MediaKind] =
    &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Document, MediaKind::Voice, MediaKind::Sticker];

const FILES: &[ContentType] = &[
    ContentType::Text,
    ContentType::Image,
    ContentType::Video,
    ContentType::Audio,
    ContentType::Voice,
    ContentType::Document,
    ContentType::Location,
    ContentType::Contact,
    ContentType::Sticker,
];

const SOCIAL: &[ContentType] = &[ContentType::Text, ContentType::Image, ContentType::Video, ContentType::Audio];

/// An active type with nothing particular to it.
fn offered(code: &str, display_name: &str, provider: &str, family: ChannelFamily) -> NewChannelType {
    NewChannelType {
        code: code.to_owned(),
        legacy_id: None,
        aliases: Vec::new(),
        display_name: display_name.to_owned(),
        description: String::new(),
        provider: provider.to_owned(),
        family,
        gateway: code.to_owned(),
        config_schema: Vec::new(),
        modes: BTreeSet::from([ConnectionMode::Manual]),
        default_mode: ConnectionMode::Manual,
        external_id_rule: ExternalIdRule::default(),
        capabilities: Capabilities::default(),
        credential_type: None,
        settings: serde_json::Map::new(),
        built_in: true,
        seeded: None,
        active: true,
    }
}

fn system_field(key: &str, field_type: FieldType, label: &str) -> CustomFieldDefinition {
    let key = CustomFieldKey::parse(key).expect("the key is written in this file");
    CustomFieldDefinition { fixed: true, system: true, ..CustomFieldDefinition::new(key, field_type, label) }
}

fn from_config(keys: &[&str]) -> ExternalIdRule {
    ExternalIdRule {
        required_on: RequiredOn::Activate,
        from_config: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..ExternalIdRule::default()
    }
}

fn with(types: &[ContentType], more: &[ContentType]) -> Vec<ContentType> {
    types.iter().chain(more).copied().collect()
}

/// What every kind can do: attribution, AI and custom fields, and the given media and contents both ways.
fn common(media: &[MediaKind], types: &[ContentType]) -> Capabilities {
    Capabilities {
        custom_fields: true,
        tracking: true,
        ai: true,
        media_types: media.to_vec(),
        inbound_types: types.to_vec(),
        outbound_types: types.to_vec(),
        ..Capabilities::default()
    }
}

fn waha_capabilities() -> Capabilities {
    let formats = |kind: &str, names: &[&str]| (kind.to_owned(), names.iter().map(|n| (*n).to_owned()).collect());
    Capabilities {
        labels: true,
        labels_two_way: true,
        custom_field_types: vec![
            FieldType::Text,
            FieldType::Number,
            FieldType::Boolean,
            FieldType::Date,
            FieldType::Label,
            FieldType::Select,
            FieldType::MultiSelect,
        ],
        system_fields: vec![CustomFieldDefinition {
            required: true,
            ..system_field("labels", FieldType::Label, "Labels")
        }],
        groups: true,
        newsletters: true,
        history_import: true,
        contacts_read: true,
        contacts_write: true,
        block: true,
        profile_edit: true,
        chat_admin: true,
        reactions: true,
        edit: true,
        revoke: true,
        replies: true,
        mentions: true,
        polls: true,
        typing: true,
        presence: true,
        read_receipts: true,
        delivery_receipts: true,
        played_receipts: true,
        edit_window_minutes: Some(15),
        max_text: Some(4_096),
        max_caption: Some(1_024),
        max_media_bytes: Some(64 * 1024 * 1024),
        media_formats: BTreeMap::from([
            formats("image", &["jpeg", "png", "gif", "webp"]),
            formats("audio", &["mpeg", "ogg", "wav"]),
            formats("video", &["mp4", "webm"]),
            formats("document", &["pdf", "msword"]),
        ]),
        rate: RateLimits { per_second: None, per_minute: Some(60), per_hour: Some(1_000) },
        inbound_types: ContentType::ALL.to_vec(),
        ..common(ALL_MEDIA, FILES)
    }
}

fn hmac_key() -> ConfigField {
    let key = ConfigField::new("webhook_hmac_key", ConfigFieldType::String, "Key of webhook signatures");
    key.secret().length(32, 256).help("The gateway signs what it delivers with this key.")
}

fn import_strategy() -> ConfigField {
    ConfigField {
        words: ["none", "new_only", "all"].map(str::to_owned).to_vec(),
        ..ConfigField::new("import_strategy", ConfigFieldType::Enum, "History to import on connect")
            .default("none")
            .help("Asked for once, when the line is first connected and its history may be imported: the last 7 days, or all.")
    }
}

fn api_version() -> ConfigField {
    let field = ConfigField::new("api_version", ConfigFieldType::String, "API version");
    field.default("v17.0").format(ConfigFormat::ApiVersion)
}

fn meta_page(id: ConfigField) -> Vec<ConfigField> {
    use ConfigFieldType::String;
    vec![
        id,
        ConfigField::new("page_access_token", String, "Page access token").secret().required(),
        ConfigField::new("app_secret", String, "App secret").secret().required(),
        ConfigField::new("verify_token", String, "Verify token").secret().required().alias("webhook_token"),
        api_version(),
    ]
}
