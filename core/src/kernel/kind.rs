//! The closed list of aggregate kinds.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($variant:ident $text:literal $table:literal),* $(,)?) => {
        /// What kind of aggregate an event or a snapshot belongs to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($variant,)* }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            /// The wire form, for example `contact`.
            pub const fn as_str(self) -> &'static str { match self { $(Kind::$variant => $text,)* } }

            /// The plural that names its table and its collection, for example `contacts`.
            pub const fn plural(self) -> &'static str { match self { $(Kind::$variant => $table,)* } }

            pub fn parse(text: &str) -> Option<Kind> { match text { $($text => Some(Kind::$variant),)* _ => None } }
        }
    };
}

kinds! {
    User "user" "users", Project "project" "projects", ProjectMember "project_member" "project_members",
    Credential "credential" "credentials",
    Contact "contact" "contacts", ContactEvent "contact_event" "contact_events", ContactList "contact_list" "contact_lists",
    Tracking "tracking" "trackings", TrackingLink "tracking_link" "tracking_links", Note "note" "notes",
    Message "message" "messages", Session "session" "sessions", Chat "chat" "chats",
    ImportJob "import_job" "import_jobs", ImportChat "import_chat" "import_chats",
    MessageGroup "message_group" "message_groups", MessageEnrichment "message_enrichment" "message_enrichments",
    Channel "channel" "channels", ChannelType "channel_type" "channel_types",
    Agent "agent" "agents", AgentSession "agent_session" "agent_sessions", AgentPresence "agent_presence" "agent_presences",
    Pipeline "pipeline" "pipelines", PipelineMembership "pipeline_membership" "pipeline_memberships",
    Automation "automation" "automations", AutomationExecution "automation_execution" "automation_executions",
    TriggerDefinition "trigger_definition" "trigger_definitions", Signal "signal" "signals",
    Broadcast "broadcast" "broadcasts", BroadcastExecution "broadcast_execution" "broadcast_executions",
    Campaign "campaign" "campaigns", CampaignEnrollment "campaign_enrollment" "campaign_enrollments",
    Sequence "sequence" "sequences", SequenceEnrollment "sequence_enrollment" "sequence_enrollments",
    Webhook "webhook" "webhooks", WebhookDelivery "webhook_delivery" "webhook_deliveries",
    WebhookEndpoint "webhook_endpoint" "webhook_endpoints",
    BillingAccount "billing_account" "billing_accounts", Subscription "subscription" "subscriptions",
    Invoice "invoice" "invoices", UsageMeter "usage_meter" "usage_meters", Product "product" "products",
    Consumer "consumer" "consumers", Job "job" "jobs", Saga "saga" "sagas", Schedule "schedule" "schedules",
    EventLog "event_log" "event_logs", Audit "audit" "audits", Custom "custom" "customs",
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An aggregate that an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "AggregateRef")]
pub struct Subject {
    pub kind: Kind,
    pub id: uuid::Uuid,
}

impl Subject {
    pub fn new(kind: Kind, id: impl Into<uuid::Uuid>) -> Self {
        Subject { kind, id: id.into() }
    }
}
