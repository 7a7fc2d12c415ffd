//! What a credential is for, and what its value looks like.

use crate::kernel::{Error, ErrorCode, Result};
use serde_json::Value;

crate::text_enum! {
    /// What a credential is for.
    pub enum CredentialType {
        /// WhatsApp Business. Its value, if it has one, is a permanent token of a system user.
        #[serde(alias = "meta_whatsapp")]
        MetaWhatsappCloud = "meta_whatsapp_cloud",
        /// Ads of Meta.
        MetaAds = "meta_ads",
        /// Conversions reported to Meta.
        #[serde(alias = "meta_conversions")]
        MetaConversionsApi = "meta_conversions_api",
        /// Messenger of Meta.
        MetaMessenger = "meta_messenger",
        /// Instagram of Meta.
        MetaInstagram = "meta_instagram",
        /// Google Ads.
        GoogleAds = "google_ads",
        /// Google Analytics.
        GoogleAnalytics = "google_analytics",
        /// What a webhook is signed with, or what it sends or expects.
        #[serde(alias = "webhook")]
        WebhookAuth = "webhook_auth",
        /// An opaque key.
        ApiKey = "api_key",
        /// `{"username", "password"}`.
        BasicAuth = "basic_auth",
        /// The key of a WhatsApp HTTP instance; its address is `metadata.base_url`.
        #[serde(alias = "waha")]
        WahaInstance = "waha_instance",
        /// The token of a Telegram bot.
        TelegramBot = "telegram_bot",
        /// `{"account_sid", "auth_token"}`.
        Twilio = "twilio",
        /// `{"app_id", "app_secret"}`.
        Wechat = "wechat",
        /// `{"host", "port", "user", "password"}`.
        Smtp = "smtp",
        /// The key of a provider of AI, named by `metadata.provider`.
        AiProvider = "ai_provider",
    }
}

/// What the value of a credential is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// Any text.
    Opaque,
    /// A JSON object of these texts, none of them empty.
    Pair(&'static [&'static str]),
    /// A JSON object with host, port, user and password.
    Server,
    /// A token that can be used in place of a granted one.
    Token,
    /// The secret of the OAuth client, for whoever refreshes tokens; of no use by itself.
    ClientSecret,
}

impl CredentialType {
    /// Whether its tokens are granted by somebody at the provider.
    pub const fn is_oauth(self) -> bool {
        matches!(self.form(), ValueForm::Token | ValueForm::ClientSecret)
    }

    /// What its value is.
    pub const fn form(self) -> ValueForm {
        match self {
            CredentialType::MetaWhatsappCloud => ValueForm::Token,
            CredentialType::MetaAds
            | CredentialType::MetaConversionsApi
            | CredentialType::MetaMessenger
            | CredentialType::MetaInstagram
            | CredentialType::GoogleAds
            | CredentialType::GoogleAnalytics => ValueForm::ClientSecret,
            CredentialType::WebhookAuth
            | CredentialType::ApiKey
            | CredentialType::WahaInstance
            | CredentialType::TelegramBot
            | CredentialType::AiProvider => ValueForm::Opaque,
            CredentialType::BasicAuth => ValueForm::Pair(&["username", "password"]),
            CredentialType::Twilio => ValueForm::Pair(&["account_sid", "auth_token"]),
            CredentialType::Wechat => ValueForm::Pair(&["app_id", "app_secret"]),
            CredentialType::Smtp => ValueForm::Server,
        }
    }

    /// What is asked for at the provider.
    pub const fn default_scopes(self) -> &'static [&'static str] {
        match self {
            CredentialType::MetaWhatsappCloud => &["whatsapp_business_management", "whatsapp_business_messaging"],
            CredentialType::MetaAds | CredentialType::MetaConversionsApi => &["ads_management", "ads_read"],
            CredentialType::MetaMessenger => &["pages_messaging", "pages_manage_metadata"],
            CredentialType::MetaInstagram => &["instagram_basic", "instagram_manage_messages"],
            CredentialType::GoogleAds => &["https://www.googleapis.com/auth/adwords"],
            CredentialType::GoogleAnalytics => &["https://www.googleapis.com/auth/analytics.readonly"],
            _ => &[],
        }
    }

    /// Refuses a value that is not what the type has.
    ///
    /// # Errors
    /// `credential_value_malformed`, at the part of the value that is wrong; the value itself is never repeated.
    pub fn check_value(self, text: &str) -> Result<()> {
        let keys: &[&str] = match self.form() {
            ValueForm::Opaque | ValueForm::Token | ValueForm::ClientSecret => return Ok(()),
            ValueForm::Pair(keys) => keys,
            ValueForm::Server => &["host", "port", "user", "password"],
        };
        let Ok(Value::Object(parts)) = serde_json::from_str(text) else {
            let expected = format!("a JSON object with {}", keys.join(", "));
            return Err(malformed().message(format!("The value of this type is {expected}.")));
        };
        if parts.keys().any(|key| !keys.contains(&key.as_str())) {
            return Err(malformed().message(format!("The value of this type has no parts but {}.", keys.join(", "))));
        }
        for key in keys {
            let fits = match (*key, parts.get(*key)) {
                ("port", Some(port)) => port.as_u64().is_some_and(|port| (1..=65_535).contains(&port)),
                ("username", Some(Value::String(name))) => !name.is_empty() && !name.contains(':'),
                (_, Some(Value::String(part))) => !part.is_empty(),
                _ => false,
            };
            if !fits {
                return Err(malformed().at(*key));
            }
        }
        Ok(())
    }
}

fn malformed() -> Error {
    ErrorCode::CredentialValueMalformed.into()
}
