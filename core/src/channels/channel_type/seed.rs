//! Writes the built-in kinds of channel into an installation, and takes over what a new version of the library changed.

use super::{ChannelType, ChannelTypeEvent, Configuration, NewChannelType, built_in};
use crate::engine::{Context, Crm, Decision, Reader, UnitOfWork};
use crate::kernel::{ActorRef, ChannelTypeId, Component, Error, Result, Source};
use crate::storage::Scope;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Seeds the built-in types as component `migration`. One read when nothing changed.
pub async fn seed(crm: &Crm) -> Result<()> {
    seed_with(crm, built_in()).await
}

/// As [`seed`], with other definitions.
///
/// Creates missing types; where the definition is another than the one taken over last, its form, modes and abilities
/// replace the stored ones. Texts, settings and whether a type is active belong to the operator and stay.
pub async fn seed_with(crm: &Crm, mut definitions: Vec<NewChannelType>) -> Result<()> {
    for definition in &mut definitions {
        definition.seeded = Some(fingerprint(definition)?);
    }
    let context = Context { source: Source::System, ..Context::new(None, ActorRef::system(Component::Migration)) };
    let ids: Vec<uuid::Uuid> = definitions.iter().map(|d| ChannelType::built_in_id(&d.code).uuid()).collect();
    let system = Scope::Project(crate::kernel::ProjectId::SYSTEM);
    let stored = crm.core().storage.get(system, crate::kernel::Kind::ChannelType, &ids).await?;
    let current: Vec<ChannelType> = stored.iter().map(crate::engine::decode::<ChannelType>).collect::<Result<_>>()?;
    let known: BTreeMap<&str, &ChannelType> = current.iter().map(|t| (t.code.as_str(), t)).collect();
    if definitions
        .iter()
        .all(|definition| known.get(definition.code.as_str()).is_some_and(|t| t.seeded == definition.seeded))
    {
        return Ok(());
    }
    crm.transaction(context, None, &Seed(definitions)).await.map(|_| ())
}

struct Seed(Vec<NewChannelType>);

impl Decision<()> for Seed {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for definition in &self.0 {
                seed_one(work, definition).await?;
            }
            Ok(())
        })
    }
}

async fn seed_one(work: &mut UnitOfWork<'_>, definition: &NewChannelType) -> Result<()> {
    let id: ChannelTypeId = ChannelType::built_in_id(&definition.code);
    let root = match work.find::<ChannelType>(id).await? {
        Some(mut root) => {
            if root.seeded == definition.seeded {
                return Ok(());
            }
            root.record(ChannelTypeEvent::Configured(Box::new(Configuration {
                code: definition.code.clone(),
                config_schema: definition.config_schema.clone(),
                modes: definition.modes.clone(),
                default_mode: definition.default_mode,
                external_id_rule: definition.external_id_rule.clone(),
                settings: root.settings.clone(),
                capabilities: definition.capabilities.clone(),
                seeded: definition.seeded.clone(),
            })));
            root
        }
        None => {
            // A type of the host may have taken the code or the number before the library knew them; it keeps them.
            if taken(work.reader(), ChannelType::CODE_SPACE, &definition.code).await? {
                return Ok(());
            }
            let mut new = definition.clone();
            let aliases = std::mem::take(&mut new.aliases);
            for alias in aliases {
                if !taken(work.reader(), ChannelType::CODE_SPACE, &alias).await? {
                    new.aliases.push(alias);
                }
            }
            if let Some(legacy_id) = new.legacy_id
                && taken(work.reader(), ChannelType::LEGACY_SPACE, &legacy_id.to_string()).await?
            {
                new.legacy_id = None;
            }
            work.create::<ChannelType>(id, ChannelTypeEvent::Created(Box::new(new)))?
        }
    };
    work.save(root)?;
    Ok(())
}

async fn taken(read: &Reader<'_>, space: &str, key: &str) -> Result<bool> {
    Ok(read.by_key::<ChannelType>(space, "", key).await?.is_some())
}

fn fingerprint(definition: &NewChannelType) -> Result<String> {
    let plain = NewChannelType { seeded: None, ..definition.clone() };
    let json = serde_json::to_vec(&plain)
        .map_err(|e| Error::internal(format!("a built-in channel type does not serialise: {e}")))?;
    Ok(crate::channels::gateway::normalised::hex(&Sha256::digest(json)))
}
