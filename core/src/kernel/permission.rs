//! The closed list of permissions and who holds them by role, by agent preset or by system component.

use super::actor::Component;
use super::error::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The table: variant, wire text, and the member roles that hold it (A admin, S supervisor, G agent, V viewer), `O` for
/// the owner's or billing manager's own, `P` for permissions of the platform, `-` for none.
macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident $text:literal $roles:literal;)*) => {
        /// A right that an operation names. Any other text is never a right.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
        #[repr(u8)]
        pub enum Permission { $($(#[$doc])* #[serde(rename = $text)] $variant,)* }

        impl Permission {
            /// All permissions, in the order of the table.
            pub const ALL: &'static [Permission] = &[$(Permission::$variant,)*];

            /// The wire form, for example `contacts.view`.
            pub const fn as_str(self) -> &'static str { match self { $(Permission::$variant => $text,)* } }

            const fn roles(self) -> &'static str { match self { $(Permission::$variant => $roles,)* } }

            fn from_wire(text: &str) -> Option<Permission> {
                match text { $($text => Some(Permission::$variant),)* _ => None }
            }
        }
    };
}

permissions! {
    /// Held by every known, active actor; reaches the actor's own records only.
    Authenticated "authenticated" "-";

    /// Contacts, their timeline events and custom field values.
    ContactsView "contacts.view" "ASGV";
    /// Create, edit, tag, custom fields, pipeline moves, restore, timeline entries.
    ContactsManage "contacts.manage" "ASG";
    /// Soft delete.
    ContactsDelete "contacts.delete" "AS";
    /// Merge and undo a merge.
    ContactsMerge "contacts.merge" "AS";
    /// Bulk import.
    ContactsImport "contacts.import" "AS";
    /// Export and scan.
    ContactsExport "contacts.export" "AS";
    /// Erasure of personal data.
    ContactsErase "contacts.erase" "A";
    /// Contact lists and their members.
    ListsView "lists.view" "ASGV";
    /// Create, rules, bulk members, recalculate, delete.
    ListsManage "lists.manage" "AS";
    /// Notes, as far as their own visibility allows.
    NotesView "notes.view" "ASGV";
    /// Create; edit, pin and delete one's own.
    NotesManage "notes.manage" "ASG";
    /// Edit, pin and delete those of others.
    NotesModerate "notes.moderate" "AS";
    /// Sessions in reach.
    SessionsView "sessions.view" "ASGV";
    /// Every session, whatever the project's session visibility; agents have it when that setting is `all`.
    SessionsViewAll "sessions.view_all" "ASV";
    /// Start, close, resolve, escalate, summarize, claim unassigned, hand over one's own.
    SessionsManage "sessions.manage" "ASG";
    /// Assign or reassign any session.
    SessionsAssign "sessions.assign" "AS";
    /// Messages of visible sessions and chats, media, enrichments.
    MessagesView "messages.view" "ASGV";
    /// Send, reply, react, mark read, edit or revoke one's own.
    MessagesSend "messages.send" "ASG";
    /// Delete or redact stored messages.
    MessagesDelete "messages.delete" "AS";
    /// Chats, participants, labels.
    ChatsView "chats.view" "ASGV";
    /// Create, subject, description, participants, labels, archive, close.
    ChatsManage "chats.manage" "ASG";
    /// Agents, status, workload.
    AgentsView "agents.view" "ASGV";
    /// Create, edit, activate, permissions, virtual agents.
    AgentsManage "agents.manage" "A";
    /// Members and roles.
    MembersView "members.view" "ASGV";
    /// Invite, remove, roles, overrides.
    MembersManage "members.manage" "A";
    /// Channels and their state, never secrets.
    ChannelsView "channels.view" "ASGV";
    /// Create, configure, activate, labels, history import, pipeline link, delete.
    ChannelsManage "channels.manage" "A";
    /// Pipelines, statuses, boards.
    PipelinesView "pipelines.view" "ASGV";
    /// Pipelines, statuses, lead qualification, custom fields of pipelines, delete.
    PipelinesManage "pipelines.manage" "AS";
    /// Rules, triggers, run history.
    AutomationsView "automations.view" "ASGV";
    /// Create, edit, enable, run by hand, custom triggers.
    AutomationsManage "automations.manage" "AS";
    /// Campaigns, steps, enrollments, stats.
    CampaignsView "campaigns.view" "ASGV";
    /// Create, edit, schedule, activate, pause, resume, complete, archive.
    CampaignsManage "campaigns.manage" "AS";
    /// Enroll, pause, resume, exit single contacts.
    CampaignsEnroll "campaigns.enroll" "ASG";
    /// Sequences, steps, enrollments, stats.
    SequencesView "sequences.view" "ASGV";
    /// Create, edit, activate, pause, resume, archive, delete.
    SequencesManage "sequences.manage" "AS";
    /// Enroll, pause, resume, exit single contacts.
    SequencesEnroll "sequences.enroll" "ASG";
    /// Broadcasts, executions, stats.
    BroadcastsView "broadcasts.view" "ASGV";
    /// Draft, edit, delete drafts.
    BroadcastsManage "broadcasts.manage" "AS";
    /// Schedule, execute, cancel.
    BroadcastsSend "broadcasts.send" "AS";
    /// Attributions and click links.
    TrackingView "tracking.view" "ASGV";
    /// Create, enrich, correct, encode.
    TrackingManage "tracking.manage" "AS";
    /// Webhooks and deliveries, no secret.
    WebhooksView "webhooks.view" "AS";
    /// Create, edit, rotate secret, replay, delete.
    WebhooksManage "webhooks.manage" "A";
    /// Credentials without their secrets.
    CredentialsView "credentials.view" "AS";
    /// Create, rotate, authorize, activate, delete.
    CredentialsManage "credentials.manage" "A";
    /// Obtain the plaintext; system components and explicit grants only.
    CredentialsUse "credentials.use" "-";
    /// The raw event log of the project.
    EventsView "events.view" "AS";
    /// Append `custom.*` events.
    EventsRecord "events.record" "A";
    /// Replay, reset consumers, dead letters, retention, compaction.
    EventsManage "events.manage" "A";
    /// Retry, cancel, schedules.
    JobsManage "jobs.manage" "A";
    /// Inspect long-running processes.
    SagasView "sagas.view" "A";
    /// Cancel and retry long-running processes.
    SagasManage "sagas.manage" "A";
    /// Access and denial records.
    AuditView "audit.view" "A";
    /// Redaction and subject export, with `contacts.erase`.
    PrivacyManage "privacy.manage" "A";
    /// List and revoke API keys bound to this project.
    ApikeysManage "apikeys.manage" "A";
    /// Reports, counts, dashboards.
    AnalyticsView "analytics.view" "ASV";
    /// Export of reports.
    AnalyticsExport "analytics.export" "AS";
    /// Settings; id, name, slug and locale are visible to every member.
    ProjectView "project.view" "ASV";
    /// Change settings.
    ProjectManage "project.manage" "A";
    /// Delete and restore the project.
    ProjectDelete "project.delete" "O";
    /// Ownership and billing account.
    ProjectTransfer "project.transfer" "O";
    /// Account, subscriptions, invoices, usage.
    BillingView "billing.view" "O";
    /// Payment methods, plan, cancel.
    BillingManage "billing.manage" "O";

    /// See the accounts of others.
    UsersView "users.view" "P";
    /// Create, suspend and change the accounts of others.
    UsersManage "users.manage" "P";
    /// Found a project.
    ProjectsCreate "projects.create" "P";
    /// Products and prices.
    CatalogManage "catalog.manage" "P";
    /// Run the installation.
    PlatformOperate "platform.operate" "P";
}

/// Older and coarser names that are accepted as input and never written.
const ALIASES: [(&str, Permission); 8] = [
    ("settings.view", Permission::ProjectView),
    ("settings.manage", Permission::ProjectManage),
    ("reassign_sessions", Permission::SessionsAssign),
    ("manage_agents", Permission::AgentsManage),
    ("view_all_sessions", Permission::SessionsViewAll),
    ("send_messages", Permission::MessagesSend),
    ("access_analytics", Permission::AnalyticsView),
    ("manage_automations", Permission::AutomationsManage),
];

impl Permission {
    /// Reads the wire form or an accepted alias; anything else is `permission_unknown`.
    pub fn parse(text: &str) -> Result<Self> {
        let alias = || ALIASES.iter().find(|(alias, _)| *alias == text).map(|(_, permission)| *permission);
        Self::from_wire(text)
            .or_else(alias)
            .ok_or_else(|| Error::new(ErrorCode::PermissionUnknown).with("permission", text))
    }

    /// Only looks: its action is `view` or `view_all`.
    pub fn is_view(self) -> bool {
        self.as_str().ends_with(".view") || self.as_str().ends_with(".view_all")
    }

    /// Belongs to the installation, not to a project.
    pub fn is_platform(self) -> bool {
        self.roles() == "P"
    }

    /// Held through ownership of the project or management of its billing, never through a role.
    pub fn is_owner_only(self) -> bool {
        self.roles() == "O"
    }

    /// May be granted to a member on top of its role: every project permission but the owner's, of which `billing.view` alone may.
    pub fn is_grantable_to_member(self) -> bool {
        self == Permission::BillingView
            || !(self.is_owner_only() || self.is_platform() || self == Permission::Authenticated)
    }

    /// May be granted to an AI, bot or channel agent.
    pub fn is_grantable_to_agent(self) -> bool {
        !PermissionSet::NEVER_FOR_AGENTS.contains(self)
    }

    const fn bit(self) -> u128 {
        1 << self as u8
    }

    /// Whether a role's letter stands in the table's row.
    const fn has_role(self, letter: u8) -> bool {
        let roles = self.roles().as_bytes();
        let mut i = 0;
        while i < roles.len() {
            if roles[i] == letter {
                return true;
            }
            i += 1;
        }
        false
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::input::text(deserializer, Permission::parse)
    }
}

/// A set of permissions: one machine word, written as a sorted list of strings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PermissionSet(u128);

impl PermissionSet {
    pub const EMPTY: PermissionSet = PermissionSet(0);

    /// Everything, platform permissions included.
    pub const ALL: PermissionSet = PermissionSet::of(Permission::ALL);

    /// What no agent is ever granted.
    pub const NEVER_FOR_AGENTS: PermissionSet = PermissionSet::of(&[
        Permission::MembersView,
        Permission::MembersManage,
        Permission::BillingView,
        Permission::BillingManage,
        Permission::ProjectView,
        Permission::ProjectManage,
        Permission::ProjectDelete,
        Permission::ProjectTransfer,
        Permission::CredentialsManage,
        Permission::ContactsErase,
        Permission::EventsManage,
        Permission::PrivacyManage,
        Permission::ApikeysManage,
        Permission::JobsManage,
        Permission::SagasManage,
        Permission::AuditView,
        Permission::Authenticated,
        Permission::UsersView,
        Permission::UsersManage,
        Permission::ProjectsCreate,
        Permission::CatalogManage,
        Permission::PlatformOperate,
    ]);

    /// What the owner of a project holds besides its role.
    pub const OWNER: PermissionSet = PermissionSet::by_letter(b'O');

    /// The permissions of the installation.
    pub const PLATFORM: PermissionSet = PermissionSet::by_letter(b'P');

    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < permissions.len() {
            bits |= permissions[i].bit();
            i += 1;
        }
        PermissionSet(bits)
    }

    const fn by_letter(letter: u8) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < Permission::ALL.len() {
            if Permission::ALL[i].has_role(letter) {
                bits |= Permission::ALL[i].bit();
            }
            i += 1;
        }
        PermissionSet(bits)
    }

    /// All that only look (`.view`, `.view_all`): the ceiling of the platform role `readonly`.
    pub fn views() -> Self {
        Permission::ALL.iter().copied().filter(|permission| permission.is_view()).collect()
    }

    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    pub const fn is_subset(self, of: PermissionSet) -> bool {
        self.0 & !of.0 == 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    #[must_use]
    pub const fn union(self, other: PermissionSet) -> Self {
        PermissionSet(self.0 | other.0)
    }

    #[must_use]
    pub const fn intersection(self, other: PermissionSet) -> Self {
        PermissionSet(self.0 & other.0)
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub const fn difference(self, other: PermissionSet) -> Self {
        PermissionSet(self.0 & !other.0)
    }

    /// Returns whether it was not there yet.
    pub fn insert(&mut self, permission: Permission) -> bool {
        let new = !self.contains(permission);
        self.0 |= permission.bit();
        new
    }

    /// Returns whether it was there.
    pub fn remove(&mut self, permission: Permission) -> bool {
        let there = self.contains(permission);
        self.0 &= !permission.bit();
        there
    }

    /// In the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }

    /// The wire form: sorted by text.
    pub fn to_strings(self) -> Vec<&'static str> {
        let mut texts: Vec<_> = self.iter().map(Permission::as_str).collect();
        texts.sort_unstable();
        texts
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        PermissionSet(permissions.into_iter().fold(0, |bits, permission| bits | permission.bit()))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.to_strings()).finish()
    }
}

impl Serialize for PermissionSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.to_strings())
    }
}

impl<'de> Deserialize<'de> for PermissionSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Permission>::deserialize(deserializer)?.into_iter().collect())
    }
}

impl schemars::JsonSchema for PermissionSet {
    fn schema_name() -> Cow<'static, str> {
        "PermissionSet".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let permission = generator.subschema_for::<Permission>();
        schemars::json_schema!({"type": "array", "items": permission, "uniqueItems": true})
    }
}

crate::text_enum! {
    /// The role of a member in a project, in the order of listings.
    pub enum MemberRole {
        /// Everything in the project.
        Admin = "admin",
        /// Runs operations, campaigns, reporting.
        Supervisor = "supervisor",
        /// Serves contacts.
        Agent = "agent",
        /// Looks only.
        Viewer = "viewer",
    }
}

impl MemberRole {
    /// What the role gives. An `agent` has `sessions.view_all` besides when the project's session visibility is `all`.
    pub const fn permissions(self) -> PermissionSet {
        match self {
            MemberRole::Admin => PermissionSet::by_letter(b'A'),
            MemberRole::Supervisor => PermissionSet::by_letter(b'S'),
            MemberRole::Agent => PermissionSet::by_letter(b'G'),
            MemberRole::Viewer => PermissionSet::by_letter(b'V'),
        }
    }
}

crate::text_enum! {
    /// What a user may do in the installation, and what caps it inside projects.
    pub enum PlatformRole {
        /// Runs the installation; acts as `admin` in projects it is no member of, marked `elevated`.
        Admin = "admin",
        /// Sees users and founds projects.
        Manager = "manager",
        /// Founds projects.
        User = "user",
        /// Looks only, whatever its member roles say.
        Readonly = "readonly",
    }
}

impl PlatformRole {
    /// The platform permissions of the role.
    pub const fn permissions(self) -> PermissionSet {
        match self {
            PlatformRole::Admin => PermissionSet::PLATFORM,
            PlatformRole::Manager => PermissionSet::of(&[Permission::UsersView, Permission::ProjectsCreate]),
            PlatformRole::User => PermissionSet::of(&[Permission::ProjectsCreate]),
            PlatformRole::Readonly => PermissionSet::EMPTY,
        }
    }

    /// What a set inside a project is cut down to; `authenticated` is no part of it.
    pub fn cap(self, permissions: PermissionSet) -> PermissionSet {
        match self {
            PlatformRole::Readonly => permissions.intersection(PermissionSet::views()),
            PlatformRole::Admin | PlatformRole::Manager | PlatformRole::User => permissions,
        }
    }
}

crate::text_enum! {
    /// The roles of agents that act for themselves, each with a preset. Human agents act as their user instead.
    pub enum AgentPreset {
        AiAgent = "ai_agent",
        ChannelBot = "channel_bot",
        AiAssistant = "ai_assistant",
        WorkflowBot = "workflow_bot",
        AnalyticsBot = "analytics_bot",
        SummarizerBot = "summarizer_bot",
    }
}

impl AgentPreset {
    /// What the role gives. Cut by [`PermissionSet::NEVER_FOR_AGENTS`], as grants on top of it must be.
    pub fn permissions(self) -> PermissionSet {
        use Permission::*;
        let preset = match self {
            AgentPreset::AiAgent | AgentPreset::ChannelBot => PermissionSet::of(&[
                ContactsView,
                ContactsManage,
                SessionsView,
                SessionsManage,
                MessagesView,
                MessagesSend,
                ChatsView,
                NotesView,
                NotesManage,
                SequencesEnroll,
            ]),
            AgentPreset::AiAssistant => {
                PermissionSet::of(&[ContactsView, SessionsView, MessagesView, MessagesSend, NotesView, NotesManage])
            }
            AgentPreset::WorkflowBot => PermissionSet::of(&[
                ContactsView,
                ContactsManage,
                ListsView,
                SessionsView,
                SessionsManage,
                SessionsAssign,
                MessagesView,
                MessagesSend,
                CampaignsEnroll,
                SequencesEnroll,
                TrackingView,
            ]),
            AgentPreset::AnalyticsBot => MemberRole::Viewer
                .permissions()
                .iter()
                .filter(|permission| permission.as_str().ends_with(".view"))
                .chain([AnalyticsExport])
                .collect(),
            AgentPreset::SummarizerBot => PermissionSet::of(&[SessionsView, MessagesView, SessionsManage]),
        };
        preset.difference(PermissionSet::NEVER_FOR_AGENTS)
    }
}

impl Component {
    /// The fixed rights of the component.
    pub fn permissions(self) -> PermissionSet {
        use Permission::*;
        const DISPATCH: PermissionSet =
            PermissionSet::of(&[ContactsView, ListsView, SessionsManage, MessagesSend, TrackingManage, CredentialsUse]);
        // Actions of automations run with at most what a supervisor may; the author's own rights are checked when a rule is written.
        let actions = MemberRole::Supervisor.permissions();
        match self {
            // Inbound commands name `channels.manage`, receipts `messages.send`.
            Component::Channel => PermissionSet::of(&[
                ContactsView,
                ContactsManage,
                SessionsView,
                SessionsManage,
                MessagesView,
                MessagesSend,
                ChatsView,
                ChatsManage,
                ChannelsView,
                ChannelsManage,
                TrackingManage,
                CredentialsUse,
            ]),
            Component::Broadcast => DISPATCH.union(PermissionSet::of(&[BroadcastsView, BroadcastsSend])),
            Component::Campaign => DISPATCH.union(PermissionSet::of(&[CampaignsView, CampaignsEnroll])),
            Component::Sequence => DISPATCH.union(PermissionSet::of(&[SequencesView, SequencesEnroll])),
            // Scheduled automations act as `scheduled`, all others as `trigger`.
            Component::Scheduled => DISPATCH.union(actions),
            Component::Trigger | Component::Test | Component::Default => actions,
            Component::Webhook => PermissionSet::of(&[WebhooksView, CredentialsUse]),
            Component::SessionTimeout | Component::Assignment => PermissionSet::of(&[SessionsManage, SessionsAssign]),
            // Suspending a project is a platform command.
            Component::Billing => PermissionSet::of(&[BillingView, BillingManage, PlatformOperate]),
            Component::Import => PermissionSet::of(&[
                ContactsView,
                ContactsManage,
                ContactsDelete,
                ContactsMerge,
                ContactsImport,
                MessagesView,
                MessagesSend,
                MessagesDelete,
                SessionsView,
                SessionsViewAll,
                SessionsManage,
                SessionsAssign,
                ChatsView,
                ChatsManage,
                ChannelsView,
                ChannelsManage,
            ]),
            Component::Retention => {
                PermissionSet::of(&[ContactsErase, MessagesDelete, PrivacyManage, EventsManage, PlatformOperate])
            }
            Component::Migration | Component::Host => PermissionSet::ALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Permission::*;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_list_is_closed() {
        let project = Permission::ALL.iter().filter(|p| !p.is_platform() && **p != Authenticated).count();
        assert_eq!((project, PermissionSet::PLATFORM.len(), Permission::ALL.len()), (64, 5, 70));
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.as_str()).unwrap(), *permission);
        }
        assert_eq!(Permission::parse("contacts.fly").unwrap_err().code(), ErrorCode::PermissionUnknown);
    }

    #[test]
    fn aliases_are_stored_under_the_new_name() {
        let set: PermissionSet = serde_json::from_value(json!(["settings.manage", "reassign_sessions"])).unwrap();
        assert_eq!(serde_json::to_value(set).unwrap(), json!(["project.manage", "sessions.assign"]));
    }

    #[test]
    fn an_unknown_permission_names_its_place() {
        let error = crate::kernel::input::parse::<PermissionSet>(br#"["contacts.view", "contacts.fly"]"#).unwrap_err();
        assert_eq!((error.code(), error.field()), (ErrorCode::PermissionUnknown, Some("[1]")));
    }

    #[test]
    fn roles_hold_what_the_matrix_says() {
        let holds = |role: MemberRole, permission| role.permissions().contains(permission);
        assert!(holds(MemberRole::Supervisor, CampaignsManage) && holds(MemberRole::Supervisor, ProjectView));
        assert!(!holds(MemberRole::Supervisor, MembersManage) && !holds(MemberRole::Supervisor, ChannelsManage));
        assert!(holds(MemberRole::Agent, MessagesSend));
        for permission in [ContactsExport, AnalyticsView, ProjectView, ContactsDelete, SessionsViewAll] {
            assert!(!holds(MemberRole::Agent, permission), "{permission}");
        }
        assert!(holds(MemberRole::Viewer, AnalyticsView));
        assert!(!holds(MemberRole::Viewer, MessagesSend) && !holds(MemberRole::Viewer, ContactsManage));
        assert!(!holds(MemberRole::Admin, BillingView) && !holds(MemberRole::Admin, CredentialsUse));
        assert_eq!(MemberRole::Admin.permissions().len(), 59);
    }

    #[test]
    fn owner_permissions_are_not_granted_but_billing_view() {
        assert_eq!(
            PermissionSet::OWNER,
            PermissionSet::of(&[ProjectDelete, ProjectTransfer, BillingView, BillingManage])
        );
        assert!(BillingView.is_grantable_to_member() && !ProjectDelete.is_grantable_to_member());
        assert!(CredentialsUse.is_grantable_to_member() && !UsersManage.is_grantable_to_member());
        assert!(!BillingView.is_grantable_to_agent() && SessionsAssign.is_grantable_to_agent());
    }

    #[test]
    fn presets_stay_below_the_never_list() {
        for preset in AgentPreset::ALL {
            assert!(preset.permissions().intersection(PermissionSet::NEVER_FOR_AGENTS).is_empty(), "{preset}");
        }
        assert!(AgentPreset::AnalyticsBot.permissions().contains(AnalyticsExport));
        assert!(!AgentPreset::AnalyticsBot.permissions().contains(SessionsViewAll));
        assert_eq!(AgentPreset::SummarizerBot.permissions().len(), 3);
    }

    #[test]
    fn components_hold_a_fixed_set() {
        assert!(!Component::Broadcast.permissions().contains(MembersManage));
        assert!(Component::Channel.permissions().contains(CredentialsUse));
        assert!(!Component::Import.permissions().contains(ContactsErase));
        assert!(!Component::Import.permissions().contains(ContactsExport));
        assert!(Component::Trigger.permissions().is_subset(MemberRole::Supervisor.permissions()));
        assert_eq!(Component::Host.permissions(), PermissionSet::ALL);
    }

    #[test]
    fn readonly_caps_to_views() {
        let capped = PlatformRole::Readonly.cap(MemberRole::Admin.permissions());
        assert!(capped.contains(ContactsView) && capped.contains(SessionsViewAll) && !capped.contains(ContactsManage));
        assert_eq!(PlatformRole::User.cap(MemberRole::Admin.permissions()), MemberRole::Admin.permissions());
    }
}
