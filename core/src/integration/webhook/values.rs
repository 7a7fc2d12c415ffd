//! Small values of webhooks and deliveries.

crate::text_enum! {
    /// Why a webhook is off.
    pub enum DisabledReason {
        /// A person switched it off.
        Manual = "manual",
        /// It failed for too long, or too often in a row.
        Failing = "failing",
        /// Its receiver said that it is gone for good (410).
        Gone = "gone",
    }
}

crate::text_enum! {
    /// What a delivery carries.
    pub enum BodyMode {
        /// The event with its data.
        Full = "full",
        /// The event without its data: the receiver reads the aggregate itself.
        Thin = "thin",
    }
}

crate::text_enum! {
    /// Why there is a delivery.
    pub enum DeliveryKind {
        /// An event of the log.
        Event = "event",
        /// Somebody tries the webhook out.
        Test = "test",
    }
}

crate::text_enum! {
    /// How far a delivery is.
    pub enum DeliveryStatus {
        /// Waits for its time or its turn.
        Pending = "pending",
        /// Somebody is bringing it.
        InFlight = "in_flight",
        /// The receiver took it.
        Succeeded = "succeeded",
        /// The receiver refused it for good.
        Failed = "failed",
        /// All attempts are used up.
        Exhausted = "exhausted",
        /// The webhook was switched off or deleted before.
        Cancelled = "cancelled",
    }
}

impl DeliveryStatus {
    /// Nothing more happens by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, DeliveryStatus::Pending | DeliveryStatus::InFlight)
    }
}

crate::text_enum! {
    /// What went wrong with an attempt.
    pub enum AttemptErrorKind {
        /// The address is not of the public net, and the host program does not allow it.
        BlockedAddress = "blocked_address",
        /// The name does not resolve.
        Dns = "dns",
        /// Nobody took the connection.
        Connect = "connect",
        /// The encrypted connection could not be made.
        Tls = "tls",
        /// No answer in time.
        Timeout = "timeout",
        /// The receiver pointed elsewhere, where nobody follows.
        Redirect = "redirect",
        /// The receiver answered with a failure.
        Status = "status",
        /// Whoever was bringing it vanished.
        Interrupted = "interrupted",
    }
}

crate::text_enum! {
    /// The category of an entry of a contact's timeline.
    pub enum TimelineCategory {
        General = "general",
        Status = "status",
        Pipeline = "pipeline",
        Assignment = "assignment",
        Tag = "tag",
        Note = "note",
        Session = "session",
        CustomField = "custom_field",
        System = "system",
        Notification = "notification",
        Tracking = "tracking",
    }
}
