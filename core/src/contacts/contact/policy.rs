//! What a project decides about its contacts: the defaults and the options.

use crate::engine::Reader;
use crate::kernel::{CustomFieldDefinition, CustomFieldRules, Error, Language, Region, Result};
use crate::tenancy::access;
use chrono_tz::Tz;

/// The settings of a project that the rules for contacts ask for.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The zone in which filters read plain dates.
    pub zone: Tz,
    /// The region of phone numbers without country code.
    pub region: Option<Region>,
    pub language: Language,
    /// At most one active contact has an e-mail address.
    pub unique_email: bool,
    /// A contact that a channel brings gets a tag with the name of the channel family.
    pub channel_tag: bool,
    /// The custom fields that contacts of the project have.
    pub custom_fields: Vec<CustomFieldDefinition>,
    /// Custom fields without definition are refused.
    pub custom_fields_strict: bool,
}

impl Policy {
    /// The settings of the project of a call; the defaults where the host keeps no project.
    pub async fn of(read: &Reader<'_>) -> Result<Policy> {
        let Some(project) = access::current(read).await? else {
            return Ok(Policy {
                zone: Tz::UTC,
                region: Region::parse("BR").ok(),
                language: Language::default(),
                unique_email: true,
                channel_tag: true,
                custom_fields: Vec::new(),
                custom_fields_strict: false,
            });
        };
        let zone = project.default_timezone.as_str();
        Ok(Policy {
            zone: zone.parse().map_err(|_| Error::internal(format!("the time zone {zone} is not known")))?,
            region: Some(project.default_region),
            language: project.default_language.clone(),
            unique_email: project.unique_email,
            channel_tag: project.auto_channel_tag,
            custom_fields: project.custom_field_definitions.contact.clone(),
            custom_fields_strict: project.custom_fields_strict,
        })
    }

    pub(super) fn custom_field_rules(&self) -> CustomFieldRules<'_> {
        CustomFieldRules {
            definitions: &self.custom_fields,
            strict: self.custom_fields_strict,
            region: self.region,
            by_system: false,
        }
    }
}
