//! Every error code of the product, in one table: code, kind and the sentence a developer reads.
//!
//! A code is unique and stable; its sentence may change. [`Error`](super::Error) adds the field and the particulars.

use super::ErrorKind;

macro_rules! codes {
    ($($variant:ident $code:literal $kind:ident $message:literal;)*) => {
        /// A stable, documented error code. The wire form is its `snake_case` text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode { $($variant,)* }

        impl ErrorCode {
            /// All codes, in the order of this file.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The wire form, for example `email_invalid`.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code,)* }
            }

            /// The kind that drives handling.
            pub const fn kind(self) -> ErrorKind {
                match self { $(ErrorCode::$variant => ErrorKind::$kind,)* }
            }

            /// The sentence for people who read logs.
            pub const fn message(self) -> &'static str {
                match self { $(ErrorCode::$variant => $message,)* }
            }
        }
    };
}

codes! {
    // kernel
    ActorSuspended "actor_suspended" Forbidden "The acting user is not active.";
    CannotChangeSelf "cannot_change_self" Forbidden "Nobody changes their own role, rights or status.";
    ColorChannelOutOfRange "color_channel_out_of_range" Validation "A color channel is a number from 0 to 255.";
    ColorInvalid "color_invalid" Validation "A color is six hex digits, or three: #FF6600 or #f60.";
    ColorRequired "color_required" Validation "A color is required.";
    ConfirmationMismatch "confirmation_mismatch" Validation "The confirmation is not the text that was asked for.";
    CorruptData "corrupt_data" CorruptData "A stored row cannot be read.";
    CurrencyInvalid "currency_invalid" Validation "A currency is an active ISO 4217 code such as USD.";
    CurrencyMismatch "currency_mismatch" Validation "The amounts are of different currencies.";
    CursorInvalid "cursor_invalid" Validation "The cursor is damaged or of another format; start again without it.";
    CursorMismatch "cursor_mismatch" Validation "The cursor belongs to another filter or sort.";
    CustomFieldFixed "custom_field_fixed" Validation "The definition of this custom field is fixed; it cannot be removed.";
    CustomFieldKeyInvalid "custom_field_key_invalid" Validation "A custom field key is 1 to 63 of a-z, 0-9 and _, beginning with a letter.";
    CustomFieldKeyRequired "custom_field_key_required" Validation "A custom field needs a key.";
    CustomFieldLimit "custom_field_limit" LimitExceeded "There are too many custom fields.";
    CustomFieldNotFound "custom_field_not_found" NotFound "There is no such custom field.";
    CustomFieldReadOnly "custom_field_read_only" Validation "This custom field is read-only.";
    CustomFieldRequired "custom_field_required" Validation "This custom field is required.";
    CustomFieldSystem "custom_field_system" Validation "This custom field is written by the system only.";
    CustomFieldTypeInvalid "custom_field_type_invalid" Validation "There is no such custom field type.";
    CustomFieldTypeMismatch "custom_field_type_mismatch" Validation "The custom field has another type, and a type never changes.";
    CustomFieldUndefined "custom_field_undefined" Validation "The project is strict about custom fields, and this one is not defined.";
    CustomFieldValueInvalid "custom_field_value_invalid" Validation "The value does not fit the custom field's type.";
    EmailInvalid "email_invalid" Validation "This is not an e-mail address.";
    EmailRequired "email_required" Validation "An e-mail address is required.";
    EmailTooLong "email_too_long" Validation "An e-mail address has at most 254 bytes.";
    EnumUnknown "enum_unknown" Validation "The value is none of the allowed ones.";
    ExportLimit "export_limit" LimitExceeded "The export is too large.";
    External "external" External "A provider answered with an error.";
    FieldRequired "field_required" Validation "The field is required.";
    FilterFieldUnknown "filter_field_unknown" Validation "There is no such field to filter by.";
    FilterOpUnsupported "filter_op_unsupported" Validation "The operator does not suit the field.";
    IdInvalid "id_invalid" Validation "An id is a UUID, hyphenated or of 32 hex digits.";
    IdNil "id_nil" Validation "The all-zero id stands for nothing.";
    IdempotencyKeyReused "idempotency_key_reused" Conflict "The idempotency key was used for another command.";
    Internal "internal" Internal "A defect of Ventros; please report it.";
    InvalidState "invalid_state" InvalidState "The command is not allowed in the present state.";
    JsonKeyInvalid "json_key_invalid" Validation "A key has 1 to 64 characters: letters, digits, '_', '.' and '-'.";
    JsonNotObject "json_not_object" Validation "The value must be a JSON object.";
    JsonTooDeep "json_too_deep" Validation "The JSON value is nested too deeply.";
    JsonTooLarge "json_too_large" Validation "The JSON value is too large.";
    LanguageInvalid "language_invalid" Validation "A language is a BCP 47 tag such as pt-BR.";
    LimitOutOfRange "limit_out_of_range" Validation "The page limit is out of range.";
    MimeInvalid "mime_invalid" Validation "A media type is type/subtype, such as image/png.";
    MimeRequired "mime_required" Validation "A media type is required.";
    MimeUnsupported "mime_unsupported" Validation "The media type is not in the registry.";
    MoneyNegative "money_negative" Validation "An amount of money is never below zero.";
    MoneyOverflow "money_overflow" Validation "The amount of money is too large.";
    MoneyPrecision "money_precision" Validation "The amount has more decimals than its currency.";
    NameRequired "name_required" Validation "A name is required.";
    NameTooLong "name_too_long" Validation "The name is too long.";
    NameTooShort "name_too_short" Validation "The name is too short.";
    NotAMember "not_a_member" Forbidden "The actor is not a member of the project.";
    PayloadTooLarge "payload_too_large" LimitExceeded "The payload is too large.";
    PeriodInvalid "period_invalid" Validation "The period ends before it begins.";
    PermissionDenied "permission_denied" Forbidden "The actor lacks the permission.";
    PermissionUnknown "permission_unknown" Validation "There is no such permission.";
    PhoneInvalid "phone_invalid" Validation "This is not a valid telephone number.";
    PhoneRegionRequired "phone_region_required" Validation "A national telephone number needs a region.";
    RateLimited "rate_limited" LimitExceeded "There were too many calls; try again later.";
    ReasonRequired "reason_required" Validation "A reason is required.";
    RegionInvalid "region_invalid" Validation "A region is an ISO 3166-1 code such as BR.";
    ReservedId "reserved_id" Validation "This id is reserved for a system agent.";
    RlsNotEffective "rls_not_effective" InvalidState "The role of the connection is above row security.";
    SessionTimeoutOutOfRange "session_timeout_out_of_range" Validation "The session timeout is out of range.";
    SortFieldUnknown "sort_field_unknown" Validation "There is no such field to sort by.";
    TagInvalid "tag_invalid" Validation "A tag has 1 to 50 characters and no comma.";
    TagLimit "tag_limit" LimitExceeded "There are too many tags.";
    TextControlChar "text_control_char" Validation "The text has a control character.";
    Timeout "timeout" Timeout "The call took too long.";
    TimestampInFuture "timestamp_in_future" Validation "The instant lies more than five minutes ahead.";
    TimezoneInvalid "timezone_invalid" Validation "A time zone is an IANA name such as America/Sao_Paulo.";
    Unauthenticated "unauthenticated" Unauthenticated "Nobody proved who is calling.";
    Unavailable "unavailable" Unavailable "The store or the network does not answer; a later try may succeed.";
    UnknownField "unknown_field" Validation "There is no such field.";
    UrlCredentials "url_credentials" Validation "A web address must not carry a user name or password.";
    UrlInvalid "url_invalid" Validation "This is not a web address.";
    UrlNotPublic "url_not_public" Validation "The web address does not lead into the public net.";
    UrlSchemeUnsupported "url_scheme_unsupported" Validation "A web address begins with http:// or https://.";
    VersionConflict "version_conflict" Conflict "Somebody else changed it in the meantime.";
    // contact_event
    ContactEventNotFound "contact_event_not_found" NotFound "There is no such entry in a timeline.";
    EntryIsProjected "entry_is_projected" InvalidState "The entry follows from the log and cannot be changed.";
    EventTypeInvalid "event_type_invalid" Validation "A type of entries is 1 to 100 of a-z, 0-9 and _, beginning with a letter.";
    EventTypeRequired "event_type_required" Validation "An entry needs a type.";
    EventTypeReserved "event_type_reserved" Validation "Entries of this type follow from the log alone.";
    ExpiresAtInPast "expires_at_in_past" Validation "An entry cannot expire before it exists.";
    NotVisibleToClient "not_visible_to_client" InvalidState "The contact does not see this entry.";
    // event_log
    CommitTooLarge "commit_too_large" LimitExceeded "One commit would record more events than it may.";
    ConsumerBehind "consumer_behind" InvalidState "A consumer has yet to hear, or may yet try again, events that would go.";
    EventIdConflict "event_id_conflict" Conflict "An event of this id is in the log already.";
    RedactionInProgress "redaction_in_progress" Conflict "Personal data of this person is being taken out already.";
    EventNotFound "event_not_found" NotFound "The log of this project has no such event.";
    EventSchemaViolation "event_schema_violation" Validation "Event schema violation.";
    EventTooLarge "event_too_large" LimitExceeded "The data of the event are larger than they may be.";
    EventTypeUnknown "event_type_unknown" Validation "There is no such type of event; those of the host begin with `custom.`.";
    LogStateMismatch "log_state_mismatch" Internal "A stored state is not what its events say.";
    RetentionLocked "retention_locked" InvalidState "The retention of the project still keeps these events.";
    StreamTooShort "stream_too_short" InvalidState "Stream too short.";
    UnknownEventVersion "unknown_event_version" InvalidState "A newer version of the library wrote this; this one reads it and leaves it as it is.";
    // outbox
    BuiltinProtected "builtin_protected" InvalidState "The library's own consumers are not changed like this.";
    ConsumerExists "consumer_exists" Conflict "The project has a consumer of this name already.";
    ConsumerNotFound "consumer_not_found" NotFound "The project has no consumer of this name.";
    DeadLetterNotFound "dead_letter_not_found" NotFound "The consumer has not given up on such an event.";
    JobBacklogFull "job_backlog_full" LimitExceeded "Too many jobs of this kind are due and not done yet.";
    JobExists "job_exists" Conflict "An open job has this unique key already.";
    JobKindUnknown "job_kind_unknown" Validation "There is no such kind of job; those of the host begin with `host.`.";
    JobNotFound "job_not_found" NotFound "The project has no such job.";
    SagaKeyReused "saga_key_reused" Conflict "A saga of this kind and key is under way, with another input.";
    SagaKindUnknown "saga_kind_unknown" Validation "This process knows no such kind of saga.";
    SagaLimit "saga_limit" LimitExceeded "There are too many unfinished sagas of this kind, or signals of this saga.";
    SagaMigrationMissing "saga_migration_missing" InvalidState "The version of the definition that it was started with was taken out.";
    SagaNotFound "saga_not_found" NotFound "The project has no such saga.";
    SagaPastPivot "saga_past_pivot" InvalidState "The step after which there is no way back has succeeded.";
    SagaSignalUnknown "saga_signal_unknown" Validation "No step of the saga waits for this signal.";
    ScheduleInvalid "schedule_invalid" Validation "The schedule cannot be kept to.";
    ScheduleNeverFires "schedule_never_fires" Validation "The schedule has no time within the next five years.";
    ScheduleNotFound "schedule_not_found" NotFound "The project has no such schedule.";
    LeaseLost "lease_lost" Conflict "It was cancelled or given to somebody else meanwhile.";
    SeqPruned "seq_pruned" InvalidState "Events from there on were removed; the log is complete from `first_seq` on.";
    // user
    ApiKeyExpired "api_key_expired" Unauthenticated "The key has expired.";
    ApiKeyExpiryInvalid "api_key_expiry_invalid" Validation "Api key expiry invalid.";
    ApiKeyInvalid "api_key_invalid" Unauthenticated "The key is not known.";
    ApiKeyLimit "api_key_limit" LimitExceeded "The user has as many keys as possible.";
    ApiKeyNotFound "api_key_not_found" NotFound "The user has no such key.";
    EmailMismatch "email_mismatch" Validation "Email mismatch.";
    IdentityLimit "identity_limit" LimitExceeded "The user has as many identities as possible.";
    IdentityNotFound "identity_not_found" NotFound "The user has no such identity.";
    IdentityTaken "identity_taken" Conflict "Another user has this identity.";
    LastLoginMethod "last_login_method" InvalidState "Without it the user could not log in any more.";
    LastPlatformAdmin "last_platform_admin" InvalidState "There must be one platform administrator at least.";
    LoginInvalid "login_invalid" Unauthenticated "The address or the password is wrong.";
    PasswordWeak "password_weak" Validation "The password is too easy to guess.";
    UserEmailTaken "user_email_taken" Conflict "Another user has this address.";
    UserNotDeleted "user_not_deleted" InvalidState "Only deleted users can be restored.";
    UserNotFound "user_not_found" NotFound "There is no such user.";
    UserOwnsBillingAccounts "user_owns_billing_accounts" InvalidState "User owns billing accounts.";
    UserOwnsProjects "user_owns_projects" InvalidState "The user owns projects; give them to somebody else first.";
    // project
    AgentAlreadyInAssignment "agent_already_in_assignment" Conflict "Agent already in assignment.";
    AgentNotAssignable "agent_not_assignable" Validation "Agent not assignable.";
    AgentNotInAssignment "agent_not_in_assignment" NotFound "Agent not in assignment.";
    AssignmentAgentsRequired "assignment_agents_required" Validation "Assignment agents required.";
    AssignmentNotEnabled "assignment_not_enabled" InvalidState "Assignment not enabled.";
    BillingAccountNotActive "billing_account_not_active" InvalidState "Billing account not active.";
    BillingAccountRequired "billing_account_required" Validation "Billing account required.";
    BusinessHoursInvalid "business_hours_invalid" Validation "Business hours invalid.";
    CustomFieldDefinitionLimit "custom_field_definition_limit" LimitExceeded "Custom field definition limit.";
    CustomFieldExists "custom_field_exists" Conflict "There is a field of this key already.";
    CustomFieldOptionsRequired "custom_field_options_required" Validation "Custom field options required.";
    CustomFieldTypeImmutable "custom_field_type_immutable" InvalidState "Custom field type immutable.";
    NoEligibleAgent "no_eligible_agent" NotFound "No eligible agent.";
    OwnerMustBeAdminMember "owner_must_be_admin_member" InvalidState "The owner must be an administrator of the project.";
    ProjectInactive "project_inactive" InvalidState "The project is not active.";
    ProjectNotFound "project_not_found" NotFound "There is no such project.";
    ProjectSlugTaken "project_slug_taken" Conflict "Another project has this slug.";
    ProjectSuspended "project_suspended" InvalidState "The project is suspended.";
    PurgeTooEarly "purge_too_early" InvalidState "The project can be purged once `purge_after` has passed.";
    PurgeWindowPassed "purge_window_passed" InvalidState "The time to take back the deletion has passed.";
    ReassignmentRuleLimit "reassignment_rule_limit" LimitExceeded "Reassignment rule limit.";
    ReassignmentTimeoutInvalid "reassignment_timeout_invalid" Validation "Reassignment timeout invalid.";
    RetentionOutOfRange "retention_out_of_range" Validation "Retention is given in days, 30 to 3,650.";
    SlugInvalid "slug_invalid" Validation "Slug invalid.";
    VirtualAgentsCannotAttend "virtual_agents_cannot_attend" Validation "Virtual agents cannot attend.";
    // project_member
    AccessExpiryInPast "access_expiry_in_past" Validation "Access expiry in past.";
    CannotGrantUnheld "cannot_grant_unheld" Forbidden "Cannot grant unheld.";
    InvitationAlreadyOpen "invitation_already_open" Conflict "There is an open invitation for this address.";
    InvitationEmailMismatch "invitation_email_mismatch" Forbidden "Invitation email mismatch.";
    InvitationExpired "invitation_expired" InvalidState "The invitation has expired.";
    InvitationNotFound "invitation_not_found" NotFound "There is no such invitation.";
    InvitationResendLimit "invitation_resend_limit" LimitExceeded "Invitation resend limit.";
    InvitationTtlOutOfRange "invitation_ttl_out_of_range" Validation "Invitation ttl out of range.";
    LastAdmin "last_admin" InvalidState "A project must have one administrator at least.";
    MemberAlreadyExists "member_already_exists" Conflict "The user is a member already.";
    MemberNotFound "member_not_found" NotFound "The project has no such member.";
    OwnerMembershipProtected "owner_membership_protected" InvalidState "Owner membership protected.";
    PermissionNotGrantable "permission_not_grantable" Forbidden "Permission not grantable.";
    PermissionOverlap "permission_overlap" Validation "Permission overlap.";
    // channel_type
    ChannelTypeNotFound "channel_type_not_found" NotFound "There is no such channel type.";
    ChannelTypeCodeTaken "channel_type_code_taken" Conflict "Another channel type has this code or alias.";
    ChannelTypeLegacyIdTaken "channel_type_legacy_id_taken" Conflict "Another channel type has this legacy id.";
    ChannelTypeAlreadyActive "channel_type_already_active" Conflict "The channel type is active already.";
    ChannelTypeAlreadyInactive "channel_type_already_inactive" Conflict "The channel type is inactive already.";
    ChannelTypeBuiltIn "channel_type_built_in" InvalidState "A built-in channel type cannot be deleted.";
    ChannelTypeInUse "channel_type_in_use" InvalidState "Channels, perhaps deleted ones, are of this type.";
    ChannelTypeCodeInvalid "channel_type_code_invalid" Validation "A channel type code has 2 to 50 of a-z, 0-9 and _, and starts with a letter.";
    ChannelTypeLegacyIdInvalid "channel_type_legacy_id_invalid" Validation "A legacy id is greater than 0.";
    ConfigSchemaInvalid "config_schema_invalid" Validation "The configuration schema contradicts itself.";
    ConnectionModeInvalid "connection_mode_invalid" Validation "A channel type has at least one mode, and its default mode is one of them.";
    CapabilitiesInvalid "capabilities_invalid" Validation "These capabilities contradict each other or the modes.";
    ConfigFieldMissing "config_field_missing" Validation "This field of the configuration is required.";
    ConfigFieldUnknown "config_field_unknown" Validation "Channels of this type have no such configuration field.";
    ConfigFieldInvalid "config_field_invalid" Validation "This value does not fit its configuration field.";
    ConfigFieldSecret "config_field_secret" Validation "Settings of a channel type hold no secrets.";
    // channel
    ChannelNotFound "channel_not_found" NotFound "There is no such channel.";
    ChannelLabelNotFound "channel_label_not_found" NotFound "The channel has no such label.";
    ChannelNameTaken "channel_name_taken" Conflict "Another channel of the project has this name.";
    ChannelExternalIdTaken "channel_external_id_taken" Conflict "Another channel of this type has this external id.";
    ChannelAlreadyActive "channel_already_active" Conflict "The channel is active already.";
    ChannelAlreadyActivating "channel_already_activating" Conflict "The channel is being switched on already.";
    ChannelAlreadyInactive "channel_already_inactive" Conflict "The channel is off already.";
    ChannelNotActive "channel_not_active" InvalidState "The channel is not active.";
    ChannelTypeInactive "channel_type_inactive" InvalidState "No new channels of this type can be made.";
    HistoryImportNotEnabled "history_import_not_enabled" InvalidState "History import is not enabled for this channel.";
    QrNotAvailable "qr_not_available" InvalidState "There is no pairing code now.";
    ConnectionModeUnsupported "connection_mode_unsupported" Validation "Channels of this type do not have this mode.";
    ChannelDebounceOutOfRange "channel_debounce_out_of_range" Validation "The waiting time is 0 to 300000 milliseconds.";
    AiRequired "ai_required" Validation "AI agents may answer only where AI is enabled.";
    AiProcessingInvalid "ai_processing_invalid" Validation "This AI processing setting is not valid.";
    LabelsNotSupported "labels_not_supported" Validation "Channels of this type have no labels.";
    ChannelLabelInvalid "channel_label_invalid" Validation "This is not a valid label.";
    GroupsNotSupported "groups_not_supported" Validation "Channels of this type have no groups.";
    NewslettersNotSupported "newsletters_not_supported" Validation "Channels of this type have no newsletters.";
    ImportLimitInvalid "import_limit_invalid" Validation "A limit of an import is greater than 0.";
    QrNotSupported "qr_not_supported" Validation "Channels of this type are not paired with a code.";
    ChannelLabelLimit "channel_label_limit" LimitExceeded "A channel has at most 500 labels.";
    // gateway_port
    GatewayNotRegistered "gateway_not_registered" InvalidState "No adapter is registered for this type of channel.";
    CapabilityMissing "capability_missing" Validation "The channel cannot do this.";
    // inbound
    InboundItemInvalid "inbound_item_invalid" Validation "Inbound item invalid.";
    TimeRangeDaysRequired "time_range_days_required" Validation "An import by time range says how many days.";
    InboundItemNotFound "inbound_item_not_found" NotFound "The project has no such item in its inbox.";
    ImportJobNotFound "import_job_not_found" NotFound "The project has no such import.";
    ImportRunning "import_running" Conflict "An import of this channel is running.";
    ImportNotSupported "import_not_supported" InvalidState "Channels of this type have no history to import.";
    ImportNotRunning "import_not_running" InvalidState "The import is not under way.";
    // contact
    ContactNameRequired "contact_name_required" Validation "A contact needs a name.";
    ContactNameInvalid "contact_name_invalid" Validation "A contact's name has at most 255 characters and no control characters.";
    WhatsappIdInvalid "whatsapp_id_invalid" Validation "A WhatsApp id is 1 to 20 digits, with or without its domain.";
    WhatsappGroupId "whatsapp_group_id" Validation "This is the id of a WhatsApp group, not of a person.";
    IdentifierRequired "identifier_required" Validation "At least one id is needed.";
    CustomFieldReserved "custom_field_reserved" Validation "This custom field is reserved; WhatsApp ids belong into `whatsapp`.";
    AddressInvalid "address_invalid" Validation "The address is not valid.";
    BirthdayInvalid "birthday_invalid" Validation "A birthday is a past day, written 1990-05-17 or, without the year, --05-17.";
    ScoreOutOfRange "score_out_of_range" Validation "A score is 0 to 100.";
    ConsentSourceRequired "consent_source_required" Validation "Whoever opted out comes back only by an opt-in with a source.";
    MergeSelf "merge_self" Validation "Merge self.";
    MergeTooMany "merge_too_many" Validation "Merge too many.";
    MergeDuplicateId "merge_duplicate_id" Validation "Merge duplicate id.";
    ImportHeaderMissing "import_header_missing" Validation "Import header missing.";
    ImportFormatInvalid "import_format_invalid" Validation "Import format invalid.";
    ImportTooManyErrors "import_too_many_errors" Validation "Import too many errors.";
    ContactNotFound "contact_not_found" NotFound "There is no such contact.";
    IdentifierNotFound "identifier_not_found" NotFound "The contact has no such identifier.";
    IdentifierTaken "identifier_taken" Conflict "Another contact has this identifier already.";
    AmbiguousMatch "ambiguous_match" Conflict "The given ids belong to different contacts.";
    UnmergeIdentifierTaken "unmerge_identifier_taken" Conflict "Unmerge identifier taken.";
    ContactNotActive "contact_not_active" InvalidState "The contact is deleted, merged or erased.";
    ContactDeleted "contact_deleted" InvalidState "The contact is deleted already.";
    ContactMerged "contact_merged" InvalidState "The contact was merged into another one.";
    ContactErased "contact_erased" InvalidState "The contact was erased for good.";
    UnmergeWindowClosed "unmerge_window_closed" InvalidState "Unmerge window closed.";
    UnmergeSurvivorNotActive "unmerge_survivor_not_active" InvalidState "Unmerge survivor not active.";
    IdentifierLimit "identifier_limit" LimitExceeded "A contact has at most 20 identifiers beside its primary ones.";
    AddressLimit "address_limit" LimitExceeded "A contact has at most 10 addresses.";
    // message
    MessageAgentRequired "message_agent_required" Validation "A message of ours needs an agent.";
    TextRequired "text_required" Validation "A text is required.";
    TextTooLong "text_too_long" Validation "The text is too long.";
    MediaRequired "media_required" Validation "The content needs a file: an address or a stored copy.";
    MediaUrlInsecure "media_url_insecure" Validation "The file must lie behind https.";
    LocationRequired "location_required" Validation "The content needs coordinates.";
    CoordinatesOutOfRange "coordinates_out_of_range" Validation "Latitude is -90 to 90, longitude -180 to 180.";
    ContactCardRequired "contact_card_required" Validation "The content needs at least one card.";
    VcardInvalid "vcard_invalid" Validation "The card is no vCard with a name.";
    TemplateRequired "template_required" Validation "The content needs the id or the name of a template.";
    TemplateVariableInvalid "template_variable_invalid" Validation "A variable of the template has a name or a value that is not allowed.";
    ContentNotAllowed "content_not_allowed" Validation "This cannot be part of such a content.";
    ContentTypeNotSupported "content_type_not_supported" Validation "The channel cannot send such a content.";
    ReplyTargetMismatch "reply_target_mismatch" Validation "The quoted message is not in this chat.";
    MessageContactMismatch "message_contact_mismatch" Validation "The chat belongs to another contact or channel.";
    ScheduleInPast "schedule_in_past" Validation "The planned time is over.";
    ExpiryInvalid "expiry_invalid" Validation "The message would expire before it can go out.";
    EmojiInvalid "emoji_invalid" Validation "An emoji has at most 32 bytes and no control characters.";
    MessageNotFound "message_not_found" NotFound "There is no such message.";
    ChannelMessageIdTaken "channel_message_id_taken" Conflict "Another message of the channel has this id.";
    ClientTokenReused "client_token_reused" Conflict "The client token was used for another message.";
    ReplyWindowClosed "reply_window_closed" InvalidState "The contact wrote too long ago; only a template can be sent.";
    EditWindowClosed "edit_window_closed" InvalidState "It is too late to edit the message.";
    RevokeWindowClosed "revoke_window_closed" InvalidState "It is too late to take the message back.";
    MessageNotEditable "message_not_editable" InvalidState "The message cannot be edited.";
    MessageNotForwardable "message_not_forwardable" InvalidState "The message cannot be forwarded.";
    RecipientUnreachable "recipient_unreachable" InvalidState "The channel has no way to the contact: an id or a phone is missing.";
    RejectedByPolicy "rejected_by_policy" Forbidden "The host's policy refuses the message.";
    // session
    SessionContactRequired "session_contact_required" Validation "A direct session needs a contact.";
    AgentCannotAttend "agent_cannot_attend" Validation "This agent does not attend sessions.";
    SessionContactMismatch "session_contact_mismatch" Validation "The session belongs to another contact.";
    TimeoutOutOfRange "timeout_out_of_range" Validation "A session lives through 60 to 86400 seconds of silence.";
    ExtensionInPast "extension_in_past" Validation "A session is extended to a moment in the future.";
    ExtensionTooLong "extension_too_long" Validation "A session is extended by at most 7 days.";
    SentimentScoreOutOfRange "sentiment_score_out_of_range" Validation "A sentiment score lies between 0 and 1.";
    EscalationLevelInvalid "escalation_level_invalid" Validation "An escalation has a level of 1 to 5.";
    SessionNotFound "session_not_found" NotFound "There is no such session.";
    ActiveSessionExists "active_session_exists" Conflict "The chat, or the contact on this channel, has an active session already.";
    SessionNotActive "session_not_active" InvalidState "The session has ended.";
    SessionActive "session_active" InvalidState "The session is still active.";
    NewerSessionExists "newer_session_exists" InvalidState "A newer session of the chat exists, so this one cannot be reopened.";
    SessionNotEscalated "session_not_escalated" InvalidState "The session is not escalated.";
    SummaryNotApplicable "summary_not_applicable" InvalidState "Only an ended session of at least 3 messages is summarised.";
    OutcomeTagLimit "outcome_tag_limit" LimitExceeded "A session has at most 20 outcome tags.";
    // chat
    ChatContactRequired "chat_contact_required" Validation "Chat contact required.";
    IndividualContactLimit "individual_contact_limit" Validation "Individual contact limit.";
    ChatSubjectRequired "chat_subject_required" Validation "Chat subject required.";
    ChatSubjectTooLong "chat_subject_too_long" Validation "Chat subject too long.";
    ChatCreatorRequired "chat_creator_required" Validation "Chat creator required.";
    IndividualHasNoSubject "individual_has_no_subject" Validation "Individual has no subject.";
    ChatLabelInvalid "chat_label_invalid" Validation "Chat label invalid.";
    MuteInPast "mute_in_past" Validation "Mute in past.";
    ChatNotFound "chat_not_found" NotFound "The project has no such chat.";
    ParticipantNotFound "participant_not_found" NotFound "The chat has no such participant.";
    ChatLabelNotFound "chat_label_not_found" NotFound "Chat label not found.";
    ParticipantExists "participant_exists" Conflict "The chat has this participant already.";
    ChatExternalIdTaken "chat_external_id_taken" Conflict "Another chat of the channel has this id.";
    ChatClosed "chat_closed" InvalidState "The chat is closed.";
    CannotRemoveContact "cannot_remove_contact" InvalidState "Cannot remove contact.";
    NotAGroup "not_a_group" InvalidState "Not a group.";
    ChatLastAdmin "chat_last_admin" InvalidState "Chat last admin.";
    ChannelMembershipUntracked "channel_membership_untracked" InvalidState "Channel membership untracked.";
    ChatExternalIdImmutable "chat_external_id_immutable" InvalidState "Chat external id immutable.";
    ChatParticipantLimit "chat_participant_limit" LimitExceeded "Chat participant limit.";
    ChatLabelLimit "chat_label_limit" LimitExceeded "Chat label limit.";
    // contact_list
    FilterValueRequired "filter_value_required" Validation "Filter value required.";
    FilterValueNotAllowed "filter_value_not_allowed" Validation "Filter value not allowed.";
    FilterValueNotList "filter_value_not_list" Validation "Filter value not list.";
    FilterValueMismatch "filter_value_mismatch" Validation "Filter value mismatch.";
    ContactListNotFound "contact_list_not_found" NotFound "Contact list not found.";
    RuleNotFound "rule_not_found" NotFound "Rule not found.";
    FilterTooDeep "filter_too_deep" LimitExceeded "Filter too deep.";
    FilterTooLarge "filter_too_large" LimitExceeded "Filter too large.";
    // pipeline
    PipelineNotFound "pipeline_not_found" NotFound "Pipeline not found.";
    StatusNotFound "status_not_found" NotFound "Status not found.";
    // agent
    AgentNotFound "agent_not_found" NotFound "The project has no such agent.";
    // credential
    CredentialNotFound "credential_not_found" NotFound "The project has no such credential.";
    EncryptionNotConfigured "encryption_not_configured" InvalidState "No encryption key was given, so secrets can be neither kept nor shown.";
    EncryptionKeyNotFound "encryption_key_not_found" NotFound "A secret is sealed under an encryption key that was not given.";
    KeyLengthInvalid "key_length_invalid" Validation "An encryption key has exactly 32 bytes.";
    SecretEmpty "secret_empty" Validation "A secret is not empty.";
    SecretTooLarge "secret_too_large" Validation "A secret has at most 16384 bytes.";
    SecretTampered "secret_tampered" CorruptData "A sealed secret was changed, moved to another place, or sealed under another key.";
    CredentialExpired "credential_expired" InvalidState "The time of the credential is over.";
    CredentialExpiryInPast "credential_expiry_in_past" Validation "A credential ends in the future.";
    CredentialInUse "credential_in_use" InvalidState "A channel that is on needs the credential.";
    CredentialInactive "credential_inactive" InvalidState "The credential is switched off.";
    CredentialLimit "credential_limit" LimitExceeded "A project has at most 200 credentials.";
    CredentialNameTaken "credential_name_taken" Conflict "Another credential of the project has this name.";
    CredentialNeedsReauth "credential_needs_reauth" InvalidState "Somebody has to authorise at the provider, perhaps again.";
    CredentialValueMalformed "credential_value_malformed" Validation "The value is not what credentials of this type have.";
    CredentialValueRequired "credential_value_required" Validation "The credential has no value, and needs one.";
    KeyInUse "key_in_use" InvalidState "Secrets are sealed under this key, or will be.";
    MetadataLooksSecret "metadata_looks_secret" Validation "Notes are shown to everybody who sees the credential; a secret belongs into its value.";
    NotAnOauthCredential "not_an_oauth_credential" InvalidState "Nobody grants tokens for credentials of this type.";
    OauthExpiresInInvalid "oauth_expires_in_invalid" Validation "A token lives for at least a second.";
    OauthNoRefreshToken "oauth_no_refresh_token" InvalidState "The provider gave no token to renew with.";
    OauthNotAuthorized "oauth_not_authorized" InvalidState "Nobody has granted any tokens yet.";
    RefreshInProgress "refresh_in_progress" Conflict "Somebody else is renewing the tokens.";
    SecretUnchanged "secret_unchanged" Validation "This is the value that the credential has already.";
    // webhook
    WebhookNotFound "webhook_not_found" NotFound "There is no such webhook.";
    WebhookDeliveryNotFound "webhook_delivery_not_found" NotFound "There is no such delivery.";
    WebhookNameTaken "webhook_name_taken" Conflict "Another webhook of the project has this name.";
    WebhookAlreadyActive "webhook_already_active" Conflict "The webhook is active already.";
    WebhookAlreadyInactive "webhook_already_inactive" Conflict "The webhook is inactive already.";
    WebhookInactive "webhook_inactive" InvalidState "The webhook is inactive; activate it first.";
    WebhookEventExpired "webhook_event_expired" InvalidState "The event of the delivery is no longer in the log.";
    WebhookEventsRequired "webhook_events_required" Validation "A webhook needs at least one type of event.";
    WebhookEventPatternInvalid "webhook_event_pattern_invalid" Validation "A pattern is a type, a prefix that ends with '.*', or '*'.";
    WebhookEventUnknown "webhook_event_unknown" Validation "There is no such type of event.";
    WebhookEventNotDeliverable "webhook_event_not_deliverable" Validation "Events of this type are not delivered.";
    WebhookContactFilterUnused "webhook_contact_filter_unused" Validation "A filter of timeline entries needs contact_events.";
    WebhookHeaderInvalid "webhook_header_invalid" Validation "A header's name has 1 to 64 letters, digits and '-', its value 1 to 1024 printable ASCII characters; there are at most 20.";
    WebhookHeaderReserved "webhook_header_reserved" Validation "This header belongs to the delivery itself.";
    WebhookRetryOutOfRange "webhook_retry_out_of_range" Validation "A delivery has 1 to 20 attempts.";
    WebhookTimeoutOutOfRange "webhook_timeout_out_of_range" Validation "A receiver has 1 to 30 seconds to answer.";
    WebhookRateOutOfRange "webhook_rate_out_of_range" Validation "A webhook delivers 1 to 100 events per second, 1 to 20 at a time.";
    WebhookSecretInvalid "webhook_secret_invalid" Validation "A signing key is whsec_ and 24 to 64 bytes in base64.";
    WebhookRangeInvalid "webhook_range_invalid" Validation "A range to replay ends after it begins and is at most 7 days long.";
    WebhookLimit "webhook_limit" LimitExceeded "A project has at most 50 webhooks.";
    WebhookPatternLimit "webhook_pattern_limit" LimitExceeded "There are too many patterns.";
    WebhookTestLimit "webhook_test_limit" LimitExceeded "A webhook is tested at most 10 times a minute.";
    WebhookReplayLimit "webhook_replay_limit" LimitExceeded "A replay has at most 100000 deliveries.";
    // security
    // engine and bindings
    HttpNotConfigured "http_not_configured" InvalidState "The installation was opened without a way to the outside.";
    StoreLocked "store_locked" Unavailable "Somebody else has held the store for too long; try again.";
    SchemaTooNew "schema_too_new" Unavailable "A newer version of the library has written this store.";
    CopyUnfinished "copy_unfinished" InvalidState "A copy into this store was interrupted. Run it again to its end, or take another store.";
    TargetNotEmpty "target_not_empty" InvalidState "A copy needs an empty target.";
    SourceChanged "source_changed" Conflict "The source was written to while it was copied. Run the copy again while nobody writes.";
    CopyMismatch "copy_mismatch" CorruptData "The target has not stored what was copied. Run the copy again.";
    Forked "forked" Internal "This process is a copy that must not use what its parent opened; open again.";
    Closed "closed" Unavailable "It was closed.";
    Cancelled "cancelled" Timeout "The call was given up.";
    InputInvalid "input_invalid" Validation "The input cannot be read.";
    ValueOutOfRange "value_out_of_range" Validation "The value is out of range.";
    OperationUnknown "operation_unknown" NotFound "There is no operation of this name.";
    Conflict "conflict" Conflict "Conflict.";
    BatchTooLarge "batch_too_large" LimitExceeded "There are more of them than one call takes.";
}
