//! Who acts: a user, an agent, or a part of Ventros itself, and by which way the call came.

use super::{AgentId, ApiKeyId, ContactId, Error, ErrorCode, Result, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

crate::text_enum! {
    /// What kind of actor it is. `api_key` and `contact` appear in the log only; they never decide permissions.
    pub enum ActorKind {
        /// A person with a user account.
        User = "user",
        /// An AI, bot or channel agent. A human agent acts as its user.
        Agent = "agent",
        /// A part of Ventros, or the host program.
        System = "system",
        /// A user who acted through a key.
        ApiKey = "api_key",
        /// A contact whose message the channel stored.
        Contact = "contact",
    }
}

crate::text_enum! {
    /// The way a call came in.
    pub enum Via {
        /// The host called on behalf of the actor.
        Direct = "direct",
        /// An API key was shown.
        ApiKey = "api_key",
        /// An integration called.
        Integration = "integration",
        /// A bulk import.
        Import = "import",
    }
}

crate::text_enum! {
    /// How a command arrived; kept with every event.
    pub enum Source {
        /// Ventros itself.
        System = "system",
        /// A provider's webhook.
        Webhook = "webhook",
        /// A person at a screen.
        Manual = "manual",
        /// A schedule or a timer.
        Cron = "cron",
        /// A saga.
        Workflow = "workflow",
        /// A program.
        Api = "api",
        /// An import of existing data.
        Import = "import",
        /// A rule of a pipeline.
        Automation = "automation",
    }
}

crate::text_enum! {
    /// The part of Ventros that acts when nobody else does.
    pub enum Component {
        /// Sends broadcasts.
        Broadcast = "broadcast",
        /// Runs sequences.
        Sequence = "sequence",
        /// Runs automations.
        Trigger = "trigger",
        /// Delivers webhooks.
        Webhook = "webhook",
        /// Runs scheduled work.
        Scheduled = "scheduled",
        /// Tests of an installation.
        Test = "test",
        /// Anything without a component of its own.
        Default = "default",
        /// Stores what providers deliver.
        Channel = "channel",
        /// Runs campaigns.
        Campaign = "campaign",
        /// Ends sessions that fell silent.
        SessionTimeout = "session_timeout",
        /// Assigns sessions to agents.
        Assignment = "assignment",
        /// Follows the billing provider.
        Billing = "billing",
        /// Imports existing data.
        Import = "import",
        /// Purges and redacts.
        Retention = "retention",
        /// Seeds and migrates.
        Migration = "migration",
        /// The program that embeds Ventros.
        Host = "host",
    }
}

/// The reserved ids of installation-wide system agents, recognised on import and never created.
const RESERVED: [(u8, Component); 7] = [
    (0x01, Component::Broadcast),
    (0x02, Component::Sequence),
    (0x03, Component::Trigger),
    (0x04, Component::Webhook),
    (0x05, Component::Scheduled),
    (0x10, Component::Test),
    (0x99, Component::Default),
];

impl Component {
    /// The system agent that messages of this component are attributed to: its own, or `default`.
    pub fn agent(self) -> Component {
        if RESERVED.iter().any(|(_, reserved)| *reserved == self) { self } else { Component::Default }
    }

    /// The fixed id by which imports name the system agent of this component, if it has one.
    pub fn reserved_id(self) -> Option<Uuid> {
        let (last, _) = RESERVED.iter().find(|(_, reserved)| *reserved == self)?;
        Some(Uuid::from_u128(u128::from(*last)))
    }

    /// The component that a reserved id stands for; `None` for every other id.
    pub fn from_reserved_id(id: Uuid) -> Option<Component> {
        RESERVED.iter().find(|(last, _)| Uuid::from_u128(u128::from(*last)) == id).map(|(_, component)| *component)
    }
}

/// Refuses the reserved ids of system agents: no command creates, renames or deletes them.
pub fn refuse_reserved(id: impl Into<Uuid>) -> Result<()> {
    match Component::from_reserved_id(id.into()) {
        Some(_) => Err(ErrorCode::ReservedId.into()),
        None => Ok(()),
    }
}

/// Who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Actor {
    User(UserId),
    Agent(AgentId),
    System(Component),
    ApiKey(ApiKeyId),
    Contact(ContactId),
}

impl Actor {
    pub fn kind(self) -> ActorKind {
        match self {
            Actor::User(_) => ActorKind::User,
            Actor::Agent(_) => ActorKind::Agent,
            Actor::System(_) => ActorKind::System,
            Actor::ApiKey(_) => ActorKind::ApiKey,
            Actor::Contact(_) => ActorKind::Contact,
        }
    }

    /// The id of the actor; a system component has none.
    pub fn id(self) -> Option<Uuid> {
        match self {
            Actor::User(id) => Some(id.uuid()),
            Actor::Agent(id) => Some(id.uuid()),
            Actor::System(_) => None,
            Actor::ApiKey(id) => Some(id.uuid()),
            Actor::Contact(id) => Some(id.uuid()),
        }
    }

    pub fn component(self) -> Option<Component> {
        match self {
            Actor::System(component) => Some(component),
            _ => None,
        }
    }
}

/// Who acted, by which way, and for whom.
///
/// JSON: `{"kind": "user", "id": "...", "via": "direct", "api_key_id": null, "elevated": false, "on_behalf_of": null}`;
/// a system actor has `component` instead of `id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct ActorRef {
    pub actor: Actor,
    pub via: Via,
    pub api_key_id: Option<ApiKeyId>,
    /// A platform administrator who is no member of the project.
    pub elevated: bool,
    pub on_behalf_of: Option<Box<ActorRef>>,
}

impl ActorRef {
    pub fn new(actor: Actor) -> Self {
        ActorRef { actor, via: Via::Direct, api_key_id: None, elevated: false, on_behalf_of: None }
    }

    pub fn user(id: UserId) -> Self {
        Self::new(Actor::User(id))
    }

    pub fn agent(id: AgentId) -> Self {
        Self::new(Actor::Agent(id))
    }

    pub fn system(component: Component) -> Self {
        Self::new(Actor::System(component))
    }

    pub fn contact(id: ContactId) -> Self {
        Self::new(Actor::Contact(id))
    }

    /// The same actor, acting through a key.
    #[must_use]
    pub fn through_api_key(mut self, key: ApiKeyId) -> Self {
        self.via = Via::ApiKey;
        self.api_key_id = Some(key);
        self
    }

    #[must_use]
    pub fn via(mut self, via: Via) -> Self {
        self.via = via;
        self
    }

    #[must_use]
    pub fn elevated(mut self) -> Self {
        self.elevated = true;
        self
    }

    #[must_use]
    pub fn on_behalf_of(mut self, other: ActorRef) -> Self {
        self.on_behalf_of = Some(Box::new(other));
        self
    }

    pub fn kind(&self) -> ActorKind {
        self.actor.kind()
    }

    pub fn id(&self) -> Option<Uuid> {
        self.actor.id()
    }

    pub fn component(&self) -> Option<Component> {
        self.actor.component()
    }
}

/// Who acted, by which way, and for whom.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ActorRef")]
struct Wire {
    kind: ActorKind,
    /// The id of the actor; null for a system component.
    #[serde(default)]
    id: Option<Uuid>,
    /// The component of a system actor.
    #[serde(default)]
    component: Option<Component>,
    /// The way the call came in.
    #[serde(default = "direct")]
    via: Via,
    /// The key that was used.
    #[serde(default)]
    api_key_id: Option<ApiKeyId>,
    /// A platform administrator acted without being a member of the project.
    #[serde(default)]
    elevated: bool,
    /// The actor for whom this one acted.
    #[serde(default)]
    on_behalf_of: Option<Box<Wire>>,
}

fn direct() -> Via {
    Via::Direct
}

impl From<ActorRef> for Wire {
    fn from(from: ActorRef) -> Self {
        Wire {
            kind: from.kind(),
            id: from.id(),
            component: from.component(),
            via: from.via,
            api_key_id: from.api_key_id,
            elevated: from.elevated,
            on_behalf_of: from.on_behalf_of.map(|other| Box::new(Wire::from(*other))),
        }
    }
}

impl TryFrom<Wire> for ActorRef {
    type Error = super::input::Carried;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let missing = |field: &str| Self::Error::from(Error::new(ErrorCode::FieldRequired).at(field));
        let id = || wire.id.filter(|id| !id.is_nil()).ok_or_else(|| missing("id"));
        let actor = match wire.kind {
            ActorKind::User => Actor::User(id()?.into()),
            ActorKind::Agent => Actor::Agent(id()?.into()),
            ActorKind::System => Actor::System(wire.component.ok_or_else(|| missing("component"))?),
            ActorKind::ApiKey => Actor::ApiKey(id()?.into()),
            ActorKind::Contact => Actor::Contact(id()?.into()),
        };
        let on_behalf_of = wire.on_behalf_of.map(|other| ActorRef::try_from(*other)).transpose()?.map(Box::new);
        Ok(ActorRef { actor, via: wire.via, api_key_id: wire.api_key_id, elevated: wire.elevated, on_behalf_of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "0199d1c2-0000-7000-8000-000000000001";

    #[track_caller]
    fn round_trip(actor: ActorRef, expected: serde_json::Value) {
        assert_eq!(serde_json::to_value(&actor).unwrap(), expected);
        assert_eq!(serde_json::from_value::<ActorRef>(expected).unwrap(), actor);
    }

    #[test]
    fn a_user_is_written_with_every_field() {
        round_trip(
            ActorRef::user(UserId::parse(ID).unwrap()).elevated(),
            json!({"kind": "user", "id": ID, "component": null, "via": "direct", "api_key_id": null, "elevated": true, "on_behalf_of": null}),
        );
    }

    #[test]
    fn a_component_acts_on_behalf_of_a_user() {
        round_trip(
            ActorRef::system(Component::SessionTimeout).on_behalf_of(ActorRef::user(UserId::parse(ID).unwrap())),
            json!({"kind": "system", "id": null, "component": "session_timeout", "via": "direct", "api_key_id": null, "elevated": false,
                "on_behalf_of": {"kind": "user", "id": ID, "component": null, "via": "direct", "api_key_id": null, "elevated": false, "on_behalf_of": null}}),
        );
    }

    #[test]
    fn a_user_without_id_is_refused_with_its_field() {
        let error = crate::kernel::input::parse::<ActorRef>(br#"{"kind": "user"}"#).unwrap_err();
        assert_eq!((error.code(), error.field()), (ErrorCode::FieldRequired, Some("id")));
    }

    #[test]
    fn reserved_ids_are_recognised_by_the_exact_list() {
        let id = |text| Uuid::parse_str(text).unwrap();
        assert_eq!(Component::from_reserved_id(id("00000000-0000-0000-0000-000000000099")), Some(Component::Default));
        assert_eq!(Component::from_reserved_id(id("00000000-0000-0000-0000-000000000006")), None);
        assert_eq!(Component::from_reserved_id(Uuid::nil()), None);
        assert!(refuse_reserved(id("00000000-0000-0000-0000-000000000010")).is_err());
        assert_eq!(Component::Channel.agent(), Component::Default);
        assert_eq!(Component::Trigger.agent(), Component::Trigger);
    }
}
