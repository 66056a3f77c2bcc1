//! What operators are told of without looking, and whom that goes to.

use serde::{Deserialize, Serialize};

use super::{
    budget::Owner,
    id::{ChannelId, KeyId, NoticeTargetId},
    limit::{Metric, Window},
    secret::Secret,
    time::UnixMs,
    token::{QuotaUnit, named_enum},
    usage::OutcomeClass,
};

named_enum! {
    /// A kind of event. A new kind needs a variant here, its text in `notices/message.rs`, and somebody who notices it in
    /// `jobs/notices/`.
    EventKind {
        /// A provider refuses a key that it is meant to take.
        KeyInvalid = "key_invalid",
        /// A limit of a key, an account or a model is nearly used up.
        QuotaLow = "quota_low",
        /// What the whole pool can still do today is nearly used up.
        PoolLow = "pool_low",
        /// A channel takes no calls.
        ChannelDown = "channel_down",
        /// A channel of which that was told takes calls again.
        ChannelUp = "channel_up",
        /// An upstream lists models no more.
        ModelsVanished = "models_vanished",
        /// A chain has no step left that anybody serves.
        ChainEmpty = "chain_empty",
        /// A budget has reached a level that operators want to be warned of.
        BudgetWarned = "budget_warned",
        /// A budget is used up.
        BudgetReached = "budget_reached",
        /// A scheduled backup could not be made.
        BackupFailed = "backup_failed",
        /// An upstream lists models that it did not list before.
        ModelsAppeared = "models_appeared",
        /// An upstream says something else of models: a price, a window.
        ModelsChanged = "models_changed",
        /// What happened in a day or a week.
        Digest = "digest",
    }
}

named_enum! {
    /// How much an event matters, from the least.
    Severity {
        /// Good to know.
        Info = "info",
        /// Something needs a hand soon.
        Warning = "warning",
        /// Calls fail or are about to. Quiet hours do not hold it back.
        Critical = "critical",
    }
}

impl EventKind {
    /// How much events of this kind matter.
    pub fn severity(self) -> Severity {
        match self {
            Self::ChannelDown | Self::ChainEmpty | Self::BudgetReached | Self::BackupFailed => {
                Severity::Critical
            }
            Self::KeyInvalid | Self::QuotaLow | Self::PoolLow | Self::BudgetWarned | Self::ModelsVanished => {
                Severity::Warning
            }
            Self::ChannelUp | Self::ModelsAppeared | Self::ModelsChanged | Self::Digest => Severity::Info,
        }
    }
}

/// A channel, as an event names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its id.
    pub id: ChannelId,
    /// Its name at that time.
    pub name: String,
}

/// Something that happened. It is kept as JSON until it has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it was noticed.
    pub at: UnixMs,
    /// The channel that it happened at, if it was at one.
    pub channel: Option<Place>,
    /// What it was.
    pub what: Occurrence,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Occurrence {
    /// A list of models differs from the one before it.
    Models {
        /// How: one of the three kinds about models.
        kind: EventKind,
        /// Some of the models.
        names: Vec<String>,
        /// How many there are.
        count: usize,
        /// Whether there are more than were counted.
        more: bool,
    },
    /// A provider refuses a key.
    KeyInvalid {
        /// The key.
        key: KeyId,
        /// How pages show it: its label and its last four characters.
        shown: String,
    },
    /// A limit is nearly used up.
    QuotaLow {
        /// Whom it holds for: a key as pages show it, a quota group; empty for the whole channel.
        holder: String,
        /// The model that it holds for, if it is one.
        model: Option<String>,
        /// What is counted.
        metric: Metric,
        /// When it comes back.
        window: Window,
        /// How much is used.
        used: u64,
        /// How much is allowed.
        max: u64,
        /// When something comes back.
        resets_at: Option<UnixMs>,
    },
    /// Little is left of what the pool can do today.
    PoolLow {
        /// Calls that it can still serve.
        left: u64,
        /// Calls that it could serve in a day.
        of: u64,
    },
    /// A channel takes no calls.
    ChannelDown {
        /// What the last bad answer was taken for.
        class: Option<OutcomeClass>,
        /// How many of its keys rest: all.
        keys: usize,
        /// Since when it is known.
        since: UnixMs,
        /// When calls are tried again at the latest.
        until: Option<UnixMs>,
    },
    /// A channel takes calls again.
    ChannelUp {
        /// How long it did not, in milliseconds.
        lasted_ms: u64,
    },
    /// A chain has no step left that anybody serves.
    ChainEmpty {
        /// Its name.
        chain: String,
    },
    /// As much of a budget is used as operators want to be warned of, or all of it. Of a key the event has its channel.
    Budget {
        /// Whose.
        whose: Owner,
        /// The name of the token or channel; of a key its label or last characters.
        owner: String,
        /// The level that was reached, in percent; 100: nothing is left.
        level: u8,
        /// What is counted.
        unit: QuotaUnit,
        /// How much was spent, in micro-dollars, tokens or requests.
        used: i64,
        /// How much there is.
        limit: i64,
        /// When it starts anew, if it does.
        resets_at: Option<UnixMs>,
    },
    /// A scheduled backup could not be made.
    BackupFailed {
        /// Why.
        reason: String,
    },
    /// What happened in a day or a week.
    Digest(Box<Digest>),
}

/// What a digest tells of a period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// When the period began.
    pub from: UnixMs,
    /// When it ended.
    pub to: UnixMs,
    /// Its first and last day, such as `2026-11-20`, in the server's time zone.
    pub days: (String, String),
    /// Calls.
    pub requests: i64,
    /// Those that were answered completely.
    pub ok: i64,
    /// Prompt and completion tokens.
    pub total_tokens: u64,
    /// What they cost.
    pub cost_micros: i64,
    /// Whether some counts are estimates.
    pub estimated: bool,
    /// The models that were asked for most, with the number of calls.
    pub models: Vec<(String, i64)>,
    /// Keys that need a hand, as pages show them.
    pub keys: Vec<String>,
    /// How many more such keys there are.
    pub more_keys: usize,
}

impl Event {
    /// Its kind.
    pub fn kind(&self) -> EventKind {
        match &self.what {
            Occurrence::Models { kind, .. } => *kind,
            Occurrence::KeyInvalid { .. } => EventKind::KeyInvalid,
            Occurrence::QuotaLow { .. } => EventKind::QuotaLow,
            Occurrence::PoolLow { .. } => EventKind::PoolLow,
            Occurrence::ChannelDown { .. } => EventKind::ChannelDown,
            Occurrence::ChannelUp { .. } => EventKind::ChannelUp,
            Occurrence::ChainEmpty { .. } => EventKind::ChainEmpty,
            Occurrence::Budget { level: 100.., .. } => EventKind::BudgetReached,
            Occurrence::Budget { .. } => EventKind::BudgetWarned,
            Occurrence::BackupFailed { .. } => EventKind::BackupFailed,
            Occurrence::Digest(_) => EventKind::Digest,
        }
    }
}

named_enum! {
    /// The ways to reach people.
    Via {
        /// A POST of JSON to any address.
        Webhook = "webhook",
        /// A letter by SMTP.
        Email = "email",
        /// A bot of Telegram.
        Telegram = "telegram",
        /// The app Bark on an iPhone.
        Bark = "bark",
        /// ServerChan (Server酱), which writes to WeChat or to its own app.
        ServerChan = "serverchan",
        /// A group's robot in DingTalk (钉钉).
        DingTalk = "dingtalk",
        /// A group's robot in Feishu (飞书) or Lark.
        Feishu = "feishu",
        /// A group's robot in WeCom (企业微信).
        WeCom = "wecom",
    }
}

named_enum! {
    /// How the way to a mail server is protected.
    MailSecurity {
        /// Plain first, then TLS; usual on port 587.
        StartTls = "starttls",
        /// TLS from the first byte; usual on port 465.
        Tls = "tls",
        /// Not at all; only to a server on the same machine.
        Plain = "plain",
    }
}

/// How messages reach somebody. Sealed as a whole: addresses of webhooks often hold a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A POST of JSON.
    Webhook(Webhook),
    /// Letters.
    Email(Mailbox),
    /// A bot of Telegram.
    Telegram {
        /// Another server than Telegram's own, as an address.
        server: Option<String>,
        /// The bot's token.
        bot: Secret,
        /// The chat: a number, or a channel's `@name`.
        chat: String,
    },
    /// Bark.
    Bark {
        /// Another server than Bark's own, as an address.
        server: Option<String>,
        /// The device's key.
        device: Secret,
    },
    /// ServerChan.
    ServerChan {
        /// Another server than its own, as an address.
        server: Option<String>,
        /// The SendKey.
        key: Secret,
    },
    /// DingTalk.
    DingTalk(Robot),
    /// Feishu or Lark.
    Feishu(Robot),
    /// WeCom; it signs nothing.
    WeCom(Robot),
}

impl Transport {
    /// Which way it is.
    pub fn via(&self) -> Via {
        match self {
            Self::Webhook(_) => Via::Webhook,
            Self::Email(_) => Via::Email,
            Self::Telegram { .. } => Via::Telegram,
            Self::Bark { .. } => Via::Bark,
            Self::ServerChan { .. } => Via::ServerChan,
            Self::DingTalk(_) => Via::DingTalk,
            Self::Feishu(_) => Via::Feishu,
            Self::WeCom(_) => Via::WeCom,
        }
    }
}

/// An address that takes messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// An `http` or `https` address.
    pub url: Secret,
    /// A header that proves to the receiver who sends: its name and its value.
    pub header: Option<(String, Secret)>,
}

/// A robot of a group chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robot {
    /// Its whole address, which holds its credential.
    pub url: Secret,
    /// What messages are signed with, if the robot asks for that.
    pub secret: Option<Secret>,
}

/// A mail server, and whose letters it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is protected.
    pub security: MailSecurity,
    /// The user and the password, if it asks for them.
    pub login: Option<(String, Secret)>,
    /// Who writes.
    pub from: String,
    /// Who reads; at least one.
    pub to: Vec<String>,
}

/// How often a target is written to, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Events of a kind within this many minutes of a message with that kind go out together at their end. 0: no gathering.
    pub group_minutes: u32,
    /// The most messages within an hour; what is more goes out as one.
    pub most_per_hour: u32,
    /// Minutes of the day, in the server's time zone, from and until which only critical events are told.
    pub quiet: Option<(u16, u16)>,
    /// When digests are sent.
    pub digest: DigestSchedule,
}

impl Default for Policy {
    fn default() -> Self {
        Self { group_minutes: 5, most_per_hour: 12, quiet: None, digest: DigestSchedule::default() }
    }
}

/// When digests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DigestSchedule {
    /// Every Monday, not every day.
    pub weekly: bool,
    /// The hour of the day, in the server's time zone.
    pub hour: u8,
}

impl Default for DigestSchedule {
    fn default() -> Self {
        Self { weekly: false, hour: 9 }
    }
}

/// Whom messages go to, as it is made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTarget {
    /// Its name; unique, letter case aside.
    pub name: String,
    /// Off means: it gets nothing.
    pub enabled: bool,
    /// What it is told of.
    pub kinds: Vec<EventKind>,
    /// The language of texts: `en` or `zh`.
    pub language: String,
    /// How often and when.
    pub policy: Policy,
    /// Whether its server may be on a loopback or private address.
    pub allow_private: bool,
    /// How.
    pub transport: Transport,
}

/// Whom messages go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: NoticeTargetId,
    /// What the operator has set.
    pub set: NewTarget,
    /// When it was made.
    pub created_at: UnixMs,
    /// The last delivery that was tried.
    pub last: Option<Delivery>,
}

named_enum! {
    /// Why a message did not arrive.
    Fault {
        /// The receiver answered that it does not take it.
        Rejected = "rejected",
        /// The receiver sends us elsewhere, where we do not follow.
        Redirected = "redirected",
        /// The receiver is on a private network, which the target does not allow.
        PrivateAddress = "private_address",
        /// A mail server that is not on this machine, without TLS.
        PlainAway = "plain_away",
        /// The receiver's name is not known.
        NameUnknown = "name_unknown",
        /// Nothing listens there.
        ConnectionRefused = "connection_refused",
        /// No connection, in any other way.
        NoConnection = "no_connection",
        /// The connection did not stand in time.
        ConnectTimeout = "connect_timeout",
        /// No answer in time.
        NoAnswer = "no_answer",
        /// TLS failed, or the certificate is not valid.
        Tls = "tls",
        /// The connection broke.
        Broken = "broken",
        /// The answer was not what it should be.
        Garbled = "garbled",
        /// It cannot be sent as it is set up.
        Unsendable = "unsendable",
        /// The mail server does not take the user or the password.
        LoginRefused = "login_refused",
    }
}

/// What a receiver said of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Why it did not arrive; `None` if it did.
    pub fault: Option<Fault>,
    /// The status of the answer: HTTP's, or SMTP's.
    pub status: Option<u16>,
    /// The receiver's own words, bounded and without secrets.
    pub said: String,
}

/// What came of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When it was tried.
    pub at: UnixMs,
    /// Whether it was taken.
    pub ok: bool,
    /// What the receiver said, or why it could not be reached.
    pub report: Report,
}

/// A message as a list of deliveries shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// What came of the last try.
    pub delivery: Delivery,
    /// Whether it was a test.
    pub test: bool,
    /// What it told.
    pub kinds: Vec<EventKind>,
    /// How many events it told.
    pub events: usize,
    /// How many events were too many to keep.
    pub left_out: usize,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried again; `None` if it arrived or was given up.
    pub next_at: Option<UnixMs>,
}
