//! Words of the timeline: category, priority, source, audience.

use crate::kernel::{Actor, ActorRef, Component, Source, Via};
use crate::text_enum;

text_enum! {
    /// Where an entry comes from.
    pub enum EntryKind {
        /// An event of the log.
        Projected = "projected",
        /// Somebody wrote it down.
        Manual = "manual",
    }
}

text_enum! {
    /// What an entry is about.
    pub enum Category {
        /// Anything else.
        General = "general",
        /// The contact was blocked, deleted, restored, agreed or disagreed.
        Status = "status",
        /// Its way through pipelines.
        Pipeline = "pipeline",
        /// Who is responsible.
        Assignment = "assignment",
        /// Tags.
        Tag = "tag",
        /// Notes.
        Note = "note",
        /// Sessions.
        Session = "session",
        /// Custom fields.
        CustomField = "custom_field",
        /// Creation, merge, enrichment, profile.
        System = "system",
        /// Messages to the contact outside a chat.
        Notification = "notification",
        /// Attribution and conversions.
        Tracking = "tracking",
    }
}

text_enum! {
    /// How much an entry matters; `high` and `urgent` are important.
    pub enum EntryPriority {
        Low = "low",
        Normal = "normal",
        High = "high",
        Urgent = "urgent",
    }
}

impl EntryPriority {
    /// Its place in the order of importance, from 0.
    pub const fn rank(self) -> u8 {
        self as u8
    }
}

text_enum! {
    /// Whose doing an entry is.
    pub enum EntrySource {
        /// Ventros itself, or the host program.
        System = "system",
        /// A user or an agent.
        Agent = "agent",
        /// A provider's webhook.
        Webhook = "webhook",
        /// A campaign, a sequence or an import.
        Workflow = "workflow",
        /// A rule of a pipeline.
        Automation = "automation",
        /// A channel or another system.
        Integration = "integration",
    }
}

impl EntrySource {
    /// Whose doing something is that this actor did in this way.
    pub fn of(actor: &ActorRef, source: &str) -> EntrySource {
        match (actor.actor, actor.via) {
            (_, Via::Import) => EntrySource::Workflow,
            (_, Via::Integration) => EntrySource::Integration,
            (Actor::User(_) | Actor::Agent(_) | Actor::ApiKey(_), _) => EntrySource::Agent,
            (Actor::System(Component::Trigger), _) => EntrySource::Automation,
            (
                Actor::System(Component::Sequence | Component::Campaign | Component::Broadcast | Component::Import),
                _,
            ) => EntrySource::Workflow,
            (Actor::Contact(_) | Actor::System(Component::Channel), _) => EntrySource::Integration,
            (Actor::System(_), _) if source == Source::Webhook.as_str() => EntrySource::Webhook,
            (Actor::System(_), _) if source == Source::Import.as_str() => EntrySource::Workflow,
            (Actor::System(_), _) => EntrySource::System,
        }
    }
}

text_enum! {
    /// For whose eyes a list is.
    pub enum Audience {
        /// People of the project.
        Agent = "agent",
        /// The contact itself, on a portal or in an app.
        Client = "client",
    }
}
